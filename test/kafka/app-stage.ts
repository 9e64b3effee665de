/**
 * Where a test of a whole app takes place: topics of its own on a real cluster, numbers that are fed
 * to them past whatever the test does to the app's own way to the brokers, and what is committed of
 * what the app makes of them.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../model/clock.ts'
import { hours } from '../../model/duration.ts'
import { partitionForKey } from '../../model/murmur2.ts'
import { asOffset, asPartition, asTopic, type Topic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import type { Reference } from '../../processors/payloads.ts'
import { referenceSerde } from '../../processors/reference-serde.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import type { StreamsEvent, StreamsLimits, StreamsOptions } from '../../runtime/config.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { KafkaOptions } from '../../transport/kafka/options/kafka-options.ts'
import type { Isolation, TopicConfig, Transport } from '../../transport/transport.ts'

const clock = systemClock()
const KEYS = 7

/** Limits of apps that are soon at work again after a failure. */
const QUICK: Partial<StreamsLimits> = { commitIntervalMs: 20, restartBackoffMs: 50 }

/** How the app of a stage comes to its brokers, where that is not as everybody does. */
export type AppsWay = Partial<KafkaOptions>

/** A record as a test compares it. */
export interface Seen {
  readonly key: string
  readonly value: string
}

/** One test's topics and apps. */
export class AppStage implements AsyncDisposable {
  /** The test's own way to the brokers. */
  readonly log: Transport
  /** The way of the apps. */
  readonly way: Transport
  readonly application: string
  readonly clock = clock
  /** Removed at the end. */
  readonly folder: string
  /** Time by which each record of `send` is later than the one before; by itself all are of now. */
  stepMs = 0
  /** What the apps said, in order. */
  readonly events: StreamsEvent[] = []
  readonly #brokers: readonly string[]
  readonly #ways = new AsyncDisposableStack()
  readonly #apps: StreamsApp[] = []
  #fed = 0
  #sent = 0

  private constructor(parts: {
    readonly brokers: readonly string[]
    readonly folder: string
    readonly log: Transport
    readonly way: Transport
  }) {
    this.log = this.#ways.use(parts.log)
    this.way = this.#ways.use(parts.way)
    this.#brokers = parts.brokers
    this.folder = parts.folder
    this.application = `stage-${clock.uuid().slice(0, 8)}`
  }

  static async open(brokers: readonly string[], own: AppsWay = {}): Promise<AppStage> {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-stage-'))
    const log = await openKafka({ brokers, clock })
    const way = await openKafka({ brokers, clock, ...own })
    return new AppStage({ brokers, folder, log, way })
  }

  /** One more way of apps, closed with the stage. */
  async anotherWay(way: AppsWay): Promise<Transport> {
    return this.#ways.use(await openKafka({ brokers: this.#brokers, clock, ...way }))
  }

  /** The name of a topic of this test. */
  topic(name: string): Topic {
    return asTopic(`${this.application}.${name}`)
  }

  async create(name: string, partitions = 1, config: TopicConfig = {}): Promise<Topic> {
    const topic = this.topic(name)
    await this.log.admin.createTopics([{ topic, partitions, config }])
    return topic
  }

  /** An app, which is closed with the stage. Its state outlives it. */
  app(of: Topology, options: Partial<StreamsOptions> = {}): StreamsApp {
    const app = streams(of, {
      application: this.application,
      transport: this.way,
      registry: memoryRegistry(),
      clock,
      state: { kind: 'folder', folder: join(this.folder, 'state') },
      onEvent: (event) => this.events.push(event),
      ...options,
      limits: { ...QUICK, ...options.limits },
    })
    this.#apps.push(app)
    return app
  }

  /** Counts what comes in `in` by key, and writes every count to `out`. */
  counting(): Topology {
    return topology('counting', ({ stream }) => {
      stream(this.topic('in'), { key: text, value: text })
        .groupByKey()
        .count({ store: 'counts' })
        .toStream()
        .mapValues(String, { value: text })
        .to(this.topic('out'))
    })
  }

  /** Starts an app, and has it do something: the next 50 numbers, over so many partitions. */
  async work(
    app: StreamsApp,
    { partitions, withinMs }: { readonly partitions: number; readonly withinMs: number },
  ): Promise<void> {
    await this.feed(50, partitions)
    await app.start()
    await app.caughtUp(AbortSignal.timeout(withinMs))
  }

  /** Writes to `out` what comes in `in`. */
  copying(): Topology {
    return topology('copying', ({ stream }) => {
      stream(this.topic('in'), { key: text, value: text }).to(this.topic('out'))
    })
  }

  /** Writes the values of `in` when their keys come in `late`, or why they are not there. */
  referring(): Topology {
    return topology('referring', ({ stream }) => {
      const references = stream(this.topic('in'), { key: text, value: text }).byReference()
      const late = stream(this.topic('late'), { key: text, value: text })
      references
        .joinOnce('late', late, (reference) => reference, {
          expireAfter: hours(1),
          value: referenceSerde<string>(),
        })
        .dereference({
          from: references,
          select: (reference: Reference<string>) => reference,
          replace: (_: Reference<string>, value: string | null) => String(value),
          value: text,
          onFailure: { fallback: (_, error) => error.message },
        })
        .to(this.topic('out'))
    })
  }

  /** How many numbers were fed so far. */
  get fed(): number {
    return this.#fed
  }

  /** The next numbers, as records of `in`, each under the key that follows from it. */
  async feed(numbers: number, partitions: number): Promise<void> {
    const first = this.#fed
    this.#fed += numbers
    const records = Array.from({ length: numbers }, (_, i) => ({
      key: keyOf(first + i),
      value: String(first + i),
    }))
    await this.send('in', records, partitions)
  }

  async send(name: string, records: readonly Seen[], partitions = 1): Promise<void> {
    await using producer = this.log.openProducer({})
    await producer.init()
    for (const { key, value } of records) {
      const [bytes, topic] = [Buffer.from(key), this.topic(name)]
      producer.send({
        topic,
        partition: asPartition(partitionForKey(bytes, partitions)),
        key: bytes,
        value: Buffer.from(value),
        // What is older than its retention may go while it is read.
        timestamp: clock.now() + this.stepMs * this.#sent,
        headers: NO_HEADERS,
      })
      this.#sent += 1
    }
    await producer.flush()
  }

  /** What a topic holds, partition by partition. */
  async read(name: string, isolation: Isolation = 'read_committed'): Promise<readonly Seen[]> {
    const topic = this.topic(name)
    const [described] = await this.log.admin.describeTopics([topic])
    const seen: Seen[] = []
    for (let p = 0; p < (described?.partitions ?? 0); p += 1) {
      const at = { topic, partition: asPartition(p) }
      const [start] = await this.log.admin.offsets([at], 'earliest', isolation)
      const [end] = await this.log.admin.offsets([at], 'latest', isolation)
      await using reader = this.log.openReader({ isolation, prefetchBytes: 1 << 20 })
      const cursor = reader.open({ ...at, offset: start ?? asOffset(0) })
      while (cursor.position < (end ?? 0)) {
        const batch = cursor.take()
        if (batch === undefined) await reader.ready()
        else
          for (const { key, value } of batch.records)
            seen.push({ key: String(key), value: String(value) })
      }
    }
    return seen
  }

  /** The counts that were committed, by key, in the order of their topic. */
  async counts(): Promise<Readonly<Record<string, readonly string[]>>> {
    const counts: Record<string, string[]> = {}
    for (const { key, value } of await this.read('out')) (counts[key] ??= []).push(value)
    return counts
  }

  /** What `counts` must be when everything that was fed is counted once. */
  get expectedCounts(): Readonly<Record<string, readonly string[]>> {
    const counts: Record<string, string[]> = {}
    for (let n = 0; n < this.#fed; n += 1) {
      const own = (counts[keyOf(n)] ??= [])
      own.push(String(own.length + 1))
    }
    return counts
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using closing = new AsyncDisposableStack()
    closing.defer(async () => await rm(this.folder, { recursive: true, force: true }))
    closing.use(this.#ways)
    for (const app of this.#apps) closing.use(app)
  }
}

/** `clock`, with another time of day. */
export function clockAt(now: () => number): Clock {
  return { ...clock, now }
}

function keyOf(n: number): string {
  return `k${n % KEYS}`
}
