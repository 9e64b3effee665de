/** AddPartitionsToTxn: partitions that a transaction of version 1 is about to write to. */
import { readTopics, type Api, type OfTopic } from './api.ts'
import { writeProducer, type PartitionError, type TransactionalProducer } from './transaction.ts'

export interface AddPartitionsToTxnRequest extends TransactionalProducer {
  readonly topics: readonly OfTopic<number>[]
}

export interface AddPartitionsToTxnResponse {
  readonly throttleTimeMs: number
  readonly partitions: readonly PartitionError[]
}

/** 4 and later are spoken between brokers. */
export const ADD_PARTITIONS_TO_TXN: Api<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse> = {
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [3, 3],
  flexibleFrom: 3,
  encode(to, request) {
    writeProducer(to, request)
    to.array(request.topics, ({ topic, partitions }) => to.string(topic).int32s(partitions).tags())
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
