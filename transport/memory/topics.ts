/** The topics of a memory log. */
import assert from 'node:assert/strict'
import type { Clock } from '../../model/clock.ts'
import {
  asPartition,
  type PartitionOffset,
  type Topic,
  type TopicPartition,
} from '../../model/position.ts'
import type { TransportErrorKind } from '../errors.ts'
import { topicExists, unknownPartition } from '../log-errors.ts'
import type { NewTopic, TopicDescription } from '../transport.ts'
import { PartitionLog, type AppendMeter } from './partition-log.ts'

/** Kafka's own default of max.message.bytes, so that a topic made without a limit behaves as there. */
export const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588

interface TopicState {
  readonly description: TopicDescription
  readonly partitions: readonly PartitionLog[]
}

/** Topics by name, in the order they were created. */
export class Topics {
  /** What was appended since the log was made. */
  readonly meter: AppendMeter = { batches: 0, largestBatchBytes: 0 }
  readonly #clock: Clock
  readonly #topics = new Map<Topic, TopicState>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Those of `topics` that exist, or all. */
  describe(topics: readonly Topic[] = [...this.#topics.keys()]): TopicDescription[] {
    return topics.flatMap((topic) => this.#topics.get(topic)?.description ?? [])
  }

  /** Creates one after the other, up to the first that exists. */
  create(topics: readonly NewTopic[]): void {
    for (const { topic, partitions, config = {} } of topics) {
      assert(
        Number.isSafeInteger(partitions) && partitions > 0,
        `${topic} with ${partitions} partitions`,
      )
      if (this.#topics.has(topic)) throw topicExists(topic)
      const description: TopicDescription = Object.freeze({
        topic,
        topicId: this.#clock.uuid(),
        partitions,
        config: Object.freeze({ ...config }),
      })
      this.#topics.set(topic, {
        description,
        partitions: Array.from(
          { length: partitions },
          (_, index) => new PartitionLog(description, asPartition(index), this.meter),
        ),
      })
    }
  }

  /** Deletes a topic, and tells whether there was one. */
  delete(topic: Topic): boolean {
    const state = this.#topics.get(topic)
    this.#topics.delete(topic)
    for (const partition of state?.partitions ?? []) partition.delete()
    return state !== undefined
  }

  /** The partition, or undefined where there is none. */
  find({ topic, partition }: TopicPartition): PartitionLog | undefined {
    return this.#topics.get(topic)?.partitions[partition]
  }

  /** The partition, or MILLRACE_UNKNOWN_PARTITION. */
  get(at: TopicPartition | PartitionOffset, kind?: TransportErrorKind): PartitionLog {
    const found = this.find(at)
    if (found === undefined) throw unknownPartition(at, kind)
    return found
  }

  /** Whether of each key the last record is kept. */
  isCompacted(topic: Topic): boolean {
    const config = this.#topics.get(topic)?.description.config
    return config?.['cleanup.policy']?.includes('compact') === true
  }

  /** Bytes of the largest batch a topic takes. */
  maxMessageBytes(topic: Topic): number {
    const config = this.#topics.get(topic)?.description.config
    return Number(config?.['max.message.bytes'] ?? DEFAULT_MAX_MESSAGE_BYTES)
  }
}
