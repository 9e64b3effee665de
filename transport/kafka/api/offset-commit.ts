/** OffsetCommit: a group's offsets outside any transaction. */
import { readTopics, type Api, type OfTopic } from './api.ts'
import { writeOffsets, type CommittingMember, type OffsetToCommit } from './offsets.ts'
import type { PartitionError } from './transaction.ts'

export interface OffsetCommitRequest extends CommittingMember {
  readonly topics: readonly OfTopic<OffsetToCommit>[]
}

export interface OffsetCommitResponse {
  readonly throttleTimeMs: number
  readonly partitions: readonly PartitionError[]
}

/** 9 has the same layout and other error codes, those of the new groups. */
export const OFFSET_COMMIT: Api<OffsetCommitRequest, OffsetCommitResponse> = {
  key: 8,
  name: 'OffsetCommit',
  versions: [7, 8],
  flexibleFrom: 8,
  encode(to, request) {
    to.string(request.groupId).int32(request.generation)
    to.string(request.memberId).nullableString(request.groupInstanceId)
    writeOffsets(to, request.topics)
    to.tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const partitions = readTopics(from, (topic) => {
      return { topic, partition: from.int32(), errorCode: from.int16() }
    })
    from.tags()
    return { throttleTimeMs, partitions }
  },
}
