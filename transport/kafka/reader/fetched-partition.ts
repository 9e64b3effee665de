/**
 * What one partition's part of an answer does to its cursor: records to queue, ends to know, an error
 * to act on. There is no silent reset: an offset outside the log, records that are gone and a topic
 * that was created again stop the cursor.
 */
import { asError } from '../../../model/errors.ts'
import { asOffset, describePartition } from '../../../model/position.ts'
import { TransportError } from '../../errors.ts'
import { logTruncated } from '../../log-errors.ts'
import { FETCH, type FetchedPartition } from '../api/fetch.ts'
import { CODE, errorKind, errorName, refused } from '../error-codes.ts'
import type { KafkaCursor } from './kafka-cursor.ts'
import { RecordSlice } from './record-slice.ts'
import type { ResponseBuffer } from './response-buffers.ts'

/** What the reader does next about a cursor. */
export type NextStep =
  /** Fetch on. */
  | 'ready'
  /** Find the leader anew. */
  | 'relocate'
  /** Ask the same again later. */
  | 'rest'
  /** Find out what became of its offset. */
  | 'ask'
  /** Nothing: it failed. */
  | 'stopped'

/** How an answer is read. */
export interface AnswerSetting {
  readonly seesAll: boolean
  readonly nowMs: number
  readonly preferredReplicaMs: number
  /** Whether it came from a replica that does not lead. */
  readonly isFollower: boolean
  readonly body: ResponseBuffer
}

/** What became of a cursor, and whether whoever waits for the reader must be told. */
export interface Received {
  readonly next: NextStep
  readonly isNews: boolean
  /** Bytes queued. */
  readonly queuedBytes: number
}

/** Takes in what an answer says of a cursor's partition. */
export function receive(
  cursor: KafkaCursor,
  part: FetchedPartition,
  setting: AnswerSetting,
): Received {
  if (part.errorCode !== CODE.none) return refusal(cursor, part.errorCode, setting.isFollower)
  if (part.divergingEpoch !== undefined) {
    const { endOffset } = part.divergingEpoch
    const at = { ...placeOf(cursor), offset: cursor.fetchOffset }
    return stopped(cursor, logTruncated(at, { epoch: cursor.lastEpoch, end: endOffset }))
  }
  cursor.retries = 0
  if (part.preferredReplica >= 0) {
    const untilMs = setting.nowMs + setting.preferredReplicaMs
    cursor.replica = { node: part.preferredReplica, untilMs }
  }
  const stable = part.lastStableOffset < 0 ? part.highWatermark : part.lastStableOffset
  const before = cursor.lastStableOffset
  cursor.lastStableOffset = asOffset(Math.max(0, stable))
  const queuedBytes = queue(cursor, part, setting)
  const end = setting.seesAll ? part.highWatermark : stable
  cursor.ahead = cursor.fetchOffset < end ? 'more' : 'nothing'
  const isNews = queuedBytes > 0 || before !== cursor.lastStableOffset
  if (cursor.failure !== undefined) return { next: 'stopped', isNews: true, queuedBytes }
  return { next: 'ready', isNews, queuedBytes }
}

function queue(cursor: KafkaCursor, part: FetchedPartition, setting: AnswerSetting): number {
  const { records } = part
  if (records === null || records.length === 0) return 0
  let slice: RecordSlice
  try {
    slice = new RecordSlice({
      records,
      aborted: setting.seesAll ? undefined : (part.aborted ?? []),
      lastStableOffset: cursor.lastStableOffset ?? 0,
      body: setting.body,
      place: describePartition(cursor),
    })
  } catch (error) {
    cursor.fail(asError(error))
    return 0
  }
  const { nextOffset, failure, leftBytes } = slice
  const leads = nextOffset !== undefined && nextOffset > cursor.fetchOffset
  if (leads) {
    cursor.push(slice, nextOffset)
    cursor.servedAt = setting.nowMs
  }
  if (failure !== undefined) cursor.fail(failure)
  return leads ? leftBytes : 0
}

function refusal(cursor: KafkaCursor, code: number, isFollower: boolean): Received {
  const next = NEXT.get(code)
  if (next !== undefined) {
    // A follower may be behind, or its log begin later: only the leader knows.
    const step = next === 'ask' && isFollower ? 'relocate' : next
    return { next: step, isNews: false, queuedBytes: 0 }
  }
  if (code === CODE.corruptMessage) return stopped(cursor, damaged(cursor))
  if (errorKind(code) === 'retriable') return { next: 'relocate', isNews: false, queuedBytes: 0 }
  const place = describePartition(cursor)
  return stopped(cursor, refused(code, { api: FETCH.name, place }))
}

function stopped(cursor: KafkaCursor, error: Error): Received {
  cursor.fail(error)
  return { next: 'stopped', isNews: true, queuedBytes: 0 }
}

function damaged(cursor: KafkaCursor): TransportError {
  const place = `${describePartition(cursor)}@${cursor.fetchOffset}`
  return new TransportError('MILLRACE_RECORD_CORRUPT', 'fatal', {
    message: `The broker that leads ${describePartition(cursor)} cannot read its log at ${cursor.fetchOffset} (${errorName(CODE.corruptMessage)}). Let another replica lead, or skip past this offset.`,
    place,
  })
}

function placeOf({ topic, partition }: KafkaCursor) {
  return { topic, partition }
}

const UNKNOWN_SERVER_ERROR = -1

/** Codes that say what to do next without more words. */
const NEXT: ReadonlyMap<number, NextStep> = new Map([
  [CODE.offsetOutOfRange, 'ask'],
  // A leader that has not heard of its own epoch, or not where its log ends: it will.
  [CODE.unknownLeaderEpoch, 'rest'],
  [CODE.offsetNotAvailable, 'rest'],
  [UNKNOWN_SERVER_ERROR, 'rest'],
])
