/** The identity of a producer without transactions: any broker gives one out. */
import { INIT_PRODUCER_ID } from '../api/init-producer-id.ts'
import { CODE, refused } from '../error-codes.ts'
import { withPatience } from '../limits.ts'
import { nextEpoch, type ProducerIdentity } from './producer-identity.ts'
import type { ProducerPatience } from './producer-limits.ts'
import type { ProducerLink } from './producer-link.ts'

const NONE = {
  transactionalId: null,
  transactionTimeoutMs: 0,
  producerId: -1,
  producerEpoch: -1,
} as const

/**
 * A producer id that nobody else has. One that a producer had goes on under its next epoch: what is on
 * its way to the log under the old one comes before what follows, or not at all.
 */
export async function plainIdentity(
  link: ProducerLink,
  limits: ProducerPatience,
  before: ProducerIdentity | undefined,
): Promise<ProducerIdentity> {
  const next = before === undefined ? undefined : nextEpoch(before)
  if (next !== undefined) return next
  const patience = { clock: link.clock, limits, deadlineMs: limits.initDeadlineMs }
  return await withPatience(patience, async (deadlineMs) => {
    const answer = await link.any([INIT_PRODUCER_ID, NONE], { deadlineMs })
    const { errorCode, producerId, producerEpoch } = answer
    if (errorCode === CODE.none) return { producerId, producerEpoch }
    throw refused(errorCode, { api: INIT_PRODUCER_ID.name, place: 'an idempotent producer' })
  })
}
