/** Which of a partition's segments are too old or too many. As in Kafka, only whole segments go. */
import type { CompleteSegment } from './segment-list.ts'
import type { Segment } from './segment.ts'
import type { TopicPolicy } from './topic-policy.ts'

/** What retention looks at. */
export interface RetentionView {
  /** Oldest first; none with a record of an open transaction. */
  readonly complete: readonly CompleteSegment[]
  readonly policy: TopicPolicy
  /** Bytes of the whole partition. */
  readonly sizeBytes: number
  /** Milliseconds since 1970. */
  readonly now: number
}

/** The first offset that is to be kept: where a segment begins, or 0 where all is kept. */
export function retentionStart({ complete, policy, sizeBytes, now }: RetentionView): number {
  if (!policy.deletes) return 0
  let start = 0
  let left = sizeBytes
  for (const { segment, nextBase } of complete) {
    const isOver = left - segment.bytes >= policy.retentionBytes
    if (!isOver && !isExpired(segment, policy, now)) break
    left -= segment.bytes
    start = nextBase
  }
  return start
}

/**
 * Whether the segment that is written to should be completed: nobody else does where nothing is
 * written. It must have been begun longer ago than retention goes, too: what was just written with
 * the times of long ago is not taken from under its writer.
 */
export function isDue(segment: Segment, policy: TopicPolicy, now: number): boolean {
  if (segment.bytes === 0 || segment.since === undefined) return false
  const ageMs = now - segment.since
  if (ageMs >= policy.segmentMs) return true
  return policy.deletes && ageMs > policy.retentionMs && isExpired(segment, policy, now)
}

function isExpired({ newest }: Segment, policy: TopicPolicy, now: number): boolean {
  return newest !== undefined && now - newest > policy.retentionMs
}
