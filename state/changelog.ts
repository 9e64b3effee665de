/**
 * A store's changes as records, in the shape Kafka Streams gives them, so that its tools read them:
 * key as the serde writes it (with a registry id), value without the stored timestamp, which is the
 * record's own; a deletion is a null value.
 */
import { MillraceError } from '../model/errors.ts'
import {
  asTopic,
  describePosition,
  asOffset,
  type Topic,
  type TopicPartition,
} from '../model/position.ts'
import { NO_HEADERS, type LogRecord } from '../model/record.ts'
import type { ProducerRecord, TopicConfig } from '../transport/transport.ts'
import type { DatabaseWrite, StoreSpec } from './store.ts'
import type { Cell } from './store-layers.ts'
import { TIMESTAMP_BYTES, timestampOf, withTimestamp } from './timestamped.ts'

/** One change of one commit: the last one of its key. */
export interface ChangelogWrite {
  readonly store: string
  /** The key as the store keeps it, without the serde's prefix. */
  readonly key: Buffer
  /** As a record carries it; null deletes. A view on the layers: never change it. */
  readonly value: Buffer | null
  /** Milliseconds since 1970, of the record that made the change. */
  readonly timestamp: number
}

/** `<application>-<store>-changelog`, whether a topic may be named so or not. */
export function changelogName(applicationId: string, store: string): string {
  return `${applicationId}-${store}-changelog`
}

/** The changelog topic of a store. Throws TypeError where its name is no legal one. */
export function changelogTopic(applicationId: string, store: string): Topic {
  return asTopic(changelogName(applicationId, store))
}

const CLEANUP_POLICIES: Readonly<Record<StoreSpec['kind'], string>> = {
  'key-value': 'compact',
  window: 'compact,delete',
  'join-window': 'delete',
  session: 'compact,delete',
}

/** How long a changelog keeps what its store does not keep any more: Kafka Streams' default, a day. */
const EXTRA_RETENTION_MS = 86_400_000

/**
 * How a store's changelog topic is configured, as Kafka Streams does: records of a join's rows, which
 * are all kept, only expire; those of other stores with times are compacted as well.
 * `maxRecordBytes` where values may pass the log's default.
 */
export function changelogConfig(
  maxRecordBytes?: number,
  store: Pick<StoreSpec, 'kind'> & { readonly retentionMs?: number } = { kind: 'key-value' },
): TopicConfig {
  return {
    'cleanup.policy': CLEANUP_POLICIES[store.kind],
    ...(store.retentionMs === undefined
      ? {}
      : { 'retention.ms': String(store.retentionMs + EXTRA_RETENTION_MS) }),
    // The stored timestamps come back from the records': the log must not put in its own.
    'message.timestamp.type': 'CreateTime',
    ...(maxRecordBytes === undefined ? {} : { 'max.message.bytes': String(maxRecordBytes) }),
  }
}

/** A layer's cell as a change. */
export function changelogWrite(store: string, text: string, cell: Cell): ChangelogWrite {
  const key = Buffer.from(text, 'latin1')
  return typeof cell === 'number'
    ? { store, key, value: null, timestamp: cell }
    : { store, key, value: cell.subarray(TIMESTAMP_BYTES), timestamp: timestampOf(cell) }
}

/** A change as a record of the store's changelog; `keyPrefix` is the key serde's. */
export function changelogRecord(
  write: ChangelogWrite,
  at: TopicPartition,
  keyPrefix: Buffer,
): ProducerRecord {
  return {
    topic: at.topic,
    partition: at.partition,
    key: keyPrefix.length === 0 ? write.key : Buffer.concat([keyPrefix, write.key]),
    value: write.value,
    timestamp: write.timestamp,
    headers: NO_HEADERS,
  }
}

/** What a changelog's records are turned back with. */
export interface RestoredFrom extends TopicPartition {
  /** What the store's entries begin with in the database. */
  readonly storePrefix: Buffer
  /** Bytes of the key serde's prefix. */
  readonly keyPrefixLength: number
}

/**
 * A changelog's (or a table's source topic's) record as a write of the database, in buffers of its
 * own. Undefined for a record without a key, which is no entry. Throws MILLRACE_CHANGELOG_CORRUPT for
 * a key that is shorter than the serde's prefix.
 */
export function restoredWrite(record: LogRecord, from: RestoredFrom): DatabaseWrite | undefined {
  if (record.keyEnd < 0) return undefined
  const bodyStart = record.keyStart + from.keyPrefixLength
  if (bodyStart > record.keyEnd) throw corruptKey(record, from)
  const { storePrefix } = from
  const key = Buffer.allocUnsafe(storePrefix.length + record.keyEnd - bodyStart)
  storePrefix.copy(key)
  record.keyBuffer.copy(key, storePrefix.length, bodyStart, record.keyEnd)
  const { value } = record
  return { key, value: value === null ? null : withTimestamp(record.timestamp, value) }
}

/** The error of a record whose key no serde of the store wrote; `tailBytes` is what stands behind the key, its times. */
export function corruptKey(
  record: LogRecord,
  from: TopicPartition & { readonly keyPrefixLength: number },
  tailBytes = 0,
): MillraceError {
  const place = describePosition({ ...from, offset: asOffset(record.offset) })
  const expected =
    `${from.keyPrefixLength} that the store's key serde begins with` +
    (tailBytes === 0
      ? ''
      : ` and the ${tailBytes} of times behind the key, which are none before 1970`)
  return new MillraceError(
    'MILLRACE_CHANGELOG_CORRUPT',
    `the key of ${place} has ${record.keyEnd - record.keyStart} bytes, not the ${expected}. ` +
      'Something else wrote to the topic, or the serde was changed: ' +
      'give the store another name, or reset the application.',
    { place },
  )
}
