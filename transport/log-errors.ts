/**
 * The errors that every log raises in the same words, so that a caller which branches on a code, and
 * a person who reads a message, need not know which log is behind the port.
 */
import {
  describePartition,
  describePosition,
  type PartitionOffset,
  type Topic,
  type TopicPartition,
} from '../model/position.ts'
import { TransportError, type TransportErrorKind } from './errors.ts'

/** A topic or partition that the log does not have (any more). In a producer its kind is abortable. */
export function unknownPartition(
  at: TopicPartition,
  kind: TransportErrorKind = 'fatal',
): TransportError {
  const place = describePartition(at)
  return new TransportError('MILLRACE_UNKNOWN_PARTITION', kind, {
    message: `${place} does not exist. Create the topic with more than ${at.partition} partitions, or correct its name; if it was deleted and created again, open it anew.`,
    place,
  })
}

/** A topic in the place of another one of its name, which was read before. */
export function topicMadeAnew(at: TopicPartition): TransportError {
  const place = describePartition(at)
  return new TransportError('MILLRACE_UNKNOWN_PARTITION', 'fatal', {
    message: `${place} does not exist any more: ${at.topic} was deleted and created again, and holds other records than those that were read before. Open it anew to read the new one from its beginning.`,
    place,
  })
}

/** A topic to create that is already there. */
export function topicExists(topic: Topic): TransportError {
  return new TransportError('MILLRACE_TOPIC_EXISTS', 'fatal', {
    message: `Topic ${topic} exists. Use it as it is, or delete it first.`,
    place: topic,
  })
}

/** A read from outside the log: `start` is the first kept offset, `end` the one the next record gets. */
export function offsetOutOfRange(
  at: PartitionOffset,
  { start, end }: { readonly start: number; readonly end: number },
): TransportError {
  const place = describePosition(at)
  const cause =
    at.offset < start ? 'Its records were purged' : 'The log is shorter than what was read before'
  return new TransportError('MILLRACE_OFFSET_OUT_OF_RANGE', 'fatal', {
    message: `${place} is outside the log, which goes from ${start} to ${end}. ${cause}: choose where to go on, and commit that offset.`,
    place,
  })
}

/** Records to delete that are not there yet, or of which a transaction is open: `end` is the last stable offset. */
export function deletionOutOfRange(
  before: PartitionOffset,
  { start, end }: { readonly start: number; readonly end: number },
): TransportError {
  const place = describePosition(before)
  return new TransportError('MILLRACE_OFFSET_OUT_OF_RANGE', 'fatal', {
    message: `Records before ${place} cannot be deleted: what may be deleted goes from ${start} to ${end}, where the log or its oldest open transaction is. Nothing of this partition was deleted: name an offset up to ${end}, or wait for the transaction.`,
    place,
  })
}

/** A position behind which the log was cut by an election: `end` is where the epoch read last ended. */
export function logTruncated(
  at: PartitionOffset,
  { epoch, end }: { readonly epoch: number; readonly end: number },
): TransportError {
  const place = describePosition(at)
  return new TransportError('MILLRACE_LOG_TRUNCATED', 'fatal', {
    message: `${place} was read up to here in leader epoch ${epoch}, which now ends at ${end}: records that were read are gone from the log. Choose where to go on; what was made of the lost records stands.`,
    place,
  })
}

/** A record that a compacted topic cannot keep, for it has no key to be kept by. */
export function recordWithoutKey(at: TopicPartition): TransportError {
  return new TransportError('MILLRACE_RECORD_WITHOUT_KEY', 'abortable', {
    message: `A record without a key was sent to ${at.topic}, which is compacted: the last record of each key stays, and this one would stay by none. Give it a key, or send it to a topic whose cleanup.policy is delete.`,
    place: describePartition(at),
  })
}

/** A record larger than its topic takes. */
export function recordTooLarge(
  at: TopicPartition,
  { sizeBytes, limitBytes }: { readonly sizeBytes: number; readonly limitBytes: number },
): TransportError {
  return new TransportError('MILLRACE_RECORD_TOO_LARGE', 'abortable', {
    message: `A record of ${sizeBytes} bytes for topic ${at.topic} is over its limit of ${limitBytes} bytes. Raise max.message.bytes of ${at.topic}, or send smaller records.`,
    place: describePartition(at),
  })
}

/** A call by a producer whose transactional id another one took over. */
export function producerFenced(transactionalId: string): TransportError {
  return new TransportError('MILLRACE_PRODUCER_FENCED', 'fenced', {
    message: `Another producer took over the transactional id ${transactionalId}. Stop this one; if both are meant to run, give each its own id.`,
    place: transactionalId,
  })
}

/** A call within a transaction that the log aborted because it was open for too long. */
export function transactionTimedOut(transactionalId: string): TransportError {
  return new TransportError('MILLRACE_TRANSACTION_TIMED_OUT', 'abortable', {
    message: `The log aborted the transaction of ${transactionalId}: it was open longer than its timeout. Abort it and do its work again; commit more often, or raise transactionTimeoutMs.`,
    place: transactionalId,
  })
}

/** A call within a transaction that was begun with a holder of the log who is gone, or through a connection that broke. */
export function transactionLost(transactionalId: string): TransportError {
  return new TransportError('MILLRACE_TRANSACTION_LOST', 'abortable', {
    message: `The log aborted the open transaction of ${transactionalId}: the process that held the log is gone, or the way to it broke. Abort it and do its work again; another process serves the log.`,
    place: transactionalId,
  })
}

/** Offsets that an open transaction is about to change. */
export function offsetsPending(groupId: string, at: TopicPartition): TransportError {
  const place = describePartition(at)
  return new TransportError('MILLRACE_OFFSETS_PENDING', 'retriable', {
    message: `An open transaction commits an offset of group ${groupId} for ${place}. Ask again when it ended; the init of its transactional id ends it at once.`,
    place,
  })
}

/** A call on a log, reader or producer after its close. */
export function logClosed(what: string): TransportError {
  return new TransportError('MILLRACE_LOG_CLOSED', 'fatal', {
    message: `The ${what} is closed. Open another one.`,
    place: what,
  })
}
