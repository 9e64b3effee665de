/**
 * What became of an offset that a leader calls out of range. The range is asked for, so that the error
 * can name it. Where the offset is inside after all, the leader's log may know nothing of the epoch
 * that was read last: then what was read is gone, and reading on would read something else.
 */
import { describePartition } from '../../../model/position.ts'
import type { TransportError } from '../../errors.ts'
import { logTruncated, offsetOutOfRange } from '../../log-errors.ts'
import { EARLIEST, LATEST, LIST_OFFSETS } from '../api/list-offsets.ts'
import { OFFSET_FOR_LEADER_EPOCH } from '../api/offset-for-leader-epoch.ts'
import { CODE, refused } from '../error-codes.ts'
import type { FetchLane } from './fetch-cluster.ts'
import type { Awaited } from './fetch-doubt.ts'
import type { KafkaCursor } from './kafka-cursor.ts'

/** Whom to ask. */
export interface QuestionSetting {
  readonly lane: FetchLane
  readonly node: number
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

/** Why the cursor cannot go on; undefined where it can after all. Rejects where it could not be found out. */
export async function askRange(
  cursor: KafkaCursor,
  setting: QuestionSetting,
): Promise<TransportError | undefined> {
  const [start, end] = await Promise.all([
    listedOffset(cursor, setting, EARLIEST),
    listedOffset(cursor, setting, LATEST),
  ])
  const { topic, partition, fetchOffset: offset, lastEpoch } = cursor
  const at = { topic, partition, offset }
  if (offset < start || offset > end) return offsetOutOfRange(at, { start, end })
  if (lastEpoch < 0) return undefined
  const epochEnd = await endOfEpoch(cursor, setting)
  return epochEnd < offset ? logTruncated(at, { epoch: lastEpoch, end: epochEnd }) : undefined
}

/**
 * Where a partition begins (EARLIEST) or where what is shown of it ends (LATEST, read_uncommitted). A
 * leader that shows less than was there at its election refuses to tell an end, and may be asked again.
 */
export async function listedOffset(
  at: Awaited,
  { lane, node, deadlineMs, signal }: QuestionSetting,
  timestamp: number,
): Promise<number> {
  const { topic, partition, leader } = at
  const asked = { partition, currentLeaderEpoch: leader?.leaderEpoch ?? -1, timestamp }
  const request = { isolation: 0 as const, topics: [{ topic, partitions: [asked] }] }
  const answer = await lane.request(node, [LIST_OFFSETS, request], { deadlineMs, signal })
  const [found] = answer.partitions
  const code = found?.errorCode ?? CODE.leaderNotAvailable
  if (found !== undefined && code === CODE.none) return found.offset
  throw refused(code, { api: LIST_OFFSETS.name, place: describePartition(at) })
}

/** Where the epoch that was read last ends in the leader's log: 0 where the log does not know it. */
async function endOfEpoch(
  cursor: KafkaCursor,
  { lane, node, deadlineMs, signal }: QuestionSetting,
): Promise<number> {
  const { topic, partition, leader, lastEpoch } = cursor
  const currentLeaderEpoch = leader?.leaderEpoch ?? -1
  const asked = { partition, currentLeaderEpoch, leaderEpoch: lastEpoch }
  const request = { topics: [{ topic, partitions: [asked] }] }
  const question = [OFFSET_FOR_LEADER_EPOCH, request] as const
  const [found] = (await lane.request(node, question, { deadlineMs, signal })).partitions
  const code = found?.errorCode ?? CODE.leaderNotAvailable
  if (found !== undefined && code === CODE.none) return Math.max(0, found.endOffset)
  throw refused(code, { api: OFFSET_FOR_LEADER_EPOCH.name, place: describePartition(cursor) })
}
