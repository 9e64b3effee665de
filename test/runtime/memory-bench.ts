/**
 * Apps over the memory log and simulated time: nothing waits for the real clock, and a test says how
 * much time passes. Disks outlive the apps that are killed or closed, as real ones do.
 */
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS, type Headers, type LogRecord } from '../../model/record.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import type { StreamsEvent, StreamsOptions } from '../../runtime/config.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { MemoryHome } from '../../state/home.ts'
import type { MemoryDisk } from '../../state/memory-database.ts'
import { ProcessClock, SimulatedClock } from '../../testing/simulated-clock.ts'
import type { Topology } from '../../topology/graph.ts'
import type { Faults } from '../../transport/memory/faults.ts'
import {
  memoryLog,
  type MemoryConnection,
  type MemoryLog,
} from '../../transport/memory/memory-log.ts'
import type { TopicConfig, Transport } from '../../transport/transport.ts'

/** A record to produce. Timestamps count up from 1,000 where none is given. */
export interface Given {
  readonly key?: string | null
  readonly value?: string | Buffer | null
  readonly timestamp?: number
  readonly partition?: number
  readonly headers?: Headers
}

/** Longest virtual time a `settle` may take. */
const SETTLE_LIMIT_MS = 10 * 60 * 1000

/** A log, disks and the time of one test. */
export class MemoryBench {
  readonly clock = new SimulatedClock(7)
  readonly log: MemoryLog
  readonly registry = memoryRegistry()
  /** Of each unit, by task. */
  readonly disks = new Map<string, Map<string, MemoryDisk>>()
  #nextTimestamp = 1000
  #lives = 0

  constructor(faults?: Faults) {
    this.log = memoryLog({ clock: this.clock, ...(faults === undefined ? {} : { faults }) })
  }

  /** A bench with these topics. */
  static async with(topics: readonly string[], partitions = 1): Promise<MemoryBench> {
    const bench = new MemoryBench()
    await bench.createTopics(topics, partitions)
    return bench
  }

  async createTopics(
    names: readonly string[],
    partitions = 1,
    config: TopicConfig = {},
  ): Promise<void> {
    const topics = names.map((name) => ({ topic: asTopic(name), partitions, config }))
    await this.settle(this.log.admin.createTopics(topics))
  }

  /** An app as a process of its own. */
  life(topology: Topology, options: LifeOptions = {}): Life {
    this.#lives += 1
    return new Life(this, topology, { ...options, name: `life-${this.#lives}` })
  }

  /** An app that has started. */
  async start(topology: Topology, options: LifeOptions = {}): Promise<Life> {
    const life = this.life(topology, options)
    await this.settle(life.app.start())
    return life
  }

  async produce(topic: string, records: readonly Given[]): Promise<void> {
    await using producer = this.log.openProducer({})
    await this.settle(producer.init())
    for (const { key = null, value = null, timestamp, partition = 0, headers } of records) {
      this.#nextTimestamp += 1
      producer.send({
        topic: asTopic(topic),
        partition: asPartition(partition),
        key: key === null ? null : Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        timestamp: timestamp ?? this.#nextTimestamp - 1,
        headers: headers ?? NO_HEADERS,
      })
    }
    await this.settle(producer.flush())
  }

  /** The committed records of a topic's partition. */
  records(topic: string, partition = 0): readonly LogRecord[] {
    return this.log.records({ topic: asTopic(topic), partition: asPartition(partition) })
  }

  /** The same as `key=value` texts. */
  texts(topic: string, partition = 0): readonly string[] {
    return this.records(topic, partition).map(({ key, value }) => `${String(key)}=${String(value)}`)
  }

  /** The committed offset of a partition; undefined where there is none. */
  async committed(group: string, topic: string, partition = 0): Promise<number | undefined> {
    const at = { topic: asTopic(topic), partition: asPartition(partition) }
    const [offset] = await this.settle(this.log.admin.committedOffsets(group, [at]))
    return offset?.offset
  }

  /** Lets time pass until the promise settles. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settle = (): void => void (isSettled = true)
    promise.then(settle, settle)
    await this.clock.runUntil(() => isSettled, SETTLE_LIMIT_MS)
    return await promise
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    let isOver = false
    this.clock.timer(ms, () => void (isOver = true))
    await this.clock.runUntil(() => isOver, ms)
  }

  /** Lets time pass until something holds. */
  async until(holds: () => boolean): Promise<void> {
    const end = this.clock.timer(SETTLE_LIMIT_MS, () => {})
    await this.clock.runUntil(holds, SETTLE_LIMIT_MS - 1)
    end.cancel()
  }
}

/** Options of a life: those of an app, and what stands between it and the log. */
export type LifeOptions = Partial<StreamsOptions> & {
  /** Whose disks the app uses; a process of a group has its own. Default: the only machine's. */
  readonly machine?: string
  readonly wrap?: (transport: Transport) => Transport
}

/** One process that runs an app. */
export class Life {
  readonly app: StreamsApp
  readonly events: StreamsEvent[] = []
  readonly connection: MemoryConnection
  readonly clock: ProcessClock
  readonly #bench: MemoryBench
  readonly #machine: string
  readonly #homes: [string, MemoryHome][] = []

  constructor(
    bench: MemoryBench,
    topology: Topology,
    {
      name,
      machine = '',
      wrap = (transport) => transport,
      ...options
    }: LifeOptions & { readonly name: string },
  ) {
    this.#bench = bench
    this.#machine = machine
    this.clock = new ProcessClock(bench.clock)
    this.connection = bench.log.connect(name)
    this.app = streams(topology, {
      transport: wrap(this.connection),
      registry: bench.registry,
      clock: this.clock,
      state: { kind: 'given', open: async (unit) => this.#open(unit) },
      onEvent: (event) => void this.events.push(event),
      ...options,
    })
  }

  /** Waits until all is done and committed. */
  async caughtUp(): Promise<void> {
    await this.#bench.settle(this.app.caughtUp())
  }

  async close(): Promise<void> {
    await this.#bench.settle(this.app.close())
  }

  /** What the app failed of. */
  async failure(): Promise<Error> {
    return await this.#bench.settle(
      this.app.closed.then(
        () => {
          throw new Error('the app did not fail')
        },
        (error: unknown) => error as Error,
      ),
    )
  }

  /** Ends the process as kill -9 does. */
  kill(): void {
    this.connection.kill()
    this.clock.kill()
    for (const [unit, home] of this.#homes)
      this.#bench.disks.set(
        unit,
        home.crash(() => 'drop'),
      )
  }

  /** The sum of a counter over all tasks and processors. */
  count(name: string): number {
    return this.app
      .counters()
      .filter((counter) => counter.name === name)
      .reduce((sum, { value }) => sum + value, 0)
  }

  #open(folder: string): MemoryHome {
    const unit = this.#machine + folder
    const disks = this.#bench.disks.get(unit)
    const home = new MemoryHome({ processId: unit, ...(disks === undefined ? {} : { disks }) })
    this.#bench.disks.set(unit, home.disks)
    this.#homes.push([unit, home])
    return home
  }
}
