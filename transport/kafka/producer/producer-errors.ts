/** The errors of a producer on Kafka, in the words of the port where it has some. */
import { isMillraceError } from '../../../model/errors.ts'
import { describePartition, type TopicPartition } from '../../../model/position.ts'
import { TransportError, type TransportErrorKind } from '../../errors.ts'
import { groupFenced } from '../../group-errors.ts'
import type { GroupRefusal } from '../../group-requests.ts'
import { producerFenced, recordWithoutKey } from '../../log-errors.ts'
import { CODE, placeOfCode, refused } from '../error-codes.ts'

/** Bytes above which a broker closes the connection instead of answering, unless its `socket.request.max.bytes` was raised. */
const LARGEST_REQUEST_BYTES = 100 * 1024 * 1024
/** Larger than any batch but that of one large record. */
const LARGE_BATCH_BYTES = 1024 * 1024

/** A record that found the queue full. */
export function producerFull(at: TopicPartition, limitBytes: number): TransportError {
  const place = describePartition(at)
  return new TransportError('MILLRACE_PRODUCER_FULL', 'abortable', {
    message: `A record for ${place} found ${limitBytes} bytes queued in its producer already. Wait for a flush while bufferedBytes is high, or raise producerBytes; an application needs more than its limits.commitBytes.`,
    place,
  })
}

/** A batch that was not acknowledged before its deadline. */
export function deliveryFailed(
  at: TopicPartition,
  batch: { readonly attempts: number; readonly sizeBytes: number; readonly problem: unknown },
  deadlineMs: number,
): TransportError {
  const place = describePartition(at)
  const problem =
    batch.problem instanceof Error ? ` The last problem: ${batch.problem.message}` : ''
  const size = sizeHint(batch)
  return new TransportError('MILLRACE_DELIVERY_FAILED', 'abortable', {
    message: `Records for ${place} were not acknowledged within ${deadlineMs} ms, in ${batch.attempts} tries.${size}${problem} Abort the transaction, or init the producer, and send again; without a transaction some of them may come twice.`,
    place,
    cause: batch.problem,
  })
}

/** Where its size may be why a batch was not taken: a broker breaks the connection over a request that is too large, without a word. */
function sizeHint({
  sizeBytes,
  problem,
}: {
  readonly sizeBytes: number
  readonly problem: unknown
}): string {
  const isCut = isMillraceError(problem, 'MILLRACE_KAFKA_UNREACHABLE')
  if (sizeBytes > LARGEST_REQUEST_BYTES) {
    return ` A batch of ${sizeBytes} bytes needs a larger socket.request.max.bytes on the brokers.`
  }
  if (!isCut || sizeBytes <= LARGE_BATCH_BYTES) return ''
  return ` If only large batches fail: ${sizeBytes} bytes have to be within socket.request.max.bytes of the brokers.`
}

/** A record over its topic's limit, which is undefined where it could not be asked for. */
export function recordOverLimit(
  at: TopicPartition,
  {
    sizeBytes,
    limitBytes,
  }: { readonly sizeBytes: number; readonly limitBytes?: number | undefined },
): TransportError {
  const { topic } = at
  const limit = limitBytes === undefined ? '' : ` of ${limitBytes} bytes`
  const line = `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config max.message.bytes=${sizeBytes}`
  return new TransportError('MILLRACE_RECORD_TOO_LARGE', 'abortable', {
    message: `A record of ${sizeBytes} bytes for topic ${topic} is over its limit${limit}. Raise max.message.bytes of ${topic} to ${sizeBytes} at least (${line}), or send smaller records.`,
    place: describePartition(at),
  })
}

/** A sequence that the log does not take, in a transaction. */
export function outOfOrder(at: TopicPartition): TransportError {
  const place = describePartition(at)
  return new TransportError('MILLRACE_OUT_OF_ORDER', 'abortable', {
    message: `The log of ${place} lacks records of this producer that were acknowledged, so that later ones are out of order: an election may have lost them. Abort the transaction and do its work again.`,
    place,
  })
}

/** A batch that the log refused for what it holds, or for whom it comes from. */
export function batchRefused(
  at: TopicPartition,
  code: number,
  {
    detail,
    transactionalId,
  }: { readonly detail: string | null; readonly transactionalId?: string | undefined },
): TransportError {
  if (code === CODE.invalidRecord && /compacted/i.test(detail ?? '')) return recordWithoutKey(at)
  if (code === CODE.invalidTimestamp) return timestampRefused(at, detail)
  if (code === CODE.invalidTxnState || code === CODE.transactionAbortable) {
    return transactionEnded(transactionalId ?? describePartition(at), detail)
  }
  // The right to the topic is told of the partition, as all else is.
  const place = placeOfCode(code, { transactionalId }, describePartition(at))
  return refused(code, { api: 'Produce', place, detail })
}

/** A record whose time is too far from the broker's. */
function timestampRefused(at: TopicPartition, detail: string | null): TransportError {
  const place = describePartition(at)
  const said = detail === null || detail === '' ? '' : ` (${detail.replace(/\.$/, '')})`
  return new TransportError('MILLRACE_TIMESTAMP_REFUSED', 'abortable', {
    message: `A record for ${place} has a timestamp that its topic does not take${said}: it is too far before or after the broker's clock. Set the clocks of this machine, of the brokers and of who made the record right, or widen message.timestamp.before.max.ms or message.timestamp.after.max.ms of ${at.topic}.`,
    place,
  })
}

/** A transaction that the broker ended, or will not let end well. */
export function transactionEnded(transactionalId: string, detail?: string | null): TransportError {
  const said = detail === undefined || detail === null || detail === '' ? '' : ` (${detail})`
  return new TransportError('MILLRACE_TRANSACTION_ENDED', 'abortable', {
    message: `The transaction of ${transactionalId} cannot be committed${said}: the log has no open transaction of it, or wants it aborted. Abort it and do its work again.`,
    place: transactionalId,
  })
}

/** A call of a transaction that could not be brought to an end in time. */
export function coordinatorTooLate(
  what: string,
  {
    place,
    deadlineMs,
    kind,
    cause,
  }: {
    readonly place: string
    readonly deadlineMs: number
    readonly kind: TransportErrorKind
    readonly cause: unknown
  },
): TransportError {
  const problem = cause instanceof Error ? ` The last problem: ${cause.message}` : ''
  return new TransportError('MILLRACE_KAFKA_TIMED_OUT', kind, {
    message: `${what} of ${place} had no answer within ${deadlineMs} ms.${problem} Check that the brokers run, then try again.`,
    place,
    cause,
  })
}

/** A timeout of transactions that the brokers do not allow. */
export function timeoutRefused(transactionalId: string, timeoutMs: number): TransportError {
  return new TransportError('MILLRACE_KAFKA_REFUSED', 'fatal', {
    message: `The brokers refuse a transaction timeout of ${timeoutMs} ms for ${transactionalId}. Lower transactionTimeoutMs, or raise transaction.max.timeout.ms on the brokers.`,
    place: transactionalId,
  })
}

const GROUP_REFUSALS: ReadonlyMap<number, GroupRefusal> = new Map<number, GroupRefusal>([
  [CODE.illegalGeneration, 'illegal-generation'],
  [CODE.unknownMemberId, 'unknown-member'],
  [CODE.rebalanceInProgress, 'rebalancing'],
  [CODE.fencedInstanceId, 'fenced-instance'],
])

/** What was refused within a transaction. */
export interface RefusedCall {
  readonly api: string
  readonly transactionalId: string
  /** The group whose offsets they are. */
  readonly groupId?: string
  /** Of the partition that was refused. */
  readonly topic?: string | undefined
}

/** What a refusal within a transaction means, whichever request it answers. */
export function transactionRefused(code: number, about: RefusedCall): TransportError {
  const { api, transactionalId, groupId } = about
  const refusal = GROUP_REFUSALS.get(code)
  if (refusal !== undefined && groupId !== undefined) return groupFenced(groupId, refusal)
  switch (code) {
    case CODE.invalidProducerEpoch:
    case CODE.producerFenced:
    case CODE.invalidProducerIdMapping:
      return producerFenced(transactionalId)
    case CODE.invalidTxnState:
    case CODE.transactionAbortable:
      return transactionEnded(transactionalId)
    default: {
      const place = groupId === undefined ? `transaction ${transactionalId}` : `group ${groupId}`
      return refused(code, { api, place: placeOfCode(code, about, place) })
    }
  }
}
