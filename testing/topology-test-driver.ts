/**
 * Runs a topology in a test, without a broker, a disk or waiting: Kafka Streams' TopologyTestDriver,
 * with the runtime that production runs (commit units, transactions, changelogs, the record loop)
 * over a log in memory. Only the transport and the clock differ. Time moves by hand and randomness
 * comes from a seed, so that a test gives the same at every run.
 */
import type { Counter } from '../runtime/metrics.ts'
import type { FailurePolicies } from '../runtime/failure.ts'
import type { Guarantee, StreamsEvent, StreamsLimits } from '../runtime/config.ts'
import type { LocalSessionStore } from '../runtime/local-session-store.ts'
import type { LocalStore, LocalStoreOptions } from '../runtime/local-store.ts'
import type { LocalWindowStore } from '../runtime/local-window-store.ts'
import { asTopic, type Topic } from '../model/position.ts'
import { memoryRegistry } from '../serdes/memory-registry.ts'
import type { Registry } from '../serdes/registry.ts'
import type { Topology } from '../topology/graph.ts'
import type { NewTopic, TopicDescription } from '../transport/transport.ts'
import { DrivenApp, type RestartAfter, type SettleOptions } from './driven-app.ts'
import { handClock, type HandClock } from './hand-clock.ts'
import { TestInputTopic, type InputOptions } from './test-input-topic.ts'
import { TestOutputTopic, type OutputOptions } from './test-output-topic.ts'

/** How a topology is driven. */
export interface TestDriverOptions {
  /** Where the wall clock stands at first, milliseconds since 1970. Default: a fixed moment in 2023. */
  readonly wallClockMs?: number
  /** A clock that the test has already given to its services; in place of `wallClockMs`. */
  readonly clock?: HandClock
  /** Partitions of the topology's topics: of all, or of each by name. Default 1. Each makes a task of its own. */
  readonly partitions?: number | Readonly<Record<string, number>>
  /** Default: an empty one in memory. */
  readonly registry?: Registry
  /** Default: the topology's name. */
  readonly application?: string
  /** Default exactly-once. */
  readonly guarantee?: Guarantee
  /** Default: those of the runtime, with a commit after every record. */
  readonly limits?: Partial<StreamsLimits>
  readonly failures?: Partial<FailurePolicies>
  readonly deadLetterTopic?: string
  /** Told what happens. Default: nobody. */
  readonly onEvent?: (event: StreamsEvent) => void
}

/** Bytes of the largest record that a topic of a driver takes: any that a test has memory for. */
const MAX_RECORD_BYTES = 1024 * 1024 * 1024

/**
 * Starts a topology over an empty log. Rejects with what the app cannot start of.
 *
 * ```ts
 * await using driver = await topologyTestDriver(words)
 * const lines = driver.input('lines', { key: text, value: text })
 * const counts = driver.output('counts', { key: text, value: int64 })
 * await lines.pipe('1', 'to be or not to be')
 * expect(await counts.readKeyValues()).toContainEqual(['to', 2n])
 * expect(await driver.store<string, bigint>('words').get('be')).toBe(2n)
 * ```
 */
export async function topologyTestDriver(
  topology: Topology,
  options: TestDriverOptions = {},
): Promise<TopologyTestDriver> {
  const { clock, wallClockMs, partitions = 1, registry, limits, ...rest } = options
  const start = wallClockMs === undefined ? {} : { startMs: wallClockMs }
  const driven = new DrivenApp({
    ...rest,
    topology,
    topics: topicsOf(topology, partitions),
    clock: clock ?? handClock(start),
    registry: registry ?? memoryRegistry(),
    limits: { commitIntervalMs: 0, ...limits },
  })
  try {
    await driven.start()
    return new TopologyTestDriver(topology, driven, await driven.log.admin.describeTopics())
  } catch (error) {
    // Whatever closing says, this is why.
    await driven.close().catch(() => {})
    throw error
  }
}

/** A topology that runs in a test. Disposing it stops the app cleanly and rejects with MILLRACE_TEST_LEFTOVERS where something of it goes on. */
export class TopologyTestDriver implements AsyncDisposable {
  readonly #topology: Topology
  readonly #driven: DrivenApp
  readonly #partitions: ReadonlyMap<Topic, number>

  /** Made by `topologyTestDriver`. */
  constructor(topology: Topology, driven: DrivenApp, topics: readonly TopicDescription[]) {
    this.#topology = topology
    this.#driven = driven
    this.#partitions = new Map(topics.map(({ topic, partitions }) => [topic, partitions]))
  }

  /** The driver's clock, for services that take time. Move it by `advanceWallClock`, which waits for what is due. */
  get clock(): HandClock {
    return this.#driven.clock
  }

  /** A topic that the topology reads, to pipe records into. Asserts that it reads it. */
  input<K, V>(topic: string, options: InputOptions<K, V>): TestInputTopic<K, V> {
    const sources = this.#topology.nodes.filter((node) => node.kind === 'source')
    const source = sources.find(({ topics }) => topics.some((name) => name === topic))
    if (source === undefined) {
      const known = new Set(sources.flatMap(({ topics }) => topics))
      throw new TypeError(`${this.#topology.name} reads no topic ${topic}; it reads ${list(known)}`)
    }
    const { partitionBy } = source
    const partitioning = { partitions: this.#partitionsOf(topic), partitionBy }
    return new TestInputTopic(this.#driven, topic, { options, partitioning })
  }

  /** A topic to read from its beginning: any that is there, changelogs and the dead-letter topic included. Asserts that it is there. */
  output<K, V>(topic: string, options: OutputOptions<K, V>): TestOutputTopic<K, V> {
    return new TestOutputTopic(this.#driven, topic, {
      options,
      partitions: this.#partitionsOf(topic),
    })
  }

  /** A store of the topology; K and V are what it was declared with. Asserts that it has it. */
  store<K, V>(name: string, options?: LocalStoreOptions): LocalStore<K, V> {
    return this.#driven.app.store(name, options)
  }

  /** A store of windows; K and V are what it was declared with. Asserts that the topology has it. */
  windowStore<K, V>(name: string, options?: LocalStoreOptions): LocalWindowStore<K, V> {
    return this.#driven.app.windowStore(name, options)
  }

  /** A store of sessions; K and V are what it was declared with. Asserts that the topology has it. */
  sessionStore<K, V>(name: string, options?: LocalStoreOptions): LocalSessionStore<K, V> {
    return this.#driven.app.sessionStore(name, options)
  }

  /** What the steps have counted so far. */
  counters(): readonly Counter[] {
    return this.#driven.app.counters()
  }

  /** Lets time pass on the wall clock, and what is due in it happen. Stream time is the records' own and does not move by it. */
  async advanceWallClock(byMs: number): Promise<void> {
    await this.#driven.inTurn(() => this.#driven.advance(byMs))
  }

  /**
   * Resolves when no asynchronous step waits for anything and all is committed. Unless told otherwise
   * it moves the driver's clock for that (SettleOptions); a service of the test that answers by hand
   * has to be told its answers before. Rejects with what the app failed of, and with
   * MILLRACE_TEST_NOT_SETTLED where an answer does not come in time.
   */
  async settle(options: SettleOptions = {}): Promise<void> {
    await this.#driven.inTurn(() => this.#driven.settle(options))
  }

  /**
   * Ends the app (cleanly, or as kill -9 would) and starts it again over the same log and the same
   * disks: what a deployment, or a crash, does to a topology. An app that has failed may be started
   * again too. Inputs and outputs go on; stores are asked for anew, and counters begin at 0.
   */
  async restart(after: RestartAfter = 'stop'): Promise<void> {
    await this.#driven.restart(after)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driven.close()
  }

  #partitionsOf(topic: string): number {
    const partitions = this.#partitions.get(asTopic(topic))
    if (partitions !== undefined) return partitions
    throw new TypeError(`there is no topic ${topic}; there are ${list(this.#partitions.keys())}`)
  }
}

/** The topics that an author would create before the app starts. */
function topicsOf(
  topology: Topology,
  partitions: NonNullable<TestDriverOptions['partitions']>,
): NewTopic[] {
  const topics = new Set<Topic>()
  for (const node of topology.nodes) {
    if (node.kind === 'source') for (const topic of node.topics) topics.add(topic)
    if (node.kind === 'sink') topics.add(node.topic)
  }
  // Those that the app makes for itself are its own business.
  for (const { topic } of topology.repartitions) topics.delete(topic)
  const config = { 'max.message.bytes': String(MAX_RECORD_BYTES) }
  return [...topics].map((topic) => ({
    topic,
    partitions: typeof partitions === 'number' ? partitions : (partitions[topic] ?? 1),
    config,
  }))
}

function list(names: Iterable<string>): string {
  return [...names].join(', ') || 'none'
}
