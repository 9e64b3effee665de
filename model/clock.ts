/**
 * Time and randomness, as everything in millrace takes them: passed in, never read from the world.
 * runtime/system-clock.ts is the only real implementation; tests move theirs by hand, and the
 * simulation draws both from one seed.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. It may jump. */
  now(): number
  /** Milliseconds that only grow; for intervals and deadlines. */
  monotonic(): number
  /** Calls `run` once, `delayMs` later, unless it was cancelled. A pending timer keeps the process alive. */
  timer(delayMs: number, run: () => void): Timer
  /** Lets sockets, timers and other tasks of the process have their turn. */
  yield(): Promise<void>
  /** A uniform number in [0, 1). */
  random(): number
  /** A random UUID in its usual text form. */
  uuid(): string
  /** Watches from outside of the event loop that it goes on, until it is disposed. Left out where time is simulated. */
  watchLoop?(watched: LoopWatched): Disposable
}

/** An event loop that is watched. */
export interface LoopWatched {
  /** Goes to standard error when the loop has not come to itself for `afterMs` milliseconds, while it stands still; once each time. */
  readonly message: string
  readonly afterMs: number
  /** Told where nothing can watch; without it the process goes on. */
  readonly onFailed: (error: Error) => void
}

/** A timer that has not fired. */
export interface Timer {
  cancel(): void
}

/** Resolves `delayMs` later; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason as Error)
    }
    const timer = clock.timer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
