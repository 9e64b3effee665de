/** What requests that commit or fetch a group's offsets share. */
import type { WireWriter } from '../wire/writer.ts'
import { writeTopics, type OfTopic } from './api.ts'

/** A position to commit. */
export interface OffsetToCommit {
  readonly partition: number
  readonly offset: number
  /** Of the record before the offset; -1 where it is not known. */
  readonly leaderEpoch: number
  readonly metadata: string
}

/** The member on whose behalf; generation -1, an empty id and null without one. */
export interface CommittingMember {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

/** Writes the positions by topic. */
export function writeOffsets(to: WireWriter, topics: readonly OfTopic<OffsetToCommit>[]): void {
  writeTopics(to, topics, ({ partition, offset, leaderEpoch, metadata }) => {
    to.int32(partition).int64(offset).int32(leaderEpoch).nullableString(metadata)
  })
}
