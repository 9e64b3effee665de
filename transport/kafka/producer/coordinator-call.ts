/** A call of a coordinator that is repeated for as long as that may help. */
import { sleep, type Clock } from '../../../model/clock.ts'
import type { Api } from '../api/api.ts'
import type { Coordinated } from '../cluster/coordinator-cache.ts'
import { timeLeftMs } from '../cluster/within-deadline.ts'
import { unlessMoved } from './doubt.ts'
import { CODE, errorKind, refused } from '../error-codes.ts'
import { isRetriable, retryDelayMs } from '../limits.ts'
import type { ProducerLink } from './producer-link.ts'
import type { ProducerPatience } from './producer-limits.ts'

/** What is called, and how its answer is read. */
export interface CoordinatorCall<Q, R> {
  readonly what: Coordinated
  readonly question: readonly [Api<Q, R>, Q]
  readonly version: number
  /** The code that decides; of several, one that is not 0. */
  readonly codeOf: (answer: R) => number
}

/** How long it is tried, and by whom that is noticed. */
export interface CallPatience {
  readonly link: ProducerLink
  readonly limits: ProducerPatience
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** An answer did not come: the call may have been done. */
  readonly onLost?: (() => void) | undefined
}

/** How a call ended: an answer, or the deadline with the last problem. */
export type CallOutcome<R> =
  | { readonly kind: 'answered'; readonly answer: R; readonly code: number }
  | { readonly kind: 'too-late'; readonly problem: unknown }

const MOVED: ReadonlySet<number> = new Set([
  CODE.notCoordinator,
  CODE.coordinatorNotAvailable,
  CODE.requestTimedOut,
])

/**
 * Calls until there is an answer whose code is not a passing one: the coordinator has moved or loads,
 * the transaction before is not quite finished (51, which takes milliseconds), no connection. Rejects
 * where trying again cannot help, for example for want of rights.
 */
export async function callCoordinator<Q, R>(
  call: CoordinatorCall<Q, R>,
  patience: CallPatience,
): Promise<CallOutcome<R>> {
  const { link, limits, signal } = patience
  const { clock } = link
  const end = clock.monotonic() + patience.deadlineMs
  for (let retry = 0; ; retry += 1) {
    signal?.throwIfAborted()
    const attempt = await attemptOnce(call, patience, end)
    if (attempt.kind === 'answered') return attempt
    const delayMs = attempt.isConcurrent
      ? concurrentDelayMs(clock, limits, retry)
      : retryDelayMs({ clock, limits }, retry)
    if (clock.monotonic() + delayMs >= end) return { kind: 'too-late', problem: attempt.problem }
    await sleep(clock, delayMs, signal)
  }
}

/** Delay before what met an unfinished transaction is tried again: 2 to 5 ms at first. */
export function concurrentDelayMs(
  clock: Clock,
  { concurrentMinMs, concurrentMaxMs }: ProducerPatience,
  retry: number,
): number {
  const grown = Math.min(concurrentMaxMs, concurrentMinMs * 1.25 ** Math.min(retry, 50))
  return grown * (1 + clock.random() * 1.5)
}

type Attempt<R> =
  | { readonly kind: 'answered'; readonly answer: R; readonly code: number }
  | { readonly kind: 'passing'; readonly problem: unknown; readonly isConcurrent: boolean }

async function attemptOnce<Q, R>(
  call: CoordinatorCall<Q, R>,
  { link, limits, signal, onLost }: CallPatience,
  end: number,
): Promise<Attempt<R>> {
  const { what, question, version } = call
  let hasLeft = false
  try {
    const node = await link.coordinator(what, {
      deadlineMs: timeLeftMs(link.clock, end),
      signal,
    })
    hasLeft = true
    const deadlineMs = Math.min(timeLeftMs(link.clock, end), limits.produceDeadlineMs)
    const answer = await unlessMoved(
      link.coordinate({ ...what, node }, question, { version, deadlineMs }),
      {
        clock: link.clock,
        afterMs: limits.doubtMs,
        hasMoved: async () => {
          link.forgetCoordinator(what)
          return (await link.coordinator(what, { deadlineMs: limits.leaderDeadlineMs })) !== node
        },
        abandon: () => link.abandon(node, what.kind),
      },
    )
    const code = call.codeOf(answer)
    if (!isPassing(code)) return { kind: 'answered', answer, code }
    if (MOVED.has(code)) link.forgetCoordinator(what)
    // A coordinator that could not wait for its own log may have written all the same.
    if (code === CODE.requestTimedOut) onLost?.()
    const problem = refused(code, { api: question[0].name, place: what.key })
    return { kind: 'passing', problem, isConcurrent: code === CODE.concurrentTransactions }
  } catch (error) {
    if (!isRetriable(error)) throw error
    if (hasLeft) onLost?.()
    link.forgetCoordinator(what)
    return { kind: 'passing', problem: error, isConcurrent: false }
  }
}

/** Whether a code says that the same call may come through a little later. */
export function isPassing(code: number): boolean {
  return code !== CODE.none && errorKind(code) === 'retriable'
}
