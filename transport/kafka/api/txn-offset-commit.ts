/** TxnOffsetCommit: a group's offsets within a transaction, fenced by member and generation. */
import type { Api, OfTopic } from './api.ts'
import { writeOffsets, type CommittingMember, type OffsetToCommit } from './offsets.ts'
import { readPartitionErrors, type PartitionErrors } from './partition-errors.ts'
import type { TransactionalProducer } from './transaction.ts'

export interface TxnOffsetCommitRequest extends TransactionalProducer, CommittingMember {
  readonly topics: readonly OfTopic<OffsetToCommit>[]
}

/** 3 with transactions of version 1, 5 with version 2. */
export const TXN_OFFSET_COMMIT: Api<TxnOffsetCommitRequest, PartitionErrors> = {
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [3, 5],
  flexibleFrom: 3,
  encode(to, request) {
    to.string(request.transactionalId).string(request.groupId)
    to.int64(request.producerId).int16(request.producerEpoch)
    to.int32(request.generation).string(request.memberId).nullableString(request.groupInstanceId)
    writeOffsets(to, request.topics)
    to.tags()
  },
  decode: readPartitionErrors,
}
