/** AddPartitionsToTxn: partitions that a transaction of version 1 is about to write to. */
import type { Api, OfTopic } from './api.ts'
import { readPartitionErrors, type PartitionErrors } from './partition-errors.ts'
import { writeProducer, type TransactionalProducer } from './transaction.ts'

export interface AddPartitionsToTxnRequest extends TransactionalProducer {
  readonly topics: readonly OfTopic<number>[]
}

/** 4 and later are spoken between brokers. */
export const ADD_PARTITIONS_TO_TXN: Api<AddPartitionsToTxnRequest, PartitionErrors> = {
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [3, 3],
  flexibleFrom: 3,
  encode(to, request) {
    writeProducer(to, request)
    to.array(request.topics, ({ topic, partitions }) => to.string(topic).int32s(partitions).tags())
    to.tags()
  },
  decode: readPartitionErrors,
}
