/**
 * Where a test of recovery takes place: an application of its own with its topics, the numbers that
 * are fed to it, and what is committed of what it makes of them. Every number is a record of its own
 * on each input, and its key follows from it, so that each output says which number it came from.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asOffset, asPartition, asTopic, type TopicPartition } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { Isolation, Transport } from '../../transport/transport.ts'
import { TOPICS, type PipelineName, type RecoveryPlace } from './recovery-pipeline.ts'
import { RecoveryProcess } from './recovery-process.ts'
import { until } from './until.ts'

const clock = systemClock()
const KEYS = 7
/** Time between two numbers; those of one key are KEYS times as far apart. */
const STEP_MS = 5

/** What came out. */
export interface Output {
  readonly key: string
  readonly value: string
}

/** The key of a number. */
export function keyOf(n: number): string {
  return `k${n % KEYS}`
}

/** How often each key comes among the first numbers. */
export function countsOf(numbers: number): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let n = 0; n < numbers; n += 1) counts[keyOf(n)] = (counts[keyOf(n)] ?? 0) + 1
  return counts
}

/** What must have come out when so many numbers are processed: per key, in order. */
export function expectedOutputs(pipeline: PipelineName, numbers: number): Record<string, Grouped> {
  const counted: Grouped = {}
  const paired: Grouped = {}
  for (let n = 0; n < numbers; n += 1) {
    const own = (counted[keyOf(n)] ??= [])
    own.push(String(own.length + 1))
    ;(paired[keyOf(n)] ??= []).push(`${n}+${n}`)
  }
  return pipeline === 'windows' ? { windowed: counted } : { paired, counted }
}

/** Values by key, in the order of their topic. */
export type Grouped = Record<string, string[]>

/** One test's application. */
export class RecoveryStage implements AsyncDisposable {
  readonly log: Transport
  readonly application: string
  /** A folder for states, removed at the end. */
  readonly folder: string
  readonly #brokers: readonly string[]
  readonly #pipeline: PipelineName
  readonly #startMs = clock.now()
  readonly #processes: RecoveryProcess[] = []
  #fed = 0

  private constructor(parts: {
    readonly log: Transport
    readonly brokers: readonly string[]
    readonly pipeline: PipelineName
    readonly folder: string
  }) {
    this.log = parts.log
    this.folder = parts.folder
    this.#brokers = parts.brokers
    this.#pipeline = parts.pipeline
    this.application = `recovery-${clock.uuid().slice(0, 8)}`
  }

  /** Makes the topics, of one partition each. */
  static async open(brokers: readonly string[], pipeline: PipelineName): Promise<RecoveryStage> {
    const log = await openKafka({ brokers, clock })
    const folder = await mkdtemp(join(tmpdir(), 'millrace-recovery-'))
    const stage = new RecoveryStage({ log, brokers, pipeline, folder })
    const { inputs, outputs } = TOPICS[pipeline]
    const topics = [...inputs, ...outputs].map((name) => stage.#at(name).topic)
    await log.admin.createTopics(topics.map((topic) => ({ topic, partitions: 1 })))
    return stage
  }

  /** How many numbers there are so far. */
  get fed(): number {
    return this.#fed
  }

  /** Starts a process. */
  start(place: Pick<RecoveryPlace, 'limits'> & Partial<RecoveryPlace>): RecoveryProcess {
    const process = new RecoveryProcess(
      {
        brokers: this.#brokers,
        application: this.application,
        pipeline: this.#pipeline,
        folder: join(this.folder, 'state'),
        ...place,
      },
      clock,
    )
    this.#processes.push(process)
    return process
  }

  /** Writes the next numbers to every input. */
  async feed(numbers: number): Promise<void> {
    await using producer = this.log.openProducer({})
    await producer.init()
    for (const input of TOPICS[this.#pipeline].inputs) {
      for (let n = this.#fed; n < this.#fed + numbers; n += 1) {
        producer.send({
          ...this.#at(input),
          key: Buffer.from(keyOf(n)),
          value: Buffer.from(String(n)),
          timestamp: this.#startMs + n * STEP_MS,
          headers: NO_HEADERS,
        })
      }
    }
    await producer.flush()
    this.#fed += numbers
  }

  /** The end of a topic of the application. */
  async end(name: string, isolation: Isolation): Promise<number> {
    const [end] = await this.log.admin.offsets([this.#at(name)], 'latest', isolation)
    return end ?? 0
  }

  /** What is committed in a topic of the application. */
  async read(name: string): Promise<readonly Output[]> {
    const end = await this.end(name, 'read_committed')
    const [start] = await this.log.admin.offsets([this.#at(name)], 'earliest', 'read_committed')
    const found: Output[] = []
    if (end === start) return found
    await using reader = this.log.openReader({
      isolation: 'read_committed',
      prefetchBytes: 2 ** 20,
    })
    const cursor = reader.open({ ...this.#at(name), offset: start ?? asOffset(0) })
    while (cursor.position < end) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready(AbortSignal.timeout(30_000))
      for (const { key, value } of batch?.records ?? []) {
        found.push({ key: key?.toString() ?? '', value: value?.toString() ?? '' })
      }
    }
    return found
  }

  /** How far the application's offsets go, input by input. */
  async committed(): Promise<readonly number[]> {
    const places = TOPICS[this.#pipeline].inputs.map((name) => this.#at(name))
    const found = await this.log.admin.committedOffsets(this.application, places)
    return found.map((one) => one?.offset ?? 0)
  }

  /** All outputs, by topic and key. */
  async outputs(): Promise<Record<string, Grouped>> {
    const all: Record<string, Grouped> = {}
    for (const name of TOPICS[this.#pipeline].outputs) {
      const grouped: Grouped = (all[name] = {})
      for (const { key, value } of await this.read(name)) {
        // The key of a window is followed by when it begins.
        ;(grouped[key.slice(0, keyOf(0).length)] ??= []).push(value)
      }
    }
    return all
  }

  /** Resolves when so many records are committed in each output. */
  async untilCommitted(numbers: number): Promise<void> {
    for (const name of TOPICS[this.#pipeline].outputs) {
      let count = 0
      const what = (): string =>
        `${numbers} are committed in ${name}, which has ${count}:\n${this.#story()}`
      await until(clock, what, async () => {
        count = (await this.read(name)).length
        return count >= numbers
      })
    }
  }

  /** Resolves when an output has records of a transaction that is open. */
  async untilOpen(name: string): Promise<void> {
    await until(
      clock,
      () => `a transaction is open in ${name}:\n${this.#story()}`,
      async () => {
        return await this.isOpen(name)
      },
    )
  }

  /** Whether a topic has records that are neither committed nor aborted. */
  async isOpen(name: string): Promise<boolean> {
    const committed = await this.end(name, 'read_committed')
    return (await this.end(name, 'read_uncommitted')) > committed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()))
    await this.log[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }

  #at(name: string): TopicPartition {
    return { topic: asTopic(`${this.application}-${name}`), partition: asPartition(0) }
  }

  #story(): string {
    return this.#processes.map(({ story }) => story).join('\n---\n')
  }
}
