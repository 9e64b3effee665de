/** EndTxn: commits or aborts. In version 5 the answer has the id and epoch for what comes next. */
import type { Api } from './api.ts'
import { writeProducer, type ErrorResponse, type TransactionalProducer } from './transaction.ts'

export interface EndTxnRequest extends TransactionalProducer {
  readonly committed: boolean
}

export interface EndTxnResponse extends ErrorResponse {
  /** -1 before version 5. */
  readonly producerId: number
  readonly producerEpoch: number
}

/** 3 with transactions of version 1, 5 with version 2. Never the other way about. */
export const END_TXN: Api<EndTxnRequest, EndTxnResponse> = {
  key: 26,
  name: 'EndTxn',
  versions: [3, 5],
  flexibleFrom: 3,
  encode(to, request) {
    writeProducer(to, request)
    to.bool(request.committed).tags()
  },
  decode(from, version) {
    const response = { throttleTimeMs: from.int32(), errorCode: from.int16() }
    const next =
      version < 5
        ? { producerId: -1, producerEpoch: -1 }
        : { producerId: from.int64(), producerEpoch: from.int16() }
    from.tags()
    return { ...response, ...next }
  },
}
