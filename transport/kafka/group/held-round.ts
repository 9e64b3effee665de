/**
 * Looks after a request that a broker may hold back for a minute: a connection that died without a
 * word (a pulled cable, a stalled proxy, a halted machine) would hold its caller for as long. So the
 * broker is asked something small beside it now and then, on another connection to the same node; who
 * does not answer that will not answer the other either, and its connection is ended.
 */
import { sleep } from '../../../model/clock.ts'
import { FIND_COORDINATOR } from '../api/find-coordinator.ts'
import type { GroupLink } from './group-link.ts'
import { isRetriable } from '../limits.ts'

/** Whose coordinator is waited for, and where. */
export interface HeldRound {
  readonly groupId: string
  readonly node: number
  /** Between two questions, and for the answer to one. */
  readonly checkMs: number
}

/** Looks after the rounds of a link until the signal aborts, or the node does not answer; rejects at nothing. */
export async function watchRound(
  link: GroupLink,
  { groupId, node, checkMs }: HeldRound,
  signal: AbortSignal,
): Promise<void> {
  const question = [FIND_COORDINATOR, { kind: 'group', key: groupId }] as const
  const options = { deadlineMs: checkMs, signal }
  try {
    for (;;) {
      await sleep(link.clock, checkMs, signal)
      await link.ask({ lane: 'signs', node }, question, options)
    }
  } catch (error) {
    if (isRetriable(error) && !signal.aborted) await link.drop('rounds', node, error)
  }
}
