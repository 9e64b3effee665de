/** The log port over an embedded log: its administration, its readers and its producers within one process. */
import type { Clock } from '../../model/clock.ts'
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../model/position.ts'
import { PrefetchingReader, type PrefetchOptions } from '../prefetch.ts'
import type {
  Admin,
  CommittedOffset,
  Isolation,
  LogEnd,
  NewTopic,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
  TopicDescription,
  Transport,
} from '../transport.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { EmbeddedProducer } from './embedded-producer.ts'
import { EmbeddedSource } from './embedded-source.ts'
import type { EmbeddedLogLimits } from './limits.ts'
import { effectiveConfig } from './topic-policy.ts'

/** The port of an opened log. Closing it closes what was opened from it. */
export class EmbeddedTransport implements Transport {
  readonly admin: Admin
  readonly #log: EmbeddedLog
  readonly #clock: Clock
  readonly #limits: EmbeddedLogLimits
  readonly #opened = new Set<AsyncDisposable>()
  #closed: Promise<void> | undefined

  constructor(
    log: EmbeddedLog,
    { clock, limits }: { readonly clock: Clock; readonly limits: EmbeddedLogLimits },
  ) {
    this.#log = log
    this.#clock = clock
    this.#limits = limits
    this.admin = new EmbeddedAdmin(log)
  }

  openReader(options: ReaderOptions): Reader {
    this.#log.assertOpen()
    const source = new EmbeddedSource(this.#log)
    const reader: Reader = new EmbeddedReader({ ...options, source, clock: this.#clock }, () =>
      this.#opened.delete(reader),
    )
    this.#opened.add(reader)
    return reader
  }

  openProducer(options: ProducerOptions): Producer {
    this.#log.assertOpen()
    const producer: EmbeddedProducer = new EmbeddedProducer(this.#log, {
      ...options,
      clock: this.#clock,
      limits: this.#limits,
      onClose: () => this.#opened.delete(producer),
    })
    this.#opened.add(producer)
    return producer
  }

  /** Compacts all that is stable of a partition now, whatever its topic's policy says: for tests, and before a copy is taken. */
  async compact(of: TopicPartition): Promise<void> {
    this.#log.assertOpen()
    await this.#log.cleaner.compact(this.#log.partition(of))
  }

  /** Ends as kill -9 does, but gives the folder free: nothing is flushed or aborted. For tests of what a crash leaves. */
  async abandon(): Promise<void> {
    this.#closed ??= this.#log[Symbol.asyncDispose]()
    await this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Readers and producers first, the log in any case. */
  async #close(): Promise<void> {
    await using _log = this.#log
    const closing = await Promise.allSettled(
      [...this.#opened].map(async (each) => {
        await each[Symbol.asyncDispose]()
      }),
    )
    for (const each of closing) if (each.status === 'rejected') throw each.reason as Error
  }
}

/** Tells the log when it is closed, so that the log forgets it. */
class EmbeddedReader extends PrefetchingReader {
  readonly #onClose: () => void

  constructor(options: PrefetchOptions, onClose: () => void) {
    super(options)
    this.#onClose = onClose
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#onClose()
    await super[Symbol.asyncDispose]()
  }
}

class EmbeddedAdmin implements Admin {
  readonly #log: EmbeddedLog

  constructor(log: EmbeddedLog) {
    this.#log = log
  }

  async describeTopics(topics?: readonly Topic[]): Promise<readonly TopicDescription[]> {
    this.#log.assertOpen()
    const found =
      topics === undefined
        ? this.#log.topics()
        : topics.map((topic) => this.#log.topic(topic)).filter((topic) => topic !== undefined)
    return found.map(({ topic, topicId, config, policy, partitions }) => ({
      topic,
      topicId,
      config: effectiveConfig(config, policy),
      partitions: partitions.length,
    }))
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    this.#log.assertOpen()
    for (const topic of topics) await this.#log.createTopic(topic)
  }

  async deleteTopics(topics: readonly Topic[]): Promise<void> {
    this.#log.assertOpen()
    for (const topic of topics) await this.#log.deleteTopic(topic)
  }

  async deleteRecords(before: readonly PartitionOffset[]): Promise<void> {
    this.#log.assertOpen()
    for (const at of before) await this.#log.partition(at).cleaning.deleteBefore(at.offset)
  }

  async offsets(
    partitions: readonly TopicPartition[],
    end: LogEnd,
    isolation: Isolation,
  ): Promise<readonly Offset[]> {
    this.#log.assertOpen()
    return partitions.map((at) => {
      const partition = this.#log.partition(at)
      return end === 'earliest' ? partition.start : partition.endFor(isolation)
    })
  }

  async committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly (CommittedOffset | undefined)[]> {
    this.#log.assertOpen()
    return this.#log.groups.committed(groupId, partitions)
  }

  async commitOffsets(groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    this.#log.assertOpen()
    await this.#log.commitOffsets(offsets.map((offset) => ({ groupId, offset })))
  }
}
