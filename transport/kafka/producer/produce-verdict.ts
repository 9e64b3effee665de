/**
 * What an answer to Produce means for its batch. Some codes that sound alike differ in what matters
 * most: whether the log may have the batch all the same.
 */
import { CODE, errorKind } from '../error-codes.ts'

/** What is to be done with a batch. */
export type ProduceVerdict =
  /** The log has it, from this answer or from an earlier one that was lost. */
  | { readonly kind: 'acknowledged' }
  /** It is sent again with its number. */
  | {
      readonly kind: 'again'
      /** Whether the log may have it already. */
      readonly isUncertain: boolean
      /** Whether somebody else may lead the partition by now. */
      readonly hasMoved: boolean
      /** Whether the broker only waits for the end of the transaction before. */
      readonly isConcurrent: boolean
    }
  /** The log misses what came before it. */
  | { readonly kind: 'out-of-order' }
  | { readonly kind: 'too-large' }
  /** A later epoch of the producer wrote, or its transaction was ended by the broker. */
  | { readonly kind: 'fenced' }
  | { readonly kind: 'refused' }

/** Sent again with its number: the log does not have it. */
export const AGAIN = {
  kind: 'again',
  isUncertain: false,
  hasMoved: false,
  isConcurrent: false,
} as const
const MOVED = { ...AGAIN, hasMoved: true } as const
/** Also what a connection that broke, or an answer that did not come, makes of a batch. */
export const LOST = { ...MOVED, isUncertain: true } as const
const ACKNOWLEDGED = { kind: 'acknowledged' } as const
const OUT_OF_ORDER = { kind: 'out-of-order' } as const
const TOO_LARGE = { kind: 'too-large' } as const
const FENCED = { kind: 'fenced' } as const

const VERDICTS: ReadonlyMap<number, ProduceVerdict> = new Map<number, ProduceVerdict>([
  [CODE.none, ACKNOWLEDGED],
  [CODE.duplicateSequence, ACKNOWLEDGED],
  [CODE.unknownTopicOrPartition, MOVED],
  [CODE.leaderNotAvailable, MOVED],
  [CODE.notLeaderOrFollower, MOVED],
  [CODE.storageError, MOVED],
  [CODE.fencedLeaderEpoch, MOVED],
  [CODE.unknownTopicId, MOVED],
  // The leader has it, and the replicas in sync did not say so in time, or are too few by now.
  [CODE.requestTimedOut, { ...AGAIN, isUncertain: true }],
  [CODE.notEnoughReplicasAfterAppend, { ...AGAIN, isUncertain: true }],
  [CODE.networkException, LOST],
  [CODE.concurrentTransactions, { ...AGAIN, isConcurrent: true }],
  [CODE.outOfOrderSequence, OUT_OF_ORDER],
  [CODE.unknownProducerId, OUT_OF_ORDER],
  [CODE.messageTooLarge, TOO_LARGE],
  [CODE.recordListTooLarge, TOO_LARGE],
  [CODE.invalidProducerEpoch, FENCED],
  [CODE.producerFenced, FENCED],
  [CODE.invalidProducerIdMapping, FENCED],
])

/** What the code of a partition's answer means. */
export function verdictOn(code: number): ProduceVerdict {
  const known = VERDICTS.get(code)
  if (known !== undefined) return known
  return errorKind(code) === 'retriable' ? AGAIN : { kind: 'refused' }
}
