/**
 * How far a store's changelog is reflected in the task's database. It lies in the database itself
 * and is written in the batch whose entries it describes, so the two cannot disagree.
 */
import { MillraceError } from '../model/errors.ts'
import { asOffset, type Offset } from '../model/position.ts'
import { readInt64, writeInt64 } from './keys.ts'
import { STATE_LIMITS } from './state-limits.ts'

/** A place in a changelog: everything before `offset` is reflected. */
export interface Checkpoint {
  /** The last acknowledged record's offset + 1; never a guess about the marker behind it. */
  readonly offset: Offset
  /** The changelog topic's UUID: a topic that was created again starts a new history. */
  readonly topicId: string
  /** The leader epoch of the last record reflected, where it is known. */
  readonly leaderEpoch?: number
}

/** A checkpoint as it was read from the database. */
export interface StoredCheckpoint extends Checkpoint {
  /** Milliseconds since 1970 when it was written. A tombstone outlives this by `delete.retention.ms`, no longer. */
  readonly writtenAtMs: number
}

/**
 * Whether a checkpoint is to be written anew though it stands at `end`: it holds as of now, and the next
 * record would find it too old.
 */
export function isStampDue(
  { offset, writtenAtMs }: StoredCheckpoint,
  { end, nowMs }: { readonly end: Offset; readonly nowMs: number },
): boolean {
  return offset === end && nowMs - writtenAtMs >= STATE_LIMITS.restampMs
}

// Layout 1: version, offset, time of writing, leader epoch (-1: unknown), topic id as text to the end.
const VERSION = 1
const OFFSET_AT = 1
const WRITTEN_AT = 9
const EPOCH_AT = 17
const TOPIC_ID_AT = 21
const NO_EPOCH = -1

/** The bytes of a checkpoint, `1 + 8 + 8 + 4` of them before the topic id. */
export function encodeCheckpoint(checkpoint: StoredCheckpoint): Buffer {
  const bytes = Buffer.allocUnsafe(TOPIC_ID_AT + Buffer.byteLength(checkpoint.topicId))
  bytes.writeUInt8(VERSION, 0)
  writeInt64(bytes, checkpoint.offset, OFFSET_AT)
  writeInt64(bytes, checkpoint.writtenAtMs, WRITTEN_AT)
  bytes.writeInt32BE(checkpoint.leaderEpoch ?? NO_EPOCH, EPOCH_AT)
  bytes.write(checkpoint.topicId, TOPIC_ID_AT)
  return bytes
}

/** Reads a checkpoint; MILLRACE_STATE_CORRUPT where the bytes are none that this version writes. */
export function decodeCheckpoint(bytes: Buffer, store: string): StoredCheckpoint {
  if (bytes.length < TOPIC_ID_AT || bytes.readUInt8(0) !== VERSION) {
    throw new MillraceError(
      'MILLRACE_STATE_CORRUPT',
      `the checkpoint of store ${store} cannot be read: it is damaged, or a newer millrace wrote it. ` +
        'Run the newer version, or delete the state folder; it is then restored from the changelogs.',
      { place: store },
    )
  }
  const leaderEpoch = bytes.readInt32BE(EPOCH_AT)
  return {
    offset: asOffset(readInt64(bytes, OFFSET_AT)),
    writtenAtMs: readInt64(bytes, WRITTEN_AT),
    topicId: bytes.toString('utf8', TOPIC_ID_AT),
    ...(leaderEpoch === NO_EPOCH ? {} : { leaderEpoch }),
  }
}
