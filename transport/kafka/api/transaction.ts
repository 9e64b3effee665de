/** What all requests within a transaction carry. */
import type { WireWriter } from '../wire/writer.ts'

/** A producer with its transactional id. */
export interface TransactionalProducer {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
}

/** A response that says one thing. */
export interface ErrorResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
}

/** Writes the three fields with which these requests begin. */
export function writeProducer(to: WireWriter, producer: TransactionalProducer): void {
  to.string(producer.transactionalId).int64(producer.producerId).int16(producer.producerEpoch)
}
