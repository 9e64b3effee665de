/**
 * The log as its one process has it: topics, partitions, groups and producers over one index. This
 * half stands where a broker does in Kafka, and knows nothing of the port's readers and producers,
 * which are its clients within the process.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asPartition, type Topic, type TopicPartition } from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import type { TopicFacts } from './broker.ts'
import { GroupCoordinator } from '../group-coordinator.ts'
import { logClosed, topicExists, unknownPartition } from '../log-errors.ts'
import type { NewTopic, TopicConfig } from '../transport.ts'
import { Cleaner, type CleanerOptions } from './cleaner.ts'
import type { GroupOffset, GroupOffsets } from './group-offsets.ts'
import { partitionKeys, TOPIC_PREFIX, type TopicRow } from './index-rows.ts'
import type { EmbeddedLogOptions, TaskAnswer } from './limits.ts'
import type { RowChange } from './log-index.ts'
import { openPartition } from './open-partition.ts'
import type { LogResources, PartitionLog } from './partition-log.ts'
import type { Producers } from './producers.ts'
import { configProblem, topicPolicy, type TopicPolicy } from './topic-policy.ts'

/** The default of `max.message.bytes`, as in Kafka. */
const MAX_MESSAGE_BYTES = 1_048_576

/** A topic that exists. */
export interface TopicLog {
  readonly topic: Topic
  readonly topicId: string
  readonly config: TopicConfig
  readonly policy: TopicPolicy
  readonly partitions: readonly PartitionLog[]
  readonly facts: TopicFacts
}

/** What an opened log is made of. */
export interface EmbeddedLogParts {
  readonly path: string
  readonly topicsFolder: string
  readonly resources: LogResources
  readonly topics: Map<Topic, TopicLog>
  readonly groups: GroupOffsets
  readonly producers: Producers
  readonly partitionsPerTopic: number
  readonly cleaning: Pick<CleanerOptions, 'limits' | 'onFailed'>
  readonly holderTask: EmbeddedLogOptions['holderTask']
  /** Gives the folder free. */
  readonly release: () => Promise<void>
}

/** An opened embedded log. */
export class EmbeddedLog implements AsyncDisposable {
  readonly producers: Producers
  readonly groups: GroupOffsets
  readonly members: GroupCoordinator
  readonly cleaner: Cleaner
  readonly #parts: EmbeddedLogParts
  readonly #topics: Map<Topic, TopicLog>
  readonly #topicWatchers = new Set<(topic: Topic) => void>()
  /** Until the topic that is made or deleted now is. */
  #changing: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(parts: EmbeddedLogParts) {
    this.#parts = parts
    this.producers = parts.producers
    this.groups = parts.groups
    this.members = new GroupCoordinator(parts.resources.clock)
    this.#topics = parts.topics
    const partitions = (): Iterable<PartitionLog> => this.#partitions()
    this.cleaner = new Cleaner({ ...parts.cleaning, clock: parts.resources.clock, partitions })
  }

  get resources(): LogResources {
    return this.#parts.resources
  }

  /** Throws MILLRACE_LOG_CLOSED once the log is closed. */
  assertOpen(): void {
    if (this.#closed !== undefined) throw logClosed(`embedded log in ${this.#parts.path}`)
  }

  /** The topics that exist, in the order of their names. */
  topics(): readonly TopicLog[] {
    return [...this.#topics.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1))
  }

  topic(topic: Topic): TopicLog | undefined {
    return this.#topics.get(topic)
  }

  /** A partition. Throws MILLRACE_UNKNOWN_PARTITION. */
  partition(at: TopicPartition): PartitionLog {
    const partition = this.#topics.get(at.topic)?.partitions[at.partition]
    if (partition === undefined) throw unknownPartition(at)
    return partition
  }

  /** What only the holder of the folder may do beside the log. */
  async runTask(request: unknown): Promise<TaskAnswer> {
    const { holderTask } = this.#parts
    if (holderTask === undefined) throw new TypeError('the holder of the log has no task')
    return await holderTask(request)
  }

  /** Calls `run` whenever a topic was made or deleted. Returns what ends that. */
  watchTopics(run: (topic: Topic) => void): () => void {
    this.#topicWatchers.add(run)
    return () => {
      this.#topicWatchers.delete(run)
    }
  }

  /**
   * Makes a topic; one that has this id is there already. Rejects with MILLRACE_TOPIC_EXISTS where
   * another one has the name, and then that one outlives this process.
   */
  createTopic(wanted: NewTopic, topicId = this.resources.clock.uuid()): Promise<void> {
    return this.#inTurn(() => this.#create(wanted, topicId))
  }

  /** Deletes a topic with its records and the offsets of groups in it. One of another id than is given is let be. */
  deleteTopic(topic: Topic, topicId?: string): Promise<void> {
    return this.#inTurn(async () => {
      const deleted = this.#topics.get(topic)
      if (topicId !== undefined && deleted?.topicId !== topicId) return
      if (deleted === undefined) throw unknownPartition({ topic, partition: asPartition(0) })
      await this.#delete(deleted)
    })
  }

  /** Commits offsets outside any transaction. */
  async commitOffsets(offsets: readonly GroupOffset[]): Promise<void> {
    await this.#write(this.groups.rows(offsets))
    this.groups.apply(offsets)
  }

  /** Forgets what a group has committed. */
  async deleteGroup(groupId: string): Promise<void> {
    const rows = this.groups.deletingRows(groupId)
    await this.#write(rows)
    this.groups.delete(rows)
  }

  /** Waits for what is under way, closes every file and gives the folder free. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Topics are made and deleted one after the other: two of one name would take each other's rows and files. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const changed = this.#changing.then(change)
    this.#changing = changed.catch(() => undefined)
    return changed
  }

  async #create({ topic, partitions, config = {} }: NewTopic, topicId: string): Promise<void> {
    const existing = this.#topics.get(topic)
    if (existing?.topicId === topicId) return
    if (existing !== undefined) throw topicExists(topic)
    assertCreatable({ topic, partitions, config }, this.#parts.partitionsPerTopic)
    const row: TopicRow = { topicId, partitions, config }
    // What a deletion left behind when its process died.
    await rm(join(this.#parts.topicsFolder, topic), { recursive: true, force: true })
    const opened = await openTopic(topic, row, { ...this.#parts, keepSequencesSince: 0 })
    // Only then may anybody see it: what is written to a topic without a row is lost with this process.
    await this.#write([{ key: `${TOPIC_PREFIX}${topic}`, value: row }])
    this.#topics.set(topic, opened)
    for (const run of this.#topicWatchers) run(topic)
  }

  async #delete({ topic, partitions }: TopicLog): Promise<void> {
    this.#topics.delete(topic)
    for (const run of this.#topicWatchers) run(topic)
    const rows: RowChange[] = [{ key: `${TOPIC_PREFIX}${topic}`, value: undefined }]
    for (const partition of partitions) {
      await partition.stop(unknownPartition(partition))
      await this.cleaner.leave(partition)
      rows.push(...(await this.#rowsOf(partition)))
    }
    await this.#write([...rows, ...this.groups.forgettingRows(topic)])
    this.groups.forget(topic)
    const folder = join(this.#parts.topicsFolder, topic)
    await this.resources.files.drop(join(folder, '/'))
    await rm(folder, { recursive: true, force: true })
  }

  async #close(): Promise<void> {
    const failure = logClosed(`embedded log in ${this.#parts.path}`)
    this.members.close(failure)
    await this.#changing
    await this.cleaner.stop()
    await this.producers.close()
    for (const partition of this.#partitions()) await partition.stop(failure)
    try {
      await this.resources.index.close()
      await this.resources.files.close()
    } finally {
      await this.#parts.release()
    }
  }

  *#partitions(): Generator<PartitionLog> {
    for (const { partitions } of this.#topics.values()) yield* partitions
  }

  async #rowsOf(partition: PartitionLog): Promise<readonly RowChange[]> {
    const keys = partitionKeys(partition.topicId, partition.partition)
    const { end, start, cleaned, ...prefixes } = keys
    const rows: RowChange[] = [end, start, cleaned].map((key) => ({ key, value: undefined }))
    for (const prefix of Object.values(prefixes)) {
      for (const [rest] of await this.resources.index.list(prefix)) {
        rows.push({ key: prefix + rest, value: undefined })
      }
    }
    return rows
  }

  async #write(rows: readonly RowChange[]): Promise<void> {
    await this.resources.index.write(rows, { sync: this.resources.durability === 'fsync' })
  }
}

function assertCreatable(
  { topic, partitions, config }: NewTopic,
  partitionsPerTopic: number,
): void {
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > partitionsPerTopic) {
    const what = `a number of partitions from 1 to ${partitionsPerTopic}, not ${partitions}`
    throw unusableTopic(topic, what)
  }
  const bytes = config?.['max.message.bytes']
  if (bytes !== undefined && !/^[1-9][0-9]{0,9}$/.test(bytes)) {
    throw unusableTopic(topic, `a max.message.bytes that is a whole number of bytes, not ${bytes}`)
  }
  const problem = configProblem(config ?? {})
  if (problem !== undefined) throw unusableTopic(topic, problem)
}

function unusableTopic(topic: Topic, what: string): TransportError {
  return new TransportError('MILLRACE_TOPIC_CONFIG', 'fatal', {
    message: `Topic ${topic} was not created: it needs ${what}. Correct that and create it again.`,
    place: topic,
  })
}

/** Opens the partitions of a topic. */
export async function openTopic(
  topic: Topic,
  row: TopicRow,
  from: {
    readonly topicsFolder: string
    readonly resources: LogResources
    readonly keepSequencesSince: number
  },
): Promise<TopicLog> {
  const { topicId, config } = row
  const opening = Array.from({ length: row.partitions }, (_, number) => {
    const folder = join(from.topicsFolder, topic, String(number))
    const place = { topic, partition: asPartition(number), topicId, folder, config }
    const { keepSequencesSince } = from
    return openPartition({ ...place, keepSequencesSince }, from.resources)
  })
  const partitions = await Promise.all(opening)
  const maxMessageBytes = Number(config['max.message.bytes'] ?? MAX_MESSAGE_BYTES)
  const policy = topicPolicy(config, from.resources)
  const { compacts } = policy
  const facts = { topic, topicId, partitions: row.partitions, maxMessageBytes, compacts }
  return { topic, topicId, config, policy, partitions, facts }
}
