/**
 * How long a task waits for an empty input before it takes a record of another one, as Kafka
 * Streams' `max.task.idle.ms`. Waiting is what makes the order of two inputs theirs and not that of
 * their arrival: a record that is on the log already is always waited for, unless waiting is switched
 * off; one that is yet to come, for a time. Source: Kafka Streams' PartitionGroup.
 */
import type { Clock } from '../model/clock.ts'

/** An input that has no record at hand. */
export interface EmptyInput {
  /** Records between it and the last stable offset; undefined where that is not known. */
  readonly lag: number | undefined
}

/** What one task waits for. */
export class TaskIdling {
  readonly #clock: Clock
  readonly #maxIdleMs: number
  /** Until when each empty input is waited for; it stays when it has passed, until the input has a record. */
  readonly #untilMs = new Map<EmptyInput, number>()

  /** `maxIdleMs` below 0 never waits; 0 waits for what is known to be on the log; above, that long for more. */
  constructor(clock: Clock, maxIdleMs: number) {
    this.#clock = clock
    this.#maxIdleMs = maxIdleMs
  }

  /** Whether the other inputs may go on without this empty one. */
  mayPass(input: EmptyInput): boolean {
    if (this.#maxIdleMs < 0) return true
    if (input.lag !== 0) {
      this.#untilMs.delete(input)
      return false
    }
    if (this.#maxIdleMs === 0) return true
    const now = this.#clock.monotonic()
    const untilMs = this.#untilMs.get(input) ?? now + this.#maxIdleMs
    this.#untilMs.set(input, untilMs)
    return now >= untilMs
  }

  /** The input has a record: the next time it is empty it is waited for anew. */
  filled(input: EmptyInput): void {
    if (this.#maxIdleMs > 0) this.#untilMs.delete(input)
  }

  /** Time until the next wait is over; Infinity where none is on. */
  get remainingMs(): number {
    const now = this.#clock.monotonic()
    let next = Infinity
    for (const untilMs of this.#untilMs.values()) {
      if (untilMs > now && untilMs < next) next = untilMs
    }
    return next - now
  }

  /** Forgets all inputs. */
  clear(): void {
    this.#untilMs.clear()
  }
}
