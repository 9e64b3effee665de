/**
 * Finds a broker that answers: of several addresses, the first with a connection wins.
 *
 * - A halted machine takes connections and says nothing. It must not eat the time of who waits: the
 *   next address is begun `nextAddressAfterMs` later, or at once where one has failed, and those that
 *   were begun before may still win (after RFC 8305, Happy Eyeballs). Losers are closed. All at once
 *   would be quicker by a second, and have every client greet every broker at each start.
 * - All who look for a broker at the same time share one search, each until its own deadline; it ends
 *   with the last of them.
 * - An address that has given no answer is tried last.
 */
import type { Clock, Timer } from '../../../model/clock.ts'
import { asError } from '../../../model/errors.ts'
import { untilAborted } from '../../../model/until-aborted.ts'
import type { TransportError } from '../../errors.ts'
import {
  brokerUnreachable,
  clusterUnreachable,
  describeAddress,
  noConnection,
  type Address,
} from '../kafka-errors.ts'
import { isRetriable, type KafkaLimits } from '../limits.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { Lane } from './lane.ts'
import { SharedWork } from './shared-work.ts'
import { withinDeadline } from './within-deadline.ts'

/** Where is searched, and over which connections. */
export interface SearchSetting {
  readonly lane: Lane
  readonly clock: Clock
  readonly limits: KafkaLimits
  /** Each address once, in the order in which to try them. */
  readonly candidates: () => readonly Address[]
  /** The error for what became of each address. Default, of several: no broker of the cluster can be reached. */
  readonly problem?: (tried: readonly Error[]) => TransportError
}

/** How long one may be searched for. */
export interface SearchOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

interface Failure {
  readonly error: Error
  readonly atMs: number
}

/** One search. */
interface Run {
  readonly addresses: readonly Address[]
  /** When those attempts were begun that have not ended, by name. */
  readonly begunMs: Map<string, number>
}

/** The searches of one cluster, one at a time. */
export class BrokerSearch {
  readonly #setting: SearchSetting
  #search: SharedWork<BrokerConnection> | undefined
  /** The search under way, or the last. */
  #run: Run = { addresses: [], begunMs: new Map() }
  /** Why addresses gave no answer the last time, by name, the latest at the end. */
  readonly #failures = new Map<string, Failure>()

  constructor(setting: SearchSetting) {
    this.#setting = setting
  }

  /** An open connection. Rejects at the deadline, with what became of each address; at once where all have failed, or with what every broker would say. */
  async find({ deadlineMs, signal }: SearchOptions): Promise<BrokerConnection> {
    const { clock } = this.#setting
    if (this.#search === undefined || this.#search.isOver) {
      this.#search = new SharedWork((end) => this.#first(end))
    }
    const search = this.#search
    const late = (): Error => this.#problem(this.#run)
    return await withinDeadline({ clock, deadlineMs, signal, late }, (own) => search.wait(own))
  }

  /** What became so far of the addresses of the search that is under way; undefined where none is. */
  get trouble(): TransportError | undefined {
    return this.#search?.isOver === false ? this.#problem(this.#run) : undefined
  }

  /** An address has given no answer, to a connection or to a question. */
  failed(address: Address, error: Error): void {
    const name = describeAddress(address)
    // Taken out first, so that it goes to the end of the map, and of the order.
    this.#failures.delete(name)
    this.#failures.set(name, { error, atMs: this.#setting.clock.monotonic() })
  }

  async #first(end: AbortSignal): Promise<BrokerConnection> {
    const { clock, limits } = this.#setting
    const run: Run = { addresses: this.#inOrder(), begunMs: new Map() }
    this.#run = run
    const left = [...run.addresses]
    const found = Promise.withResolvers<BrokerConnection>()
    const over = new AbortController()
    let turn: Timer | undefined
    const beginNext = (): void => {
      turn?.cancel()
      const address = left.shift()
      if (address === undefined) {
        if (run.begunMs.size === 0) found.reject(this.#problem(run))
        return
      }
      if (left.length > 0) turn = clock.timer(limits.nextAddressAfterMs, beginNext)
      this.#attempt(run, address, over.signal).then(found.resolve, (error: unknown) => {
        if (over.signal.aborted) return
        if (isSaidByAll(error)) found.reject(error)
        else beginNext()
      })
    }
    beginNext()
    try {
      return await untilAborted(found.promise, end)
    } finally {
      turn?.cancel()
      over.abort(new Error('its connection is not waited for any more'))
      this.#leave(run)
    }
  }

  async #attempt(run: Run, address: Address, over: AbortSignal): Promise<BrokerConnection> {
    const name = describeAddress(address)
    run.begunMs.set(name, this.#setting.clock.monotonic())
    try {
      const connection = await this.#setting.lane.connectTo(address, over)
      this.#failures.delete(name)
      return connection
    } catch (error) {
      if (!over.aborted) this.failed(address, asError(error))
      throw error
    } finally {
      if (!over.aborted) run.begunMs.delete(name)
    }
  }

  /** Those that had their time, and have neither answered nor failed, are tried last from now on. */
  #leave({ addresses, begunMs }: Run): void {
    const { clock, limits } = this.#setting
    for (const address of addresses) {
      const begun = begunMs.get(describeAddress(address))
      const elapsedMs = begun === undefined ? 0 : clock.monotonic() - begun
      if (elapsedMs >= limits.nextAddressAfterMs) {
        this.failed(address, noConnection(address, elapsedMs))
      }
    }
  }

  /** The candidates, but those that failed last, the latest failure at the end. */
  #inOrder(): readonly Address[] {
    const named = new Map(this.#setting.candidates().map((one) => [describeAddress(one), one]))
    for (const name of this.#failures.keys()) if (!named.has(name)) this.#failures.delete(name)
    const failed = [...this.#failures.keys()].flatMap((name) => named.get(name) ?? [])
    const others = [...named].filter(([name]) => !this.#failures.has(name))
    return [...others.map(([, address]) => address), ...failed]
  }

  #problem(run: Run): TransportError {
    const { problem = unreachable } = this.#setting
    return problem(run.addresses.map((address) => this.#stateOf(run, address)))
  }

  /** Why there is no connection to an address. One that has only just been begun again says what it said before. */
  #stateOf({ begunMs }: Run, address: Address): Error {
    const { clock, limits } = this.#setting
    const name = describeAddress(address)
    const failure = this.#failures.get(name)
    const now = clock.monotonic()
    if (failure !== undefined && now - failure.atMs <= 2 * limits.connectDeadlineMs) {
      return failure.error
    }
    const begun = begunMs.get(name)
    if (begun !== undefined) return noConnection(address, now - begun)
    return brokerUnreachable(address, 'its turn has not come in time')
  }
}

function unreachable(tried: readonly Error[]): TransportError {
  const [only] = tried
  return tried.length === 1 && isRetriable(only) ? only : clusterUnreachable(tried)
}

/** Another broker would say the same about certificates, passwords and tokens. */
function isSaidByAll(error: unknown): boolean {
  return !isRetriable(error) || error.code === 'MILLRACE_KAFKA_AUTHENTICATION'
}
