/**
 * The time of one step that closes windows: how far its own records have come, held back by what waits
 * upstream in the task. It never goes back, and it is kept with each commit beside the step's windows,
 * so that a replay after an abort or a restart finds the same records late. Kafka Streams forgets it
 * with the process, and then takes late records in again.
 */
import type { StepTime } from '../state/store.ts'

/** Where a step's time is kept: any store with times. */
interface StepTimeKeeper {
  readonly stepTime: StepTime
  keepStepTime(time: StepTime): void
}

/** How far time has come for a step. */
export class StepClock {
  readonly #keeper: StepTimeKeeper
  readonly #heldTime: () => number
  #observedMs = -1
  #reachedMs = -1
  #kept = true

  constructor(keeper: StepTimeKeeper, heldTime: () => number) {
    this.#keeper = keeper
    this.#heldTime = heldTime
  }

  /** Goes on from what was kept. */
  open(): void {
    const { observedMs, reachedMs } = this.#keeper.stepTime
    this.#observedMs = observedMs
    this.#reachedMs = reachedMs
  }

  /** Sees a record of `timestamp`; how far time has come then, itself included. */
  observe(timestamp: number): number {
    if (timestamp > this.#observedMs) {
      this.#observedMs = timestamp
      this.#kept = false
    }
    // Nearly always there already: nobody is asked what is held.
    if (this.#reachedMs === this.#observedMs) return this.#reachedMs
    const reached = Math.min(this.#observedMs, this.#heldTime())
    if (reached > this.#reachedMs) {
      this.#reachedMs = reached
      this.#kept = false
    }
    return this.#reachedMs
  }

  /** Before a commit. */
  keep(): void {
    if (this.#kept) return
    this.#keeper.keepStepTime({ observedMs: this.#observedMs, reachedMs: this.#reachedMs })
    this.#kept = true
  }
}
