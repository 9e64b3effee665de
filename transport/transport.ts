/**
 * The log port: a partitioned append-only log as a streams runtime needs it. Small on purpose, and
 * shaped by the record loop rather than by a client library: manual assignment, batches handed out
 * without waiting, sends without waiting, errors of four kinds. Groups are not the reader's
 * business (transport/membership.ts has them). Every implementation passes transport/conformance.ts, which covers each sentence here.
 */
import type { Headers, LogRecord } from '../model/record.ts'
import type {
  Offset,
  Partition,
  PartitionOffset,
  Topic,
  TopicPartition,
} from '../model/position.ts'
import type { GroupMemberDescription, Membership, MembershipOptions } from './membership.ts'

/** A log: Kafka, the embedded log of one machine, or the memory log of tests. */
export interface Transport extends AsyncDisposable {
  readonly admin: Admin
  openReader(options: ReaderOptions): Reader
  openProducer(options: ProducerOptions): Producer
  /** A member of a group, which joins when it is started. Closing the log lets it leave. */
  openMembership(options: MembershipOptions): Membership
}

/** read_committed hides records of aborted and of open transactions; read_uncommitted shows all. */
export type Isolation = 'read_committed' | 'read_uncommitted'

// ---------------------------------------------------------------------------------------- admin

/** Kafka's topic configuration by Kafka's names, e.g. `cleanup.policy`, `max.message.bytes`, `retention.ms`. */
export type TopicConfig = Readonly<Record<string, string>>

/** A topic to create. */
export interface NewTopic {
  readonly topic: Topic
  readonly partitions: number
  readonly config?: TopicConfig
}

/** What is known of a topic. */
export interface TopicDescription {
  readonly topic: Topic
  /** Changes when the topic is deleted and created again. A UUID. */
  readonly topicId: string
  readonly partitions: number
  readonly config: TopicConfig
}

/** A group's offset for a partition, with what was stored beside it. */
export interface CommittedOffset extends PartitionOffset {
  readonly metadata: string
}

/** Which end of a partition: the first offset that is kept, or the one the next record gets (under read_committed: the last stable offset). */
export type LogEnd = 'earliest' | 'latest'

/** Questions about and changes to the log as a whole. */
export interface Admin {
  /** The topics of `topics` that exist; all topics where it is left out. */
  describeTopics(topics?: readonly Topic[]): Promise<readonly TopicDescription[]>
  /** Creates topics; one that exists is MILLRACE_TOPIC_EXISTS and creates none of the others after it. */
  createTopics(topics: readonly NewTopic[]): Promise<void>
  deleteTopics(topics: readonly Topic[]): Promise<void>
  /**
   * Deletes the records of each partition before an offset, which becomes its earliest; at or below
   * the earliest there is nothing to do. Beyond the last stable offset is MILLRACE_OFFSET_OUT_OF_RANGE,
   * and an unknown partition MILLRACE_UNKNOWN_PARTITION: partitions named before it may have been done.
   */
  deleteRecords(before: readonly PartitionOffset[]): Promise<void>
  /** In the order asked. An unknown partition is MILLRACE_UNKNOWN_PARTITION. */
  offsets(
    partitions: readonly TopicPartition[],
    end: LogEnd,
    isolation: Isolation,
  ): Promise<readonly Offset[]>
  /**
   * A group's committed offsets, in the order asked; undefined where none was committed. While a
   * transaction that commits one of them is open the answer is not known: the call rejects with
   * MILLRACE_OFFSETS_PENDING (kind retriable), never with "none".
   */
  committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly (CommittedOffset | undefined)[]>
  /**
   * Commits offsets outside any transaction (at-least-once), on behalf of a member where one is
   * given. MILLRACE_GROUP_FENCED (kind abortable) where the group does not have that member in that
   * generation, and where no member is given while the group has some; MILLRACE_GROUP_INSTANCE_FENCED
   * (kind abortable) where another process took over the member's instance id.
   */
  commitOffsets(
    groupId: string,
    offsets: readonly CommittedOffset[],
    member?: GroupMetadata,
  ): Promise<void>
  /**
   * Forgets a group with its committed offsets; one that does not exist is nothing.
   * MILLRACE_GROUP_HAS_MEMBERS where it has members, and MILLRACE_OFFSETS_PENDING (kind retriable) where
   * an open transaction is about to commit offsets of it.
   */
  deleteGroup(groupId: string): Promise<void>
  /** The members of a group and what they were last assigned; none where there is no such group. */
  describeGroup(groupId: string): Promise<readonly GroupMemberDescription[]>
}

// --------------------------------------------------------------------------------------- reader

/** How a reader behaves. */
export interface ReaderOptions {
  readonly isolation: Isolation
  /**
   * Bound on the bytes of batches fetched and not yet taken, over all cursors. A cursor with an
   * empty queue may always fetch one batch, so the real bound is this + cursors x largest batch.
   */
  readonly prefetchBytes: number
}

/** Where a cursor begins. */
export interface CursorStart extends PartitionOffset {
  /**
   * Of the record before, where it is known: where an election cut that record off, the cursor fails
   * with MILLRACE_LOG_TRUNCATED instead of reading what took its place. A log without elections does
   * not look at it.
   */
  readonly leaderEpoch?: number | undefined
}

/** Fetches ahead from partitions that are assigned by hand. */
export interface Reader extends AsyncDisposable {
  /** Starts to fetch a partition at an offset. One cursor a partition: opening a second one is an assertion. */
  open(at: CursorStart): Cursor
  /** Bytes fetched and not yet taken. */
  readonly bufferedBytes: number
  /**
   * Resolves when a `take` may answer otherwise than at the last call: a batch arrived, a cursor
   * failed, the last stable offset moved. Rejects with the signal's reason. May wake for nothing.
   */
  ready(signal?: AbortSignal): Promise<void>
  /**
   * Reads the one record at an offset, beside all cursors. Undefined where no record has that offset
   * (a control record, a compacted or purged one, or an offset outside the log).
   * Isolation is read_uncommitted: the caller knows the record was committed.
   */
  readAt(at: PartitionOffset, signal?: AbortSignal): Promise<FoundRecord | undefined>
}

/** A record read by its offset, with what tells it from another that took its place. */
export interface FoundRecord {
  readonly record: LogRecord
  readonly topicId: string
  readonly leaderEpoch: number
}

/** The fetched front of one partition. */
export interface Cursor extends TopicPartition {
  readonly topicId: string
  /**
   * The next batch, or undefined where none is buffered. Never waits. Throws what stopped the
   * cursor: MILLRACE_OFFSET_OUT_OF_RANGE (the message names the log's range; there is no silent
   * reset), MILLRACE_LOG_TRUNCATED, MILLRACE_UNKNOWN_PARTITION, MILLRACE_RECORD_CORRUPT.
   */
  take(): FetchedBatch | undefined
  /** The offset after the last batch taken. */
  readonly position: Offset
  /** Where read_committed ends now, as of the last fetch; undefined before the first. Lag is this - position. */
  readonly lastStableOffset: Offset | undefined
  close(): void
}

/** Records of one partition in offset order, and how far they go. */
export interface FetchedBatch extends TopicPartition {
  /** Visible records; may be empty where the log holds only control, aborted or compacted ones. */
  readonly records: readonly LogRecord[]
  /** Where the next batch begins, control records included: who waits for an end offset always arrives. */
  readonly nextOffset: Offset
  readonly lastStableOffset: Offset
  /** Of the last record; -1 where compaction left nothing that could tell. */
  readonly leaderEpoch: number
  /** Bytes of the batch in memory. */
  readonly sizeBytes: number
  /** Gives the buffers back to the reader's pool: call it at most once, when nothing refers to them any more. Not calling it leaks nothing. */
  release(): void
}

// ------------------------------------------------------------------------------------- producer

/** How a producer behaves. */
export interface ProducerOptions {
  /** Makes the producer transactional under this id. Without it sends are idempotent and visible at once. */
  readonly transactionalId?: string
  /** An open transaction older than this is aborted by the log. */
  readonly transactionTimeoutMs?: number
}

/** A record to append. Without a key it is refused by a compacted topic (MILLRACE_RECORD_WITHOUT_KEY). */
export interface ProducerRecord {
  readonly topic: Topic
  readonly partition: Partition
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly headers: Headers
  /** The CRC-32C of the value's bytes, where it is known: spares reading a large value for it once more. A wrong one makes a batch that the log refuses. */
  readonly valueCrc?: number | undefined
}

/** The member on whose behalf offsets are committed. Without a group: generation -1 and an empty member id. */
export interface GroupMetadata {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly groupInstanceId?: string
}

/**
 * Appends records. A transaction begins by itself with the first send or sendOffsets after init,
 * commit or abort. Order per partition is the order of `send`. Calls are not made side by side,
 * except `send`, which may come at any time between init and close.
 */
export interface Producer extends AsyncDisposable {
  /**
   * Must come first, and may come again after any error. With a transactional id: aborts what a
   * predecessor left open, and fences it: its every later call fails with kind `fenced`.
   */
  init(): Promise<void>
  /** Queues a record and returns. What goes wrong with it is thrown by the next `flush`. The buffers must not be changed until then. */
  send(record: ProducerRecord): void
  /** Bytes queued and not yet acknowledged. */
  readonly bufferedBytes: number
  /** Waits until every record sent before is acknowledged. Returns the offset of the last acknowledged record of each partition since the previous flush. */
  flush(): Promise<readonly PartitionOffset[]>
  /**
   * Puts a group's offsets into the open transaction: they become visible with its records or not at
   * all. MILLRACE_GROUP_FENCED (kind abortable) where the group does not have that member in that
   * generation; the last generation counts until all have joined the next.
   * MILLRACE_GROUP_INSTANCE_FENCED (kind abortable) where another process took over the member's
   * instance id. Without a member (-1 and an empty id) they are taken whoever is in the group.
   */
  sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void>
  /**
   * Commits; on return it is decided that records and offsets are visible: at once where the log is one
   * process, and on a cluster when each partition has the word, milliseconds later as a rule (offsets
   * are MILLRACE_OFFSETS_PENDING until then). With kind `retriable` the outcome is
   * unknown: call commit again (same id and epoch) until it answers. An empty transaction is nothing.
   */
  commit(): Promise<void>
  /** Aborts; on return nothing of the transaction will ever be visible. */
  abort(): Promise<void>
  /**
   * Gives up what is queued, also outside transactions, and lets nothing more leave: whoever may have
   * an heir must not write after it. Only closing is left, which sends nothing then; `send` drops, and
   * a flush under way or to come rejects. What is under way may still arrive.
   */
  discard(): void
}
