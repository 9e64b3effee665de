/**
 * One asks, all who wanted the same wait for its answer. A caller who gives up leaves the others
 * alone; the work itself is given up once nobody waits for it any more.
 */

interface Flight<T> {
  readonly landing: Promise<T>
  readonly controller: AbortController
  /** Callers that may still give up, and those that never will. */
  waiting: number
}

/** Work under way, by key. Nothing is remembered once it is done. */
export class SingleFlight<K, T> {
  readonly #flights = new Map<K, Flight<T>>()

  /** The result of `work` for `key`, which is begun unless it is under way. Rejects with the signal's reason. */
  async run(key: K, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#begin(key, work)
    flight.waiting += 1
    return signal === undefined ? flight.landing : this.#board(key, flight, signal)
  }

  #begin(key: K, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController()
    const landing = work(controller.signal).finally(() => this.#forget(key, flight))
    const flight: Flight<T> = { landing, controller, waiting: 0 }
    this.#flights.set(key, flight)
    return flight
  }

  #board(key: K, flight: Flight<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        flight.waiting -= 1
        reject(signal.reason as Error)
        if (flight.waiting > 0) return
        // Who comes now begins anew instead of sharing a flight that was given up.
        this.#forget(key, flight)
        flight.controller.abort(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      void flight.landing
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', onAbort))
    })
  }

  #forget(key: K, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
