/** TxnOffsetCommit: a group's offsets within a transaction, fenced by member and generation. */
import { readTopics, type Api, type OfTopic } from './api.ts'
import { writeOffsets, type CommittingMember, type OffsetToCommit } from './offsets.ts'
import type { PartitionError, TransactionalProducer } from './transaction.ts'

export interface TxnOffsetCommitRequest extends TransactionalProducer, CommittingMember {
  readonly topics: readonly OfTopic<OffsetToCommit>[]
}

export interface TxnOffsetCommitResponse {
  readonly throttleTimeMs: number
  readonly partitions: readonly PartitionError[]
}

/** 3 with transactions of version 1, 5 with version 2. */
export const TXN_OFFSET_COMMIT: Api<TxnOffsetCommitRequest, TxnOffsetCommitResponse> = {
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
  decode(from) {
    const throttleTimeMs = from.int32()
    const partitions = readTopics(from, (topic) => {
      return { topic, partition: from.int32(), errorCode: from.int16() }
    })
    from.tags()
    return { throttleTimeMs, partitions }
  },
}
