/** A wait that ends: with a signal's abort, or with an error of its own after a time. */
import type { Clock } from '../model/clock.ts'
import { eitherSignal } from '../model/either-signal.ts'

/** How long a wait may be and what it ends with. */
export interface Deadline {
  readonly clock: Clock
  readonly deadlineMs: number
  readonly error: () => Error
  readonly signal?: AbortSignal | undefined
}

/** Runs `work` with a signal that aborts at the deadline. */
export async function withDeadline<T>(
  { clock, deadlineMs, error, signal }: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const timer = clock.timer(deadlineMs, () => over.abort(error()))
  using either = eitherSignal(over.signal, signal)
  try {
    return await work(either.signal)
  } finally {
    timer.cancel()
  }
}
