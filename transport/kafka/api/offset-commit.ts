/** OffsetCommit: a group's offsets outside any transaction. */
import type { Api, OfTopic } from './api.ts'
import { writeOffsets, type CommittingMember, type OffsetToCommit } from './offsets.ts'
import { readPartitionErrors, type PartitionErrors } from './partition-errors.ts'

export interface OffsetCommitRequest extends CommittingMember {
  readonly topics: readonly OfTopic<OffsetToCommit>[]
}

/** 9 has the same layout and other error codes, those of the new groups. */
export const OFFSET_COMMIT: Api<OffsetCommitRequest, PartitionErrors> = {
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
  decode: readPartitionErrors,
}
