/**
 * The limits of one enrich step in one process, shared by its tasks: calls, sessions, and bytes that
 * the service's transport has not taken yet. A limit never refuses: it makes the driver wait, while
 * intake goes on and rows stand in the store.
 */

/** A number of places. Who finds none leaves a call-back, and is called in the order it asked. */
export class Slots {
  readonly #total: number
  #taken = 0
  readonly #waiting = new Set<() => void>()

  constructor(total: number) {
    this.#total = total
  }

  /** Takes a place if there is one; otherwise `onFree` is called once, when it may be worth asking again. */
  take(onFree: () => void): boolean {
    if (this.#taken < this.#total) {
      this.#taken += 1
      this.#waiting.delete(onFree)
      return true
    }
    this.#waiting.add(onFree)
    return false
  }

  /** Gives a place back. */
  free(): void {
    this.#taken -= 1
    // Who is called may not need the place any more: go on until somebody takes it. Who asks again
    // meanwhile waits for the next one.
    const waiting = [...this.#waiting]
    for (const onFree of waiting) {
      if (this.#taken >= this.#total) return
      this.#waiting.delete(onFree)
      onFree()
    }
  }

  /** Waits for a place, in turn with everybody else; rejects with the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const taken = Promise.withResolvers<void>()
    // Taken within the call-back: who is called after it would be quicker than a promise.
    const onFree = (): void => {
      if (this.take(onFree)) taken.resolve()
    }
    const onAbort = (): void => {
      this.forget(onFree)
      taken.reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    onFree()
    try {
      await taken.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Stops waiting. */
  forget(onFree: () => void): void {
    this.#waiting.delete(onFree)
  }

  /** Whether somebody waits for a place. */
  get isContended(): boolean {
    return this.#waiting.size > 0
  }
}

interface Taker {
  readonly bytes: number
  readonly admit: () => void
}

/** A number of bytes. One taker is always let through, however much it takes. */
export class ByteBudget {
  readonly #total: number
  #taken = 0
  /** In the order they came: a small one does not overtake a large one, which would never find room. */
  readonly #waiting: Taker[] = []

  constructor(total: number) {
    this.#total = total
  }

  /** Resolves when `bytes` more fit, or nothing is taken; rejects with the signal's reason. Takers are served in the order they came. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const admitted = Promise.withResolvers<void>()
    const taker = { bytes, admit: admitted.resolve }
    const onAbort = (): void => {
      this.#forget(taker)
      admitted.reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiting.push(taker)
    this.#admit()
    try {
      await admitted.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Gives bytes back. */
  free(bytes: number): void {
    this.#taken -= bytes
    this.#admit()
  }

  /** Bytes taken now. */
  get takenBytes(): number {
    return this.#taken
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#taken > 0 && this.#taken + next.bytes > this.#total) return
      this.#waiting.shift()
      this.#taken += next.bytes
      next.admit()
    }
  }

  #forget(taker: Taker): void {
    const index = this.#waiting.indexOf(taker)
    if (index < 0) return
    this.#waiting.splice(index, 1)
    this.#admit()
  }
}

/** The limits of one step. */
export interface EnrichLimits {
  readonly calls: Slots
  readonly sessions: Slots
  readonly bytes: ByteBudget
}
