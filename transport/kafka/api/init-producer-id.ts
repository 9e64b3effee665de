/** InitProducerId: an identity for a producer; with a transactional id it fences predecessors. */
import type { Api } from './api.ts'

export interface InitProducerIdRequest {
  /** Null for a producer that is idempotent only. */
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
  /** -1 at the first time; own id and epoch to go on under the next epoch after an error. */
  readonly producerId: number
  readonly producerEpoch: number
}

export interface InitProducerIdResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerId: number
  readonly producerEpoch: number
}

/** 4 with transactions of version 1, 5 with version 2. */
export const INIT_PRODUCER_ID: Api<InitProducerIdRequest, InitProducerIdResponse> = {
  key: 22,
  name: 'InitProducerId',
  versions: [4, 5],
  flexibleFrom: 2,
  encode(to, request) {
    to.nullableString(request.transactionalId).int32(request.transactionTimeoutMs)
    to.int64(request.producerId).int16(request.producerEpoch).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const errorCode = from.int16()
    const read = {
      throttleTimeMs,
      errorCode,
      producerId: from.int64(),
      producerEpoch: from.int16(),
    }
    from.tags()
    return read
  },
}
