/** How often, how long and with what waits something is tried again. */
import { sleep, type Clock } from '../model/clock.ts'
import { asError, MillraceError } from '../model/errors.ts'

/** Bounds of trying again. */
export interface RetryLimits {
  readonly attempts: number
  readonly attemptDeadlineMs: number
  readonly totalDeadlineMs: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
}

/**
 * The wait before try `attempt` + 1: exponential with full jitter, a uniform time between 0 and
 * min(maxBackoffMs, backoffMs x 2^(attempt - 1)) (M. Brooker, Exponential Backoff And Jitter, 2015).
 */
export function backoffMs(attempt: number, limits: RetryLimits, clock: Clock): number {
  const longest = Math.min(limits.maxBackoffMs, limits.backoffMs * 2 ** Math.min(attempt - 1, 30))
  return Math.floor(clock.random() * longest)
}

/** Waits the back-off of an attempt. */
export async function backOff(
  attempt: number,
  limits: RetryLimits,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  await sleep(clock, backoffMs(attempt, limits, clock), signal)
}

/** A time within which something has to happen. */
export interface Deadline {
  readonly deadlineMs: number
  /** For the message. */
  readonly what: string
  readonly clock: Clock
  /** When there last was progress, on the monotonic clock: the deadline counts from then. Default: from the start. */
  readonly progressMs?: () => number
}

/** Runs `work` with a signal that aborts at the deadline; then rejects with MILLRACE_ENRICH_DEADLINE at once, even if `work` does not heed it. */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  limit: Deadline,
  outer: AbortSignal,
): Promise<T> {
  outer.throwIfAborted()
  const controller = new AbortController()
  const over = Promise.withResolvers<never>()
  const onOuter = (): void => {
    controller.abort(outer.reason)
    over.reject(asError(outer.reason))
  }
  outer.addEventListener('abort', onOuter, { once: true })
  const cancelTimer = onDeadline(limit, () => {
    const error = new MillraceError(
      'MILLRACE_ENRICH_DEADLINE',
      `${limit.what} gave no answer within ${limit.deadlineMs} ms. If the service needs longer, raise attemptDeadlineMs.`,
    )
    controller.abort(error)
    over.reject(error)
  })
  try {
    return await Promise.race([work(controller.signal), over.promise])
  } finally {
    cancelTimer()
    outer.removeEventListener('abort', onOuter)
  }
}

/** Calls `run` when the deadline has passed; returns what stops that. */
function onDeadline({ deadlineMs, clock, progressMs }: Deadline, run: () => void): () => void {
  const due = (): void => {
    const leftMs = progressMs === undefined ? 0 : progressMs() + deadlineMs - clock.monotonic()
    if (leftMs > 0) timer = clock.timer(leftMs, due)
    else run()
  }
  let timer = clock.timer(deadlineMs, due)
  return () => timer.cancel()
}
