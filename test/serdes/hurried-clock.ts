/** A clock for real sockets: what would wait a moment does not wait, and deadlines pass when a test says so. */
import type { Clock, Timer } from '../../model/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'

interface Pending {
  readonly delayMs: number
  readonly run: () => void
}

export class HurriedClock implements Clock {
  /** The waits that were skipped, in order. */
  readonly waitsMs: number[] = []
  /** What `random` gives. */
  luck = 1
  #nowMs = Date.UTC(2026, 0, 1)
  readonly #startMs = this.#nowMs
  readonly #real = systemClock()
  readonly #longestWaitMs: number
  readonly #deadlines = new Set<Pending>()

  /** Timers up to `longestWaitMs` fire at once and move the time; longer ones wait for `passDeadlines`. */
  constructor(longestWaitMs: number) {
    this.#longestWaitMs = longestWaitMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs
  }

  pass(byMs: number): void {
    this.#nowMs += byMs
  }

  timer(delayMs: number, run: () => void): Timer {
    if (delayMs <= this.#longestWaitMs) {
      this.waitsMs.push(delayMs)
      return this.#real.timer(0, () => {
        this.pass(delayMs)
        run()
      })
    }
    const deadline = { delayMs, run }
    this.#deadlines.add(deadline)
    return { cancel: () => void this.#deadlines.delete(deadline) }
  }

  /** Lets every deadline that is set pass. */
  passDeadlines(): void {
    for (const deadline of this.#deadlines) {
      this.#deadlines.delete(deadline)
      this.pass(deadline.delayMs)
      deadline.run()
    }
  }

  get deadlines(): number {
    return this.#deadlines.size
  }

  yield(): Promise<void> {
    return this.#real.yield()
  }

  random(): number {
    return this.luck
  }

  uuid(): string {
    return this.#real.uuid()
  }
}
