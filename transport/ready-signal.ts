/**
 * How a reader wakes those who wait in `ready`. News that nobody waited for is kept until somebody
 * asks, so none is lost between a `take` and the `ready` after it.
 */
import { asError } from '../model/errors.ts'

interface Waiter {
  wake(): void
  fail(error: Error): void
}

/** The waits on one reader. */
export class ReadySignal {
  readonly #waiters = new Set<Waiter>()
  /** Whether something happened since `wait` last resolved. */
  #news = false
  #closed: Error | undefined

  /** Resolves when there is news. Rejects with the signal's reason, or with what the reader was closed with. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(asError(signal.reason))
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    if (this.#news) {
      this.#news = false
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => waiter.fail(asError(signal?.reason))
      const settle = (): void => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        wake: () => {
          settle()
          resolve()
        },
        fail: (error) => {
          settle()
          reject(error)
        },
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** A `take` may answer otherwise than before. */
  announce(): void {
    if (this.#waiters.size === 0) {
      this.#news = true
      return
    }
    for (const waiter of this.#waiters) waiter.wake()
  }

  /** Ends every wait, and those to come. */
  close(error: Error): void {
    this.#closed = error
    for (const waiter of this.#waiters) waiter.fail(error)
  }
}
