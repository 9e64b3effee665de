/**
 * Connections of one purpose, at most one to each broker: a lane. Requests of one lane to one broker
 * go out in the order of the calls; requests of different lanes never wait for each other, so that a
 * produce of 10 MB does not delay a heartbeat, nor a JoinGroup that the broker holds back a commit.
 */
import { logClosed } from '../../log-errors.ts'
import type { Api } from '../api/api.ts'
import type { BrokerConnection, ConnectionSetting, RequestOptions } from './broker-connection.ts'
import { describeAddress, noConnection, unknownNode, type Address } from '../kafka-errors.ts'
import type { CallOptions } from './metadata-cache.ts'
import { openConnection } from './open-connection.ts'
import { SharedWork } from './shared-work.ts'
import { timeLeftMs, withinDeadline } from './within-deadline.ts'

/** Where a node listens, as far as it is known; may ask the cluster. */
export type AddressOfNode = (node: number, options: CallOptions) => Promise<Address | undefined>

/** What a lane needs of its cluster. */
export interface LaneSetting extends ConnectionSetting {
  /** For messages: `the lane for produce`. */
  readonly purpose: string
  readonly addressOf: AddressOfNode
}

/** A lane, until it is closed. */
export class Lane implements AsyncDisposable {
  readonly purpose: string
  readonly #setting: LaneSetting
  readonly #connections = new Map<string, SharedWork<BrokerConnection>>()
  /** Where a node was last asked: one that the cluster has given up may still owe answers. */
  readonly #askedAt = new Map<number, string>()
  #isClosed = false

  constructor(setting: LaneSetting) {
    this.#setting = setting
    this.purpose = setting.purpose
  }

  /**
   * Sends a request to a node and waits for the answer, whose error codes are the caller's to judge.
   * Connects where there is no connection; the deadline is for both. Rejects as
   * BrokerConnection.request does; nothing is tried again.
   */
  async request<Q, R>(
    node: number,
    [api, request]: readonly [Api<Q, R>, Q],
    options: RequestOptions = {},
  ): Promise<R> {
    const { clock, limits } = this.#setting
    const { deadlineMs = limits.requestDeadlineMs, signal } = options
    const end = clock.monotonic() + deadlineMs
    const connection = await this.#toNode(node, { deadlineMs, signal })
    const leftMs = timeLeftMs(clock, end)
    return await connection.request(api, request, { ...options, deadlineMs: leftMs })
  }

  /** The connection to an address, opened where there is none. An attempt that nobody waits for any more is given up. */
  async connectTo(address: Address, signal?: AbortSignal): Promise<BrokerConnection> {
    const name = describeAddress(address)
    const known = this.#connections.get(name)
    if (known !== undefined && !known.isLost) return await known.wait(signal)
    if (this.#isClosed) throw this.#closed()
    const opening = new SharedWork((end) => openConnection(address, this.#setting, end))
    this.#connections.set(name, opening)
    const forget = (): void => {
      if (this.#connections.get(name) === opening) this.#connections.delete(name)
    }
    opening.result.then((connection) => connection.ended.then(forget), forget)
    return await opening.wait(signal)
  }

  /** An open connection to whatever broker, if there is one. */
  get anyOpen(): BrokerConnection | undefined {
    for (const { value } of this.#connections.values()) if (value?.isOpen === true) return value
    return undefined
  }

  /** Ends the connection to a node, also one that is being opened, for instance because its answers no longer matter. */
  async drop(node: number, reason: Error): Promise<void> {
    const connection = this.#connections.get(this.#askedAt.get(node) ?? '')
    if (connection !== undefined) await ended(connection, reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const closed = this.#closed()
    await Promise.all([...this.#connections.values()].map((one) => ended(one, closed)))
    this.#connections.clear()
  }

  /** All requests take this same way, so that those to one node keep their order. */
  async #toNode(
    node: number,
    {
      deadlineMs,
      signal,
    }: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<BrokerConnection> {
    const { clock, addressOf } = this.#setting
    const end = clock.monotonic() + deadlineMs
    const address = await addressOf(node, { deadlineMs, signal })
    if (address === undefined) throw unknownNode(node)
    this.#askedAt.set(node, describeAddress(address))
    const late = (): Error => noConnection(address, deadlineMs)
    const deadline = { clock, deadlineMs: timeLeftMs(clock, end), signal, late }
    return await withinDeadline(deadline, (own) => this.connectTo(address, own))
  }

  #closed(): Error {
    return logClosed(`lane for ${this.purpose}`)
  }
}

/** Ends a connection, open or not yet. */
async function ended(connection: SharedWork<BrokerConnection>, reason: Error): Promise<void> {
  connection.end(reason)
  const open = await connection.result.catch(() => undefined)
  open?.destroy(reason)
}
