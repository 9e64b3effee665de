/**
 * Connections of one purpose, at most one to each broker: a lane. Requests of one lane to one broker
 * go out in the order of the calls; requests of different lanes never wait for each other, so that a
 * produce of 10 MB does not delay a heartbeat, nor a JoinGroup that the broker holds back a commit.
 */
import { logClosed } from '../../log-errors.ts'
import type { Api } from '../api/api.ts'
import type { BrokerAbilities } from './broker-abilities.ts'
import type { BrokerConnection, ConnectionSetting, RequestOptions } from './broker-connection.ts'
import { describeAddress, unknownNode, type Address } from '../kafka-errors.ts'
import { openConnection } from './open-connection.ts'
import { untilAborted } from '../../../model/until-aborted.ts'

/** Where a node listens, as far as it is known; may ask the cluster. */
export type AddressOfNode = (node: number, signal?: AbortSignal) => Promise<Address | undefined>

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
  readonly #connections = new Map<string, Promise<BrokerConnection>>()
  /** Where a node was last asked: one that the cluster has given up may still owe answers. */
  readonly #askedAt = new Map<number, string>()
  readonly #closing = new AbortController()

  constructor(setting: LaneSetting) {
    this.#setting = setting
    this.purpose = setting.purpose
  }

  /**
   * Sends a request to a node and waits for the answer, whose error codes are the caller's to judge.
   * Connects where there is no connection. Rejects as BrokerConnection.request does; nothing is tried again.
   */
  async request<Q, R>(
    node: number,
    [api, request]: readonly [Api<Q, R>, Q],
    options: RequestOptions = {},
  ): Promise<R> {
    const connection = await this.#toNode(node, options.signal)
    return await connection.request(api, request, options)
  }

  /** What a node can do; connects where there is no connection. */
  async abilities(node: number, signal?: AbortSignal): Promise<BrokerAbilities> {
    const { abilities } = await this.#toNode(node, signal)
    return abilities
  }

  /** The connection to an address, opened where there is none. */
  async connectTo(address: Address, signal?: AbortSignal): Promise<BrokerConnection> {
    const name = describeAddress(address)
    const known = this.#connections.get(name)
    if (known !== undefined) return await untilAborted(known, signal)
    if (this.#closing.signal.aborted) throw this.#closed()
    // Who comes first opens for all: the signal of one must not end it for others.
    const opening = openConnection(address, this.#setting, this.#closing.signal)
    this.#connections.set(name, opening)
    const forget = (): void => {
      if (this.#connections.get(name) === opening) this.#connections.delete(name)
    }
    opening.then((connection) => connection.ended.then(forget), forget)
    return await untilAborted(opening, signal)
  }

  /** An open connection to whatever broker, if there is one. */
  async anyOpen(): Promise<BrokerConnection | undefined> {
    for (const opening of this.#connections.values()) {
      const connection = await opening.catch(() => undefined)
      if (connection?.isOpen === true) return connection
    }
    return undefined
  }

  /** Ends the connection to a node, for instance because its answers no longer matter. */
  async drop(node: number, reason: Error): Promise<void> {
    const name = this.#askedAt.get(node)
    if (name === undefined) return
    const connection = await this.#connections.get(name)?.catch(() => undefined)
    connection?.destroy(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#closed()
    this.#closing.abort(closed)
    for (const opening of this.#connections.values()) {
      const connection = await opening.catch(() => undefined)
      connection?.destroy(closed)
    }
    this.#connections.clear()
  }

  async #toNode(node: number, signal: AbortSignal | undefined): Promise<BrokerConnection> {
    const address = await this.#setting.addressOf(node, signal)
    if (address === undefined) throw unknownNode(node)
    this.#askedAt.set(node, describeAddress(address))
    return await this.connectTo(address, signal)
  }

  #closed(): Error {
    return logClosed(`lane for ${this.purpose}`)
  }
}
