/** Deadlines that bind all that an operation waits for, connecting included: they travel as a signal. */
import type { Clock } from '../../../model/clock.ts'
import { asError } from '../../../model/errors.ts'
import { untilAborted } from '../../../model/until-aborted.ts'

/** How long may be waited, and what it was when that was not enough. */
export interface Deadline {
  readonly clock: Clock
  /** From now on; `Infinity` where the signal alone ends it. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** The error at the deadline, made in that moment. */
  readonly late: () => Error
}

/** Settles as `work` does, or rejects at the deadline, or with the signal's reason. `work` is told by a signal of its own, for both. */
export async function withinDeadline<T>(
  { clock, deadlineMs, signal, late }: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const own = new AbortController()
  const onAbort = (): void => own.abort(asError(signal?.reason))
  signal?.addEventListener('abort', onAbort, { once: true })
  // A timer of endless delay would fire at once.
  const isBound = Number.isFinite(deadlineMs)
  const timer = isBound ? clock.timer(deadlineMs, () => own.abort(late())) : undefined
  try {
    return await untilAborted(work(own.signal), own.signal)
  } finally {
    timer?.cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

/** Whole milliseconds until `end`, on the clock that only grows; at least one, for what is to say itself that it was late. */
export function timeLeftMs(clock: Clock, end: number): number {
  return Math.max(1, Math.ceil(end - clock.monotonic()))
}
