/**
 * The oldest timestamps that wait in a task's asynchronous steps. Time downstream does not pass
 * them: stores expire by the smaller of what they observed and this.
 */
export class TimeHolds {
  readonly #oldest = new Map<string, number>()

  set(operator: string, oldestPendingMs: number | undefined): void {
    if (oldestPendingMs === undefined) this.#oldest.delete(operator)
    else this.#oldest.set(operator, oldestPendingMs)
  }

  clear(): void {
    this.#oldest.clear()
  }

  /** Infinity where nothing waits. */
  get oldest(): number {
    // Asked with every record of a store with times, and mostly nothing waits.
    if (this.#oldest.size === 0) return Infinity
    let oldest = Infinity
    for (const timestamp of this.#oldest.values()) if (timestamp < oldest) oldest = timestamp
    return oldest
  }
}
