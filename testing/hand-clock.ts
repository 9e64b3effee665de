/**
 * A clock that a test moves. Time stands still, however long a test takes, until the test says how
 * much of it has passed; randomness comes from a seed. So what a test does is the same at every run.
 *
 * What is due now, also the turns that a record loop yields, waits until the test lets it run: `rest`
 * and `advance` do. Between them an app over this clock is frozen.
 */
import type { Clock, Timer } from '../model/clock.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { SeededRandom } from './seeded-random.ts'

/** When a hand-moved clock begins unless a test says otherwise: a fixed moment, so that timestamps repeat. */
const START_MS = 1_700_000_000_000

/** Timers that may fire without time passing before `rest` says that there is no end to it. */
const MAX_TURNS = 100_000

/** How a hand-moved clock begins. */
export interface HandClockOptions {
  /** The wall clock, milliseconds since 1970. Default: 2023-11-14T22:13:20Z. */
  readonly startMs?: number
  /** Of its random numbers and UUIDs. Default 1. */
  readonly seed?: number
}

/** Makes a clock that stands at `startMs` until it is moved. */
export function handClock(options: HandClockOptions = {}): HandClock {
  return new HandClock(options)
}

interface Due {
  readonly atMs: number
  readonly run: () => void
}

/** A clock moved by hand. Timers fire in the order of their times, those of one time in the order they were made. */
export class HandClock implements Clock {
  readonly #startMs: number
  readonly #random: SeededRandom
  /** One turn of the real event loop: every promise that waits for no timer has settled after it. */
  readonly #real = systemClock()
  /** In the order in which they fire. */
  readonly #due: Due[] = []
  #elapsedMs = 0

  constructor({ startMs = START_MS, seed = 1 }: HandClockOptions) {
    this.#startMs = startMs
    this.#random = new SeededRandom(seed)
  }

  now(): number {
    return Math.floor(this.#startMs + this.#elapsedMs)
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  random(): number {
    return this.#random.next()
  }

  uuid(): string {
    return this.#random.uuid()
  }

  timer(delayMs: number, run: () => void): Timer {
    const due = { atMs: this.#elapsedMs + Math.max(0, delayMs), run }
    const behind = this.#due.findLastIndex(({ atMs }) => atMs <= due.atMs)
    this.#due.splice(behind + 1, 0, due)
    return {
      cancel: () => {
        const index = this.#due.indexOf(due)
        if (index >= 0) this.#due.splice(index, 1)
      },
    }
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.timer(0, resolve)
    })
  }

  /** Milliseconds until the next timer; undefined where there is none. */
  get untilTimerMs(): number | undefined {
    const next = this.#due[0]
    return next === undefined ? undefined : Math.max(0, next.atMs - this.#elapsedMs)
  }

  /**
   * Lets everything happen that needs no time to pass and nothing from outside the program. Rejects
   * where there is no end to it: a topology that feeds itself, say.
   */
  async rest(): Promise<void> {
    for (let turns = 0; turns < MAX_TURNS; turns += 1) {
      await this.#real.yield()
      const next = this.#due[0]
      if (next === undefined || next.atMs > this.#elapsedMs) return
      this.#due.shift()
      next.run()
    }
    throw new Error(
      `${MAX_TURNS} timers fired without any time passing: this does not come to rest`,
    )
  }

  /** Lets `byMs` milliseconds pass, and all that is due in them happen, each at its time. */
  async advance(byMs: number): Promise<void> {
    if (!(byMs >= 0)) throw new TypeError(`a clock cannot be moved by ${byMs} ms`)
    const endMs = this.#elapsedMs + byMs
    await this.rest()
    for (let next = this.#due[0]; next !== undefined && next.atMs <= endMs; next = this.#due[0]) {
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs)
      await this.rest()
    }
    this.#elapsedMs = Math.max(this.#elapsedMs, endMs)
  }
}
