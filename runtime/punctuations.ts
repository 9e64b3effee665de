/**
 * Calls that the steps of a task asked for at times of their own. Source of the rules: Kafka Streams'
 * PunctuationQueue. By stream time a schedule begins at 0, so that the first record runs it, and goes
 * on at multiples of its interval; by the wall clock it begins one interval from now. However many
 * intervals went by, it is one call, with the time as it is and not as it was due.
 */
import type { PunctuationType, Scheduled } from '../processors/processor.ts'

interface Schedule extends Scheduled {
  readonly intervalMs: number
  readonly run: (timestampMs: number) => void
  dueMs: number
}

/** The schedules of one task. They belong to its running processors, and go with them. */
export class Punctuations {
  readonly #streamTime: Schedule[] = []
  readonly #wallClock: Schedule[] = []
  /** When the first by stream time is due; Infinity where there is none. */
  nextStreamMs = Infinity
  /** When the first by the wall clock is due; Infinity where there is none. */
  nextWallMs = Infinity

  /** Adds a schedule that is due at `firstMs`. */
  add(
    type: PunctuationType,
    { intervalMs, firstMs }: { readonly intervalMs: number; readonly firstMs: number },
    run: (timestampMs: number) => void,
  ): Scheduled {
    const queue = this.#queueOf(type)
    const schedule: Schedule = {
      intervalMs,
      run,
      dueMs: firstMs,
      cancel: () => {
        const at = queue.indexOf(schedule)
        if (at >= 0) queue.splice(at, 1)
        this.#look()
      },
    }
    queue.push(schedule)
    this.#look()
    return schedule
  }

  /** Runs what is due at `nowMs`, the earliest first. Answers how many calls that were. */
  run(type: PunctuationType, nowMs: number): number {
    const queue = this.#queueOf(type)
    let done = 0
    for (let next = firstOf(queue); next !== undefined; next = firstOf(queue)) {
      if (next.dueMs > nowMs) break
      const missed = Math.floor((nowMs - next.dueMs) / next.intervalMs)
      // Before the call, so that one which cancels itself, or throws, is not due again.
      next.dueMs += (missed + 1) * next.intervalMs
      next.run(nowMs)
      done += 1
    }
    this.#look()
    return done
  }

  /** Forgets all schedules. */
  clear(): void {
    this.#streamTime.length = 0
    this.#wallClock.length = 0
    this.#look()
  }

  #queueOf(type: PunctuationType): Schedule[] {
    return type === 'stream-time' ? this.#streamTime : this.#wallClock
  }

  #look(): void {
    this.nextStreamMs = firstOf(this.#streamTime)?.dueMs ?? Infinity
    this.nextWallMs = firstOf(this.#wallClock)?.dueMs ?? Infinity
  }
}

/** A step has a few schedules at most: a search is cheaper than a heap. */
function firstOf(queue: readonly Schedule[]): Schedule | undefined {
  let first = queue[0]
  for (const schedule of queue) if (schedule.dueMs < (first as Schedule).dueMs) first = schedule
  return first
}
