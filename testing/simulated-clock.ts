/**
 * Time and randomness from one seed. Virtual time stands still while anything can run and jumps to
 * the next timer when nothing can; timers that are due together fire in an order drawn from the
 * seed. So every interleaving a seed can produce is produced again by the same seed, byte for byte.
 */
import type { Clock, Timer } from '../model/clock.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { SeededRandom } from './seeded-random.ts'

/** When a simulation begins: a fixed moment, so that timestamps repeat. */
const EPOCH_MS = 1_700_000_000_000

interface Due {
  readonly atMs: number
  readonly tie: number
  readonly order: number
  readonly run: () => void
}

/** The one clock of a simulation. Each simulated process takes a `processClock` of its own from it. */
export class SimulatedClock implements Clock {
  readonly random64: SeededRandom
  readonly #due: Due[] = []
  /** One turn of the real event loop: every promise that needs no timer has settled after it. */
  readonly #real = systemClock()
  #elapsedMs = 0
  #order = 0
  #jumpedMs = 0

  constructor(seed: number) {
    this.random64 = new SeededRandom(seed)
  }

  now(): number {
    return EPOCH_MS + Math.floor(this.#elapsedMs) + this.#jumpedMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  random(): number {
    return this.random64.next()
  }

  uuid(): string {
    return this.random64.uuid()
  }

  /** Moves the wall clock without any time passing. */
  jump(byMs: number): void {
    this.#jumpedMs += byMs
  }

  timer(delayMs: number, run: () => void): Timer {
    const order = (this.#order += 1)
    const due = { atMs: this.#elapsedMs + Math.max(0, delayMs), tie: this.random(), order, run }
    this.#due.push(due)
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

  /**
   * Runs the simulated world until `done`. Asserts that it gets there: within `limitMs` of virtual
   * time, and without a moment in which nothing is left that could happen.
   */
  async runUntil(done: () => boolean, limitMs: number): Promise<void> {
    const end = this.#elapsedMs + limitMs
    for (;;) {
      await this.#real.yield()
      if (done()) return
      const next = this.#takeNext()
      if (next === undefined) throw new Error('the simulation waits for ever: no timer is left')
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs)
      if (this.#elapsedMs > end) {
        throw new Error(`the simulation did not end within ${limitMs} ms of virtual time`)
      }
      next.run()
    }
  }

  #takeNext(): Due | undefined {
    let first = 0
    for (let i = 1; i < this.#due.length; i += 1) {
      if (isBefore(this.#due[i] as Due, this.#due[first] as Due)) first = i
    }
    return this.#due.splice(first, 1)[0]
  }
}

/** The clock of one process in a world whose time others share: its timers die with it. */
export class ProcessClock implements Clock {
  readonly #world: Clock
  readonly #timers = new Set<Timer>()
  #isDead = false

  constructor(world: Clock) {
    this.#world = world
  }

  now(): number {
    return this.#world.now()
  }

  monotonic(): number {
    return this.#world.monotonic()
  }

  random(): number {
    return this.#world.random()
  }

  uuid(): string {
    return this.#world.uuid()
  }

  timer(delayMs: number, run: () => void): Timer {
    if (this.#isDead) return { cancel: () => {} }
    const timer = this.#world.timer(delayMs, () => {
      this.#timers.delete(timer)
      run()
    })
    this.#timers.add(timer)
    return {
      cancel: () => {
        this.#timers.delete(timer)
        timer.cancel()
      },
    }
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.timer(0, resolve)
    })
  }

  /** The process is killed: nothing it waits for ever happens. */
  kill(): void {
    this.#isDead = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  /** Timers that neither fired nor were cancelled. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  get isDead(): boolean {
    return this.#isDead
  }
}

function isBefore(a: Due, b: Due): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs
  return a.tie === b.tie ? a.order < b.order : a.tie < b.tie
}
