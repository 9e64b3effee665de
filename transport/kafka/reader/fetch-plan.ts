/**
 * What the next fetch from one broker asks for, so that the bytes fetched ahead stay bounded and
 * nobody starves.
 *
 * - A cursor with an empty queue is always asked for, if need be beyond the budget: then the request's
 *   limit is one byte, which a broker answers with exactly one whole batch (KIP-74). Others are asked
 *   for while the budget lasts and they hold less than their share of it.
 * - A request reserves its limit until it is answered, so several at once cannot pass the budget. One
 *   that only waits for news reserves little, or it would keep the budget from those who have some.
 * - Who waited longest comes first, for a broker fills its answer in order. Within a session the
 *   broker itself moves those behind that got something.
 * - A broker cuts at the limit, not between batches. Where batches are large the limit of a partition
 *   is made to fit whole ones, or half of every answer would be a tail that is fetched twice.
 */
import type { FetchLimits } from './fetch-limits.ts'
import type { AskedPartition } from './fetch-session.ts'
import type { KafkaCursor } from './kafka-cursor.ts'

/** What may be fetched now. */
export interface FetchBudget {
  /** Of the reader's budget neither buffered nor reserved; may be negative. */
  readonly leftBytes: number
  /** Of the reader's whole budget for each cursor that has something to read. */
  readonly shareBytes: number
  /** The same for each cursor, caught up or not: it changes seldom, so the session need not be told. */
  readonly evenShareBytes: number
  /** What a request that waits for news may reserve. */
  readonly pollBytes: number
}

/** A fetch to be sent. */
export interface FetchPlan {
  readonly cursors: readonly KafkaCursor[]
  readonly asked: readonly AskedPartition[]
  /** Of the whole answer; also what is reserved. */
  readonly maxBytes: number
  /** Whether the broker may hold it back until there is news: no partition is known to have any. */
  readonly isPoll: boolean
}

/** More batches than this in an answer make a tail small enough not to care. */
const FITTED_BATCHES = 8
/** Batches of one size differ by a few bytes: so much of one is allowed for each. */
const FIT_SLACK = 1 / 64

/** What to ask of a broker for those of its `cursors` that are ready; undefined where there is nothing to ask. */
export function planFetch(
  cursors: readonly KafkaCursor[],
  budget: FetchBudget,
  limits: FetchLimits,
): FetchPlan | undefined {
  const { leftBytes, shareBytes, evenShareBytes, pollBytes } = budget
  const wanted = cursors
    .filter(
      (one) =>
        one.state === 'ready' && (one.isEmpty || (leftBytes > 0 && one.queuedBytes < shareBytes)),
    )
    .toSorted((a, b) => a.servedAt - b.servedAt)
  if (wanted.length === 0) return undefined
  const isPoll = wanted.every(({ ahead }) => ahead !== 'more')
  const isIdle = wanted.every(({ ahead }) => ahead === 'nothing')
  const most = isIdle
    ? Math.min(limits.pollMaxBytes, pollBytes)
    : Math.min(limits.responseMaxBytes, isPoll ? wanted.length * evenShareBytes : Infinity)
  const maxBytes = Math.max(1, Math.min(leftBytes, most))
  const asked = wanted.map((one) => askedOf(one, partitionBytes(one, { budget, limits, maxBytes })))
  return { cursors: wanted, asked, maxBytes, isPoll }
}

function askedOf(cursor: KafkaCursor, maxBytes: number): AskedPartition {
  const { topic, partition, leader, lastEpoch, fetchOffset: offset } = cursor
  return {
    topic,
    topicId: leader?.topicId ?? '',
    partition,
    currentLeaderEpoch: leader?.leaderEpoch ?? -1,
    offset,
    lastFetchedEpoch: lastEpoch,
    maxBytes,
  }
}

function partitionBytes(
  cursor: KafkaCursor,
  {
    budget,
    limits,
    maxBytes,
  }: { readonly budget: FetchBudget; readonly limits: FetchLimits; readonly maxBytes: number },
): number {
  const { ahead, batchBytes, queuedBytes } = cursor
  if (ahead !== 'more')
    return Math.max(1, Math.min(limits.partitionMaxBytes, budget.evenShareBytes))
  const room = Math.min(limits.partitionMaxBytes, budget.shareBytes - queuedBytes, maxBytes)
  const batch = Math.ceil(batchBytes * (1 + FIT_SLACK))
  const fitting = batch === 0 ? Number.POSITIVE_INFINITY : Math.floor(room / batch)
  return Math.max(1, fitting >= FITTED_BATCHES ? room : fitting * batch)
}
