/** AddOffsetsToTxn: a group whose offsets a transaction of version 1 is about to commit. */
import type { Api } from './api.ts'
import { writeProducer, type ErrorResponse, type TransactionalProducer } from './transaction.ts'

export interface AddOffsetsToTxnRequest extends TransactionalProducer {
  readonly groupId: string
}

export const ADD_OFFSETS_TO_TXN: Api<AddOffsetsToTxnRequest, ErrorResponse> = {
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [3, 3],
  flexibleFrom: 3,
  encode(to, request) {
    writeProducer(to, request)
    to.string(request.groupId).tags()
  },
  decode(from) {
    const response = { throttleTimeMs: from.int32(), errorCode: from.int16() }
    from.tags()
    return response
  },
}
