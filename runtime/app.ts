/**
 * A streams app: one process's share of a topology, from `start` to `closed`. It looks up topics,
 * opens serdes, makes the commit units, and ends them together: cleanly when it is asked to, or
 * because one of them met what it could not get over.
 */
import { sleep } from '../model/clock.ts'
import { asError, isMillraceError, MillraceError } from '../model/errors.ts'
import type { Topic, TopicPartition } from '../model/position.ts'
import { untilAborted } from '../model/until-aborted.ts'
import { forApplication } from '../topology/application.ts'
import type { Topology } from '../topology/graph.ts'
import { applicationNameOf, legalName } from './application-name.ts'
import { limitsOf, type Guarantee, type StreamsLimits, type StreamsOptions } from './config.ts'
import { deadLetterTopicOf } from './dead-letter.ts'
import { policiesOf } from './failure.ts'
import { LocalSessionStore } from './local-session-store.ts'
import { LocalStore, type LocalStoreOptions, type LocalStoreSource } from './local-store.ts'
import { LocalWindowStore } from './local-window-store.ts'
import { otherKind, storeToRead } from './store-to-read.ts'
import { Counters, type Counter } from './metrics.ts'
import { openTopology, type OpenStore, type OpenTopology } from './open-topology.ts'
import { Pause } from './pause.ts'
import { PayloadCache } from './payload-cache.ts'
import type { AppServices } from './services.ts'
import { SourceWatch } from './source-watch.ts'
import { moveApp, type AppState } from './task-state.ts'
import { prepareTopics, type KnownTopics } from './topics.ts'
import type { CommitUnit } from './unit.ts'
import type { UnitTask } from './unit-task.ts'
import { makeUnits } from './units.ts'

/**
 * Prepares an app; nothing happens before `start`. Throws what is known to be wrong already:
 * MILLRACE_ILLEGAL_NAME, MILLRACE_LIMITS_CONFLICT, MILLRACE_NO_DEAD_LETTER_TOPIC, and
 * MILLRACE_TOPOLOGY_INVALID for a dead-letter topic that the app itself reads.
 */
export function streams(topology: Topology, options: StreamsOptions): StreamsApp {
  return new StreamsApp(topology, options)
}

/** How often `caughtUp` looks. */
const CAUGHT_UP_CHECK_MS = 20

/** One process of an application. */
export class StreamsApp implements AsyncDisposable {
  readonly application: string
  /** Settles when the app has ended: resolves after a clean stop, rejects with what it failed of. */
  readonly closed: Promise<void>
  readonly #topology: Topology
  readonly #options: StreamsOptions
  readonly #guarantee: Guarantee
  readonly #limits: StreamsLimits
  readonly #deadLetterTopic: Topic | undefined
  readonly #counters = new Counters()
  readonly #pause = new Pause()
  readonly #resources = new AsyncDisposableStack()
  readonly #ended = Promise.withResolvers<void>()
  readonly #closing = new AbortController()
  #units: readonly CommitUnit[] = []
  #open: OpenTopology | undefined
  #state: AppState = 'created'

  constructor(topology: Topology, options: StreamsOptions) {
    this.#options = options
    const application = applicationNameOf(topology, options.application)
    const { assignment, deadLetterTopic, failures } = options
    if (assignment?.kind === 'group' && assignment.instanceId !== undefined) {
      legalName('instanceId', assignment.instanceId)
    }
    this.application = application
    this.#topology = forApplication(topology, application)
    this.#deadLetterTopic = deadLetterTopicOf(this.#topology, {
      application,
      deadLetterTopic,
      failures,
    })
    this.#guarantee = options.guarantee ?? 'exactly-once'
    this.#limits = limitsOf(this.#guarantee, options.limits)
    this.closed = this.#ended.promise
    // Whoever does not ask for the end is told by `start` and by the state.
    this.closed.catch(() => {})
  }

  get state(): AppState {
    return this.#state
  }

  /** What the app has counted so far. */
  counters(): readonly Counter[] {
    return this.#counters.read()
  }

  /**
   * A store of the topology, to be read from beside the app: Kafka Streams' interactive queries, for
   * what this process owns. K and V are what the store was declared with. May be asked for before
   * the app runs, and outlives a restart of its tasks. Asserts that the topology has such a store of
   * rows by key.
   */
  store<K, V>(name: string, options?: LocalStoreOptions): LocalStore<K, V> {
    const spec = storeToRead(this.#topology, name)
    if (spec.kind !== 'key-value') throw new TypeError(otherKind(spec))
    return new LocalStore(this.#localStore(name), options)
  }

  /** As `store`, of windows: what a windowed step keeps. */
  windowStore<K, V>(name: string, options?: LocalStoreOptions): LocalWindowStore<K, V> {
    const spec = storeToRead(this.#topology, name)
    if (spec.kind !== 'window') throw new TypeError(otherKind(spec))
    const { sizeMs, retentionMs } = spec
    return new LocalWindowStore(this.#localStore(name), { sizeMs, retentionMs }, options)
  }

  /** As `store`, of sessions. */
  sessionStore<K, V>(name: string, options?: LocalStoreOptions): LocalSessionStore<K, V> {
    const spec = storeToRead(this.#topology, name)
    if (spec.kind !== 'session') throw new TypeError(otherKind(spec))
    const { retentionMs } = spec
    return new LocalSessionStore(this.#localStore(name), { retentionMs }, options)
  }

  /** Resolves when every unit of this process runs, or when the app was closed meanwhile. Rejects, and the app has failed, where that cannot be. */
  async start(): Promise<void> {
    this.#options.signal?.throwIfAborted()
    this.#move('starting')
    this.#options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    try {
      const units = await this.#insist(async () => await this.#makeUnits())
      if (this.#state === 'starting') this.#units = units
    } catch (error) {
      if (this.#state === 'starting') await this.#fail(asError(error))
      if (this.#state === 'failed') return await this.closed
    }
    if (this.#state === 'starting') await Promise.race([this.#runUnits(), this.closed])
    // Closed before a unit was made: nobody else ends it.
    else if (this.#state === 'stopping') await this.#end()
  }

  /** Whether `pause` was called and `resume` was not. The state of the app does not change with it. */
  get isPaused(): boolean {
    return this.#pause.isOn
  }

  /**
   * Stops processing, calls by time included, until `resume`; before `start` it holds from the
   * beginning. What is done is committed, and the process keeps its place in a group. What was handed
   * to a service goes on there, and its answer waits.
   */
  pause(): void {
    if (this.#pause.begin()) this.#options.onEvent?.({ kind: 'paused' })
  }

  /** Goes on processing where `pause` stopped it. */
  resume(): void {
    if (this.#pause.end()) this.#options.onEvent?.({ kind: 'resumed' })
  }

  /** Commits what is done and stops. Within the deadline; after it the rest is left to the next start. */
  async close(): Promise<void> {
    if (this.#state === 'created') {
      this.#move('stopped')
      this.#ended.resolve()
    }
    if (this.#state === 'starting' || this.#state === 'running') {
      this.#move('stopping')
      this.#closing.abort()
      this.#stopUnits()
    }
    await this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().catch(() => {})
  }

  /**
   * Resolves when everything in the sources is read, enriched, forwarded and committed. Rejects with
   * what the app failed of, with MILLRACE_STOPPED where it was closed before, and with the signal's
   * reason.
   */
  async caughtUp(signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted()
      if (this.#state === 'failed') return await this.closed
      if (this.#state === 'stopped') throw stoppedBefore()
      if (await this.isCaughtUp()) return
      await sleep(this.#options.clock, CAUGHT_UP_CHECK_MS, signal)
    }
  }

  #localStore(name: string): LocalStoreSource {
    const open = (): OpenStore | undefined => this.#open?.stores.get(name)
    return { name, open, tasks: () => this.#readableTasks() }
  }

  /** Does again what the log refused in passing, until it works, the app is closed, or too long has passed. */
  async #insist<T>(work: () => Promise<T>): Promise<T> {
    const { clock } = this.#options
    const deadline = clock.monotonic() + this.#limits.unitTimeoutMs
    for (let delayMs = this.#limits.restartBackoffMs; ; delayMs = Math.min(delayMs * 2, 5_000)) {
      try {
        // A log that is away must not hold up an app that is closed: it has nothing to lose yet.
        return await untilAborted(work(), this.#closing.signal)
      } catch (error) {
        const isPassing = isMillraceError(error) && error.remedy === 'retry'
        const isOver = this.#state !== 'starting' || clock.monotonic() >= deadline
        if (!isPassing || isOver) throw error
        await sleep(clock, delayMs, this.#closing.signal)
      }
    }
  }

  #readableTasks(): readonly UnitTask[] | undefined {
    if (this.#state !== 'running') return undefined
    const parts = this.#units.map(({ readableTasks }) => readableTasks)
    return parts.includes(undefined) ? undefined : parts.flatMap((tasks) => tasks ?? [])
  }

  /** Whether, as far as can be seen now, everything in the sources is read, enriched, forwarded and committed. */
  async isCaughtUp(): Promise<boolean> {
    const idle = (): boolean => this.#state === 'running' && this.#units.every((unit) => unit.idle)
    if (!idle()) return false
    const positions = this.#units.flatMap((unit) => unit.positions)
    const inputs: TopicPartition[] = positions.map(({ topic, partition }) => ({ topic, partition }))
    const { admin } = this.#options.transport
    // A log that does not answer now has not said that anything is done.
    const ends = await admin.offsets(inputs, 'latest', 'read_committed').catch(() => undefined)
    return (
      ends !== undefined && idle() && positions.every(({ offset }, i) => offset >= (ends[i] ?? 0))
    )
  }

  async #makeUnits(): Promise<readonly CommitUnit[]> {
    const { transport, registry } = this.#options
    const topics = await prepareTopics(this.#topology, this.application, {
      transport,
      deadLetterTopic: this.#deadLetterTopic,
    })
    const services = await this.#services(topics, registry)
    const units = makeUnits({
      application: this.application,
      options: this.#options,
      services,
      guarantee: this.#guarantee,
      onSettled: () => this.#onUnitStarted(),
    })
    this.#watchSources(topics)
    return units
  }

  #watchSources({ partitionsOf }: KnownTopics): void {
    const { transport, clock } = this.#options
    const watch = new SourceWatch({
      admin: transport.admin,
      sources: this.#topology.subtopologies.flatMap(({ sourceTopics }) => sourceTopics),
      partitionsOf,
      clock,
      intervalMs: this.#limits.topicCheckIntervalMs,
      onAdded: (error) => this.#stopFor(error),
    })
    this.#resources.use(watch)
  }

  async #services(topics: KnownTopics, registry: StreamsOptions['registry']): Promise<AppServices> {
    const { transport, clock, failures, onEvent } = this.#options
    const letters = this.#deadLetterTopic
    const open = await openTopology(this.#topology, this.application, { registry, clock })
    this.#open = open
    this.#closing.signal.throwIfAborted()
    const reader = this.#resources.use(
      transport.openReader({
        isolation: 'read_uncommitted',
        prefetchBytes: this.#limits.prefetchBytes,
      }),
    )
    const payloads = new PayloadCache(reader, { maxBytes: this.#limits.payloadBytes })
    for (const { topicId, topic } of topics.all) payloads.addTopic(topicId, topic)
    const shared = new Map<object, unknown>()
    return {
      open,
      clock,
      limits: this.#limits,
      failures: policiesOf(failures),
      payloads,
      counters: this.#counters,
      pause: this.#pause,
      deadLetters:
        letters === undefined
          ? undefined
          : { topic: letters, partitions: topics.partitionsOf(letters) },
      partitionsOf: topics.partitionsOf,
      topicIdOf: topics.topicIdOf,
      shared: <T>(key: object, make: () => T): T => {
        if (!shared.has(key)) shared.set(key, make())
        return shared.get(key) as T
      },
      onEvent: onEvent ?? (() => {}),
    }
  }

  /** Runs all units; resolves when all have started. The first that fails takes the others down with it. */
  async #runUnits(): Promise<void> {
    const started = Promise.withResolvers<void>()
    this.#resolveStarted = started.resolve
    const runs = this.#units.map(async (unit) => {
      try {
        await unit.run()
      } catch (error) {
        this.#stopFor(asError(error))
      }
    })
    void Promise.all(runs).then(async () => await this.#end())
    await started.promise
  }

  /** Stops all units cleanly, and fails of this. */
  #stopFor(error: Error): void {
    this.#failure ??= error
    this.#stopUnits()
  }

  #resolveStarted: () => void = () => {}
  #failure: Error | undefined

  #onUnitStarted(): void {
    const all = this.#units.every(({ phase }) => phase === 'running')
    if (all && this.#state === 'starting') this.#move('running')
    if (all) this.#resolveStarted()
  }

  #stopUnits(): void {
    for (const unit of this.#units) unit.stop()
    const { closeDeadlineMs } = this.#limits
    this.#deadline ??= this.#options.clock.timer(closeDeadlineMs, () => {
      const late = new MillraceError(
        'MILLRACE_CLOSE_DEADLINE',
        `the app did not stop within ${closeDeadlineMs} ms; what was not committed is done again at the next start.`,
      )
      for (const unit of this.#units) unit.cancel(late)
      if (this.#units.length === 0) void this.#fail(late)
    })
  }

  #deadline: { cancel(): void } | undefined

  readonly #onAbort = (): void => {
    // Whoever awaits the end is told by `closed`.
    this.close().catch(() => {})
  }

  async #end(): Promise<void> {
    if (this.#failure !== undefined) {
      await this.#fail(this.#failure)
      return
    }
    try {
      this.#deadline?.cancel()
      this.#options.signal?.removeEventListener('abort', this.#onAbort)
      await this.#resources.disposeAsync()
      if (this.#state !== 'stopping') this.#move('stopping')
      this.#move('stopped')
      this.#ended.resolve()
    } catch (error) {
      await this.#fail(asError(error))
    }
  }

  async #fail(error: Error): Promise<void> {
    this.#deadline?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    await this.#resources.disposeAsync().catch(() => {})
    this.#move('failed')
    this.#ended.reject(error)
  }

  #move(to: AppState): void {
    const from = this.#state
    this.#state = moveApp(from, to)
    this.#options.onEvent?.({ kind: 'state', from, to })
  }
}

function stoppedBefore(): MillraceError {
  return new MillraceError(
    'MILLRACE_STOPPED',
    'the app was closed before it had caught up; what is left is done at the next start.',
  )
}
