/**
 * Removes the state of tasks that a unit does not own any more: they moved to another process, or
 * the topology has other tasks now. Not at once, for a task that left may come back soon and would
 * have to be restored in full; and never what is open. Kafka Streams' `state.cleanup.delay.ms`.
 *
 * The delay runs by this process's own clock from when it first saw that the state is nobody's: the
 * times of files tell when something was written last, not since when it is of no use.
 */
import type { Clock, Timer } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { StateHome } from '../state/home.ts'

/** What a cleaner is made of. */
export interface StateCleanerParts {
  readonly home: Pick<StateHome, 'tasks' | 'removeTask'>
  /** Whether a task's state is in use, or may be again: asked right before it is removed. */
  readonly isOwned: (taskId: string) => boolean
  readonly clock: Clock
  readonly delayMs: number
  readonly onNotice: (message: string) => void
}

/** The cleaner of one unit's folder. */
export class StateCleaner implements AsyncDisposable {
  readonly #parts: StateCleanerParts
  /** Since when each task's state is nobody's. */
  readonly #sinceMs = new Map<string, number>()
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  #again = false
  #isClosed = false

  constructor(parts: StateCleanerParts) {
    this.#parts = parts
  }

  /** What the unit owns may have changed. Looks now, and again when something is due. */
  look(): void {
    if (this.#isClosed) return
    this.#again = true
    this.#looking ??= this.#lookAgain().finally(() => (this.#looking = undefined))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#looking
  }

  async #lookAgain(): Promise<void> {
    while (this.#again && !this.#isClosed) {
      this.#again = false
      this.#timer?.cancel()
      try {
        await this.#clean()
      } catch (error) {
        this.#parts.onNotice(`state that is not needed stays: ${asError(error).message}`)
      }
    }
    this.#wait()
  }

  async #clean(): Promise<void> {
    const { home, isOwned, clock, delayMs, onNotice } = this.#parts
    const unowned = (await home.tasks()).filter((task) => !isOwned(task))
    for (const task of this.#sinceMs.keys()) if (!unowned.includes(task)) this.#sinceMs.delete(task)
    for (const task of unowned) {
      const sinceMs = this.#sinceMs.get(task) ?? clock.monotonic()
      this.#sinceMs.set(task, sinceMs)
      if (clock.monotonic() - sinceMs < delayMs || isOwned(task)) continue
      // Also where it fails: what cannot be removed now is tried again one delay later.
      this.#sinceMs.set(task, clock.monotonic())
      if (!(await home.removeTask(task))) continue
      this.#sinceMs.delete(task)
      onNotice(`the state of task ${task} was removed: this process does not run it any more`)
    }
  }

  #wait(): void {
    if (this.#isClosed || this.#sinceMs.size === 0) return
    const { clock, delayMs } = this.#parts
    const dueMs = Math.min(...this.#sinceMs.values()) + delayMs
    this.#timer = clock.timer(Math.max(1, dueMs - clock.monotonic()), () => this.look())
  }
}
