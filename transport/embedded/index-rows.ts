/**
 * The rows of the index, one builder of keys and one shape for each kind. Docs and reasons:
 * docs/decisions/embedded-log-format.md. Numbers inside a key are padded, so that LevelDB keeps the
 * rows in the order of their numbers. Only this code writes the rows, and LevelDB checks its own
 * blocks, so that a row read back is cast to its shape.
 */
import type { Offset, Partition, Topic, TopicPartition } from '../../model/position.ts'
import type { CommittedOffset, TopicConfig } from '../transport.ts'

/** How many times the folder was opened: the leader epoch of what is written meanwhile. */
export const OPENS_KEY = 'opens'
/** The producer id that is given out next. */
export const NEXT_PRODUCER_ID_KEY = 'next-producer-id'

/** `topic:<topic>` */
export const TOPIC_PREFIX = 'topic:'
/** A topic that exists. */
export interface TopicRow {
  readonly topicId: string
  readonly partitions: number
  readonly config: TopicConfig
}

/** `transactional-id:<id>` */
export const TRANSACTIONAL_ID_PREFIX = 'transactional-id:'
/** Who may write under a transactional id. */
export interface TransactionalIdRow {
  readonly producerId: number
  readonly producerEpoch: number
  /** When it was last initialized or committed, milliseconds since 1970. */
  readonly usedAt: number
  /** The last transaction of this epoch that was committed, counted from 0; none where none was. */
  readonly committed?: number
  /** Of a transaction under it, which outlives the process that was told it. */
  readonly timeoutMs?: number
}

/** `group:<group>:<topic>:<partition>` */
export const GROUP_PREFIX = 'group:'
/** A committed offset. */
export interface GroupRow {
  readonly offset: number
  readonly metadata: string
}

/** `end:<topic id>:<partition>` */
export interface EndRow {
  /** The offset that the next record gets. */
  readonly end: number
  /** The base offset of the segment that it goes to. */
  readonly segment: number
  /** Bytes of that segment that count. */
  readonly bytes: number
  /** The largest timestamp of its records, milliseconds since 1970. Format 1 had none. */
  readonly newest?: number
  /** When its first record was written, milliseconds since 1970; none while it is empty. */
  readonly since?: number
}

/** `segment:<topic id>:<partition>:<base offset>`, for segments that are complete. Format 1 had their bytes alone. */
export type SegmentRow =
  | number
  | {
      readonly bytes: number
      /** The largest timestamp of its records, milliseconds since 1970. */
      readonly newest: number
      /** How often compaction rewrote it, which is part of its file's name. */
      readonly rewrites: number
    }

/** `start:<topic id>:<partition>`: the first offset that is kept. No row is 0. */
export type StartRow = number

/** `cleaned:<topic id>:<partition>`: how far compaction came. */
export interface CleanedRow {
  /** The first offset whose key no round has taken in. */
  readonly dirty: number
  /** Since when the tombstones before an offset are all that is left of their keys. Ascending. */
  readonly tombstones: readonly TombstoneRow[]
}

/** An offset, and the time in milliseconds since 1970. */
export type TombstoneRow = readonly [before: number, since: number]

/** `batch:<topic id>:<partition>:<base offset>`, for some batches: where in its segment the batch begins. */
export type BatchRow = number

/** `open:<topic id>:<partition>:<producer id>`: the first offset of a transaction that is open there. */
export type OpenRow = number

/** `aborted:<topic id>:<partition>:<producer id>:<first offset>`: the last offset of an aborted transaction. */
export type AbortedRow = number

/** `sequence:<topic id>:<partition>:<producer id>`: what an idempotent producer wrote last. */
export interface SequenceRow {
  readonly epoch: number
  /** When, milliseconds since 1970. */
  readonly usedAt: number
  /** The last appends, oldest first. */
  readonly appends: readonly AppendRow[]
}

/** First and last sequence, first and last offset of one append. */
export type AppendRow = readonly [number, number, number, number]

/** The key builders of one partition's rows. */
export interface PartitionKeys {
  readonly end: string
  readonly start: string
  readonly cleaned: string
  readonly segmentPrefix: string
  readonly batchPrefix: string
  readonly openPrefix: string
  readonly abortedPrefix: string
  readonly sequencePrefix: string
}

/** The keys of a partition. They name the topic by its id, so that a topic made anew finds none of its predecessor's rows. */
export function partitionKeys(topicId: string, partition: number): PartitionKeys {
  const of = `${topicId}:${partition}`
  return {
    end: `end:${of}`,
    start: `start:${of}`,
    cleaned: `cleaned:${of}`,
    segmentPrefix: `segment:${of}:`,
    batchPrefix: `batch:${of}:`,
    openPrefix: `open:${of}:`,
    abortedPrefix: `aborted:${of}:`,
    sequencePrefix: `sequence:${of}:`,
  }
}

/** A number in a key: as many digits as 2^53 has. */
export function padded(n: number): string {
  return n.toString().padStart(16, '0')
}

/** The key of a group's offset for a partition. */
export function groupKey(groupId: string, { topic, partition }: TopicPartition): string {
  return `${groupPrefix(groupId)}${topic}:${partition}`
}

/** What the keys of a group's offsets begin with. */
export function groupPrefix(groupId: string): string {
  return `${GROUP_PREFIX}${encodeURIComponent(groupId)}:`
}

/** The partition that a `groupKey` names. */
export function partitionOfGroupKey(key: string): TopicPartition {
  const [, , topic, partition] = key.split(':')
  return { topic: topic as Topic, partition: Number(partition) as Partition }
}

/** A group's row as the port shows it. */
export function committedOffset(at: TopicPartition, row: GroupRow): CommittedOffset {
  return {
    topic: at.topic,
    partition: at.partition,
    offset: row.offset as Offset,
    metadata: row.metadata,
  }
}
