/**
 * A Kafka cluster as the rest of the adapter sees it: lanes of connections, who leads, who coordinates,
 * and what its brokers can do. Producer, readers, memberships and admin stand on this.
 */
import { sleep, type Clock } from '../../../model/clock.ts'
import type { TransportError } from '../../errors.ts'
import type { BrokerAbilities } from './broker-abilities.ts'
import type { BrokerConnection, RequestOptions } from './broker-connection.ts'
import type { Api } from '../api/api.ts'
import { BrokerSearch, type SearchOptions } from './broker-search.ts'
import { CoordinatorCache, type Coordinated } from './coordinator-cache.ts'
import { CODE } from '../error-codes.ts'
import { advertisedUnreachable, describeAddress, type Address } from '../kafka-errors.ts'
import { Lane } from './lane.ts'
import {
  isRetriable,
  KAFKA_LIMITS,
  retryDelayMs,
  withPatience,
  type KafkaLimits,
} from '../limits.ts'
import { MetadataCache, type AskAnyBroker, type CallOptions } from './metadata-cache.ts'
import type { KafkaSasl, KafkaTls } from '../options/security.ts'
import { timeLeftMs } from './within-deadline.ts'

/** How a cluster is reached. */
export interface ClusterOptions {
  /** At least one that is up; the others are learned from it. */
  readonly brokers: readonly Address[]
  readonly clientId?: string
  readonly tls?: KafkaTls | undefined
  readonly sasl?: KafkaSasl | undefined
  readonly limits?: Partial<KafkaLimits>
  readonly clock: Clock
}

/** How whichever broker is asked. */
export type AnyOptions = CallOptions &
  Pick<RequestOptions, 'version'> & {
    /** How long one broker may take over its answer. */
    readonly tryMs?: number
  }

/** Version 1: partitions are added by request. Version 2: brokers do that, and every transaction has an epoch of its own. */
export type TransactionVersion = 1 | 2

/** A cluster, until it is closed; opening connects to nothing. */
export class KafkaCluster implements AsyncDisposable {
  readonly clock: Clock
  readonly limits: KafkaLimits
  readonly metadata: MetadataCache
  readonly coordinators: CoordinatorCache
  readonly #options: ClusterOptions
  readonly #lanes = new Set<Lane>()
  /** For questions about the cluster, and for Admin. */
  readonly #control: Lane
  readonly #search: BrokerSearch
  /** What kept the last answer of whichever broker away; undefined where it came. */
  #problem: TransportError | undefined

  constructor(options: ClusterOptions) {
    this.#options = options
    this.clock = options.clock
    this.limits = { ...KAFKA_LIMITS, ...options.limits }
    const ask: AskAnyBroker = async (question, given) => {
      return await this.askAny(question, { ...given, tryMs: this.limits.questionDeadlineMs })
    }
    this.metadata = new MetadataCache(ask, this)
    this.coordinators = new CoordinatorCache(ask, this)
    this.#control = this.openLane('control')
    const candidates = this.#candidates.bind(this)
    this.#search = new BrokerSearch({ ...this.#patience, lane: this.#control, candidates })
  }

  /** Connections for one purpose and one owner, who closes them; the cluster does at its own end. */
  openLane(purpose: string): Lane {
    const { clock, limits } = this
    const { clientId = 'millrace', tls, sasl } = this.#options
    const addressOf = this.#addressOf.bind(this)
    const lane = new Lane({ purpose, clientId, tls, sasl, clock, limits, addressOf })
    this.#lanes.add(lane)
    return lane
  }

  /** Closes a lane before the cluster's end. */
  async closeLane(lane: Lane): Promise<void> {
    this.#lanes.delete(lane)
    await lane[Symbol.asyncDispose]()
  }

  /** What keeps an answer of whichever broker away just now, as far as that is known. */
  get trouble(): TransportError | undefined {
    return this.#search.trouble ?? this.#problem
  }

  /** Asks whichever broker answers, on the control lane, and tries others until the deadline. Rejects with the last error. */
  async askAny<Q, R>(question: readonly [Api<Q, R>, Q], options: AnyOptions = {}): Promise<R> {
    const { deadlineMs = this.limits.callDeadlineMs, signal } = options
    return await withPatience({ ...this.#patience, deadlineMs, signal }, (leftMs) =>
      this.askAnyOnce(question, { ...options, deadlineMs: leftMs }),
    )
  }

  /** As `askAny`, for requests that may not be sent twice. The deadline, `limits.requestDeadlineMs` by default, is for connecting too. */
  async askAnyOnce<Q, R>(
    [api, request]: readonly [Api<Q, R>, Q],
    options: AnyOptions = {},
  ): Promise<R> {
    const { requestDeadlineMs } = this.limits
    const { deadlineMs = requestDeadlineMs, tryMs = requestDeadlineMs, signal } = options
    const end = this.clock.monotonic() + deadlineMs
    try {
      const connection = await this.#anyConnection({ deadlineMs, signal })
      const leftMs = Math.min(timeLeftMs(this.clock, end), tryMs, requestDeadlineMs)
      const asked = connection.request(api, request, { ...options, deadlineMs: leftMs })
      const answer = await asked.catch((error: unknown) => {
        if (isRetriable(error)) this.#search.failed(connection.address, error)
        throw error
      })
      this.#problem = undefined
      return answer
    } catch (error) {
      if (isRetriable(error)) this.#problem = error
      throw error
    }
  }

  /** Asks a node on the control lane; nothing is tried again. */
  async ask<Q, R>(
    node: number,
    question: readonly [Api<Q, R>, Q],
    options: RequestOptions = {},
  ): Promise<R> {
    return await this.#control.request(node, question, options)
  }

  /**
   * Asks the coordinator on a lane, and again where it has moved, is loading or cannot be reached,
   * until the deadline. `codeOf` reads from an answer the code that tells so; all other codes are
   * the caller's to judge. For requests that may safely be sent twice.
   */
  async askCoordinator<Q, R>(
    what: Coordinated,
    question: readonly [Api<Q, R>, Q],
    options: CallOptions &
      Pick<RequestOptions, 'version'> & {
        readonly lane?: Lane
        readonly codeOf: (answer: R) => number
      },
  ): Promise<R> {
    const { deadlineMs = this.limits.callDeadlineMs, signal, lane = this.#control } = options
    const end = this.clock.monotonic() + deadlineMs
    const attempt = async (leftMs: number): Promise<R> => {
      const node = await this.coordinators.find(what, { deadlineMs: leftMs, signal })
      try {
        const own = Math.min(timeLeftMs(this.clock, end), this.limits.requestDeadlineMs)
        return await lane.request(node, question, { ...options, deadlineMs: own })
      } catch (error) {
        if (isRetriable(error)) this.coordinators.forget(what)
        throw error
      }
    }
    for (let retry = 0; ; retry += 1) {
      const leftMs = Math.max(1, end - this.clock.monotonic())
      const last = await withPatience({ ...this.#patience, deadlineMs: leftMs, signal }, attempt)
      const code = options.codeOf(last)
      const isLoading = code === CODE.coordinatorLoadInProgress
      if (!isLoading && !MOVED.has(code)) return last
      if (!isLoading) this.coordinators.forget(what)
      const delayMs = retryDelayMs(this.#patience, retry)
      if (this.clock.monotonic() + delayMs >= end) return last
      await sleep(this.clock, delayMs, signal)
    }
  }

  /**
   * Connects to a broker where the cluster says it is (`advertised.listeners`), for all work goes
   * there: the addresses that were named are only to ask. Costs nothing where one of them is such an
   * address, and otherwise a connection. Rejects at the deadline with what became of each of them.
   */
  async reachBrokers({ deadlineMs, signal }: SearchOptions): Promise<void> {
    const end = this.clock.monotonic() + deadlineMs
    let problem: Error | undefined
    await withPatience({ ...this.#patience, deadlineMs, signal }, async (leftMs) => {
      const asking = { deadlineMs: leftMs, signal }
      // They may be other addresses by now.
      await this.metadata.refresh([], asking).catch((error: unknown) => {
        throw isRetriable(error) ? (problem ?? error) : error
      })
      const { address: answering } = await this.#anyConnection(asking)
      const advertised = this.metadata.brokers
      const name = describeAddress(answering)
      if (advertised.length === 0 || advertised.some((at) => describeAddress(at) === name)) return
      const search = new BrokerSearch({
        ...this.#patience,
        lane: this.#control,
        candidates: () => advertised,
        problem: (tried) => advertisedUnreachable(answering, tried),
      })
      try {
        await search.find({ deadlineMs: timeLeftMs(this.clock, end), signal })
      } catch (error) {
        if (isRetriable(error)) problem = error
        throw error
      }
    })
  }

  /** What some broker can do: versions differ between brokers while a cluster is being upgraded. */
  async abilities(options: CallOptions = {}): Promise<BrokerAbilities> {
    const { deadlineMs = this.limits.callDeadlineMs, signal } = options
    const connection = await withPatience({ ...this.#patience, deadlineMs, signal }, (leftMs) =>
      this.#anyConnection({ deadlineMs: leftMs, signal }),
    )
    return connection.abilities
  }

  /** Which transactions the whole cluster has: fixed by a feature that is raised once, after an upgrade. */
  async transactionVersion(options: CallOptions = {}): Promise<TransactionVersion> {
    const abilities = await this.abilities(options)
    return abilities.feature('transaction.version') >= 2 ? 2 : 1
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lanes = [...this.#lanes]
    this.#lanes.clear()
    await Promise.all(lanes.map((lane) => lane[Symbol.asyncDispose]()))
  }

  get #patience(): { readonly clock: Clock; readonly limits: KafkaLimits } {
    return { clock: this.clock, limits: this.limits }
  }

  /** An open connection, or the first that opens: to a broker of the last metadata, else to one that was named. */
  async #anyConnection(options: SearchOptions): Promise<BrokerConnection> {
    return this.#control.anyOpen ?? (await this.#search.find(options))
  }

  /** Each address once, known brokers before named ones, each kind in random order: not everybody asks the same broker. */
  #candidates(): readonly Address[] {
    const known = shuffled(this.clock, this.metadata.brokers)
    const named = shuffled(this.clock, this.#options.brokers)
    const all = [...known, ...named].map(({ host, port }) => ({ host, port }))
    return [...new Map(all.map((address) => [describeAddress(address), address])).values()]
  }

  async #addressOf(node: number, options: CallOptions): Promise<Address | undefined> {
    const known = this.metadata.broker(node)
    if (known !== undefined) return known
    await this.metadata.refresh([], options)
    return this.metadata.broker(node)
  }
}

const MOVED: ReadonlySet<number> = new Set([CODE.notCoordinator, CODE.coordinatorNotAvailable])

function shuffled<T>(clock: Clock, items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, at: clock.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
