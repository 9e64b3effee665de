/**
 * One session of clients with the log that this process holds: its own readers and producers, or
 * those of one other process that a socket speaks for.
 */
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../model/position.ts'
import { unknownPartition } from '../log-errors.ts'
import type { FetchAnswer, FetchRequest } from '../prefetch.ts'
import type { FoundRecord, TopicDescription } from '../transport.ts'
import {
  entersSession,
  type AppendRequest,
  type EndRequest,
  type LogBroker,
  type Question,
  type Questions,
  type TopicFacts,
} from './broker.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { groupAnswers } from './group-answers.ts'
import type { PartitionLog } from './partition-log.ts'
import type { BatchPlace, RawRead, StretchRead } from './region.ts'
import { effectiveConfig } from './topic-policy.ts'

/** Places that are remembered for each partition: one for each reader that is under way in it. */
const PLACES_PER_PARTITION = 16

type Answers = {
  readonly [Q in Question]: (request: Questions[Q]['request']) => Promise<Questions[Q]['answer']>
}

/** What a fetch found, as it lies in the segment. */
export interface RawAnswer {
  readonly read: RawRead | undefined
  readonly lastStableOffset: Offset
}

/** The log, as one session of clients sees it. */
export class LocalBroker implements LogBroker {
  readonly #log: EmbeddedLog
  readonly #answers: Answers
  /** Where in its segment each reader goes on, by the offset that it will ask for. */
  readonly #places = new WeakMap<PartitionLog, Map<number, BatchPlace>>()

  constructor(log: EmbeddedLog) {
    this.#log = log
    this.#answers = answersOf(log, this)
  }

  assertOpen(): void {
    this.#log.assertOpen()
  }

  topic(topic: Topic): TopicFacts | undefined {
    return this.#log.topic(topic)?.facts
  }

  topicId(of: TopicPartition): string | undefined {
    const facts = this.topic(of.topic)
    return facts !== undefined && of.partition < facts.partitions ? facts.topicId : undefined
  }

  async ask<Q extends Question>(
    question: Q,
    request: Questions[Q]['request'],
  ): Promise<Questions[Q]['answer']> {
    this.#log.assertOpen()
    return await this.#answers[question](request)
  }

  async append(request: AppendRequest): Promise<Offset> {
    this.#log.assertOpen()
    if (request.scope !== undefined) entersSession(request.scope, this)
    return await this.#log.producers.append(request, this.#partition(request.at), this)
  }

  async end(request: EndRequest): Promise<void> {
    this.#log.assertOpen()
    await this.#log.producers.end(request, this)
  }

  async fetch(request: FetchRequest): Promise<FetchAnswer> {
    const partition = this.#partition(request)
    const read = await partition.read(request.offset, this.#bounds(partition, request))
    const lastStableOffset = partition.endFor('read_committed')
    if (read === undefined) return { batch: undefined, lastStableOffset }
    this.#remember(partition, request.offset, read)
    const { topic, partition: number } = request
    const { records, leaderEpoch, sizeBytes, release } = read
    const nextOffset = read.nextOffset as Offset
    const batch = { topic, partition: number, records, nextOffset, lastStableOffset, leaderEpoch }
    return { batch: { ...batch, sizeBytes, release }, lastStableOffset }
  }

  /** As `fetch`, for another process to decode. */
  async fetchRaw(request: FetchRequest): Promise<RawAnswer> {
    const partition = this.#partition(request)
    const read = await partition.readRaw(request.offset, this.#bounds(partition, request))
    const lastStableOffset = partition.endFor('read_committed')
    if (read !== undefined) this.#remember(partition, request.offset, read)
    return { read, lastStableOffset }
  }

  async readAt(at: PartitionOffset): Promise<FoundRecord | undefined> {
    const partition = this.#log.partition(at)
    const found = await partition.readAt(at.offset)
    return found && { ...found, topicId: partition.topicId }
  }

  /** As `readAt`, for another process to decode. */
  async readRawAt(
    at: PartitionOffset,
  ): Promise<{ readonly read: RawRead; readonly topicId: string } | undefined> {
    const partition = this.#log.partition(at)
    const read = await partition.readRawAt(at.offset)
    return read && { read, topicId: partition.topicId }
  }

  watch(of: TopicPartition, onChange: () => void): () => void {
    const partition = this.#log.topic(of.topic)?.partitions[of.partition]
    return partition === undefined ? () => {} : partition.watch(onChange)
  }

  /** Aborts the transactions that were begun in this session, for its process is gone. */
  async leave(): Promise<void> {
    await this.#log.producers.leave(this)
  }

  #partition(at: TopicPartition & { readonly topicId: string }): PartitionLog {
    this.#log.assertOpen()
    const partition = this.#log.partition(at)
    if (partition.topicId !== at.topicId) throw unknownPartition(at)
    return partition
  }

  #bounds(partition: PartitionLog, { offset, isolation, maxBytes }: FetchRequest) {
    return { isolation, maxBytes, place: this.#places.get(partition)?.get(offset) }
  }

  #remember(partition: PartitionLog, offset: Offset, read: StretchRead): void {
    let places = this.#places.get(partition)
    if (places === undefined) {
      places = new Map()
      this.#places.set(partition, places)
    }
    places.delete(offset)
    places.set(read.nextOffset, read.nextPlace)
    if (places.size <= PLACES_PER_PARTITION) return
    const [oldest] = places.keys()
    if (oldest !== undefined) places.delete(oldest)
  }
}

function answersOf(log: EmbeddedLog, session: object): Answers {
  return {
    describeTopics: async ({ topics }) => describeTopics(log, topics),
    createTopic: async ({ topicId, ...topic }) => {
      await log.createTopic(topic, topicId)
      return null
    },
    deleteTopic: async ({ topic, topicId }) => {
      await log.deleteTopic(topic, topicId)
      return null
    },
    deleteRecords: async (at) => {
      await log.partition(at).cleaning.deleteBefore(at.offset)
      return null
    },
    offsets: async ({ partitions, end, isolation }) =>
      partitions.map((at) => {
        const partition = log.partition(at)
        return end === 'earliest' ? partition.start : partition.endFor(isolation)
      }),
    committedOffsets: async ({ groupId, partitions }) =>
      log.groups.committed(groupId, partitions).map((offset) => offset ?? null),
    commitOffsets: async ({ group, offsets }) => {
      log.members.assertMayCommit(group, 'alone')
      const { groupId } = group
      await log.commitOffsets(offsets.map((offset) => ({ groupId, offset })))
      return null
    },
    deleteGroup: async ({ groupId }) => {
      log.members.assertEmpty(groupId)
      await log.deleteGroup(groupId)
      return null
    },
    initProducer: (request) => log.producers.init(request),
    checkProducer: async ({ identity }) => {
      log.producers.assertOpenTo(identity)
      return null
    },
    addOffsets: async ({ identity, offsets, group }) => {
      log.producers.assertOpenTo(identity)
      log.members.assertMayCommit(group, 'in-transaction')
      log.producers.addOffsets(identity, { groupId: group.groupId, offsets }, session)
      return null
    },
    ...groupAnswers(log.members),
    holderTask: ({ words }) => log.runTask(words),
    compact: async (of) => {
      await log.cleaner.compact(log.partition(of))
      return null
    },
  }
}

function describeTopics(
  log: EmbeddedLog,
  topics: readonly Topic[] | undefined,
): readonly TopicDescription[] {
  const found =
    topics === undefined
      ? log.topics()
      : topics.map((topic) => log.topic(topic)).filter((topic) => topic !== undefined)
  return found.map(({ topic, topicId, config, policy, partitions }) => ({
    topic,
    topicId,
    config: effectiveConfig(config, policy),
    partitions: partitions.length,
  }))
}
