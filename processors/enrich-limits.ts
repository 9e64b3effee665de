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

  /** Stops waiting. */
  forget(onFree: () => void): void {
    this.#waiting.delete(onFree)
  }

  /** Whether somebody waits for a place. */
  get isContended(): boolean {
    return this.#waiting.size > 0
  }
}

/** A number of bytes. One taker is always let through, however much it takes. */
export class ByteBudget {
  readonly #total: number
  #taken = 0
  readonly #waiting: (() => void)[] = []

  constructor(total: number) {
    this.#total = total
  }

  /** Resolves when `bytes` more fit, or nothing is taken. Takers are served in the order they came. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.#taken > 0 && this.#taken + bytes > this.#total) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const onAbort = (): void => resolve()
      this.#waiting.push(onAbort)
      signal.addEventListener('abort', onAbort, { once: true })
      await promise
      signal.removeEventListener('abort', onAbort)
      signal.throwIfAborted()
    }
    this.#taken += bytes
  }

  /** Gives bytes back. */
  free(bytes: number): void {
    this.#taken -= bytes
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Bytes taken now. */
  get takenBytes(): number {
    return this.#taken
  }
}

/** The limits of one step. */
export interface EnrichLimits {
  readonly calls: Slots
  readonly sessions: Slots
  readonly bytes: ByteBudget
}
