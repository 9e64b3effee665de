/**
 * One process of a simulated application: its clock, its way to the log, the disks it has opened,
 * and the moment at which it stops.
 *
 * It can be stopped at every await. Whatever a process waits for comes to it by one of three doors:
 * a timer, an answer of the log, the end of a write to its disk; and whatever it does to the world
 * leaves by the same doors. Each passage is a touch, and touches are counted. Between two of them it
 * only moves its own memory, so a stop before the n-th touch, for every n, is every stop there is.
 *
 * A killed process does nothing more: what had left takes effect, a write in flight may or may not
 * have reached the disk. A frozen one (a long pause, a machine that was thought dead) goes on later,
 * with a successor at work meanwhile: its operations and timers wait for the thaw.
 */
import { sleep, type Clock, type Timer } from '../../model/clock.ts'
import { isMillraceError } from '../../model/errors.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import { MemoryHome } from '../../state/home.ts'
import type { MemoryDisk } from '../../state/memory-database.ts'
import type { SeededRandom } from '../../testing/seeded-random.ts'
import { ProcessClock } from '../../testing/simulated-clock.ts'
import type { MemoryConnection } from '../../transport/memory/memory-log.ts'

/** When and how a process is to stop. */
export interface Stop {
  /** A `close` is a clean stop. */
  readonly how: 'kill' | 'freeze' | 'close'
  /** Before this many touches, or after this long, whichever comes first. */
  readonly afterTouches: number
  readonly afterMs: number
  /** How long a frozen process stands still. */
  readonly frozenMs: number
}

/** How a process ended, or that it was frozen and another has to take its place. */
export type Ending =
  | { readonly kind: 'killed' | 'frozen' | 'fenced' | 'stopped' }
  | { readonly kind: 'failed'; readonly error: unknown }

/** What a process keeps between two lives: databases by task, by commit unit. */
export type Disks = Map<string, Map<string, MemoryDisk>>

/** What a process is made of. */
export interface ProcessParts {
  readonly name: string
  readonly clock: Clock
  readonly connection: MemoryConnection
  readonly disks: Disks
  /** Names the disks. */
  readonly machine: string
  readonly random: SeededRandom
  readonly stop: Stop | undefined
  readonly onStop: (what: string) => void
}

/** A process from its start to its end. */
export class SimulatedProcess {
  readonly name: string
  readonly clock: StoppableClock
  readonly ended: Promise<Ending>
  readonly #parts: ProcessParts
  readonly #end = Promise.withResolvers<Ending>()
  readonly #homes: MemoryHome[] = []
  #app: StreamsApp | undefined
  #touches = 0
  #isStopDue: boolean
  #isDead = false
  #isOver = false
  #frozenUntilMs = 0

  constructor(parts: ProcessParts) {
    this.#parts = parts
    this.name = parts.name
    this.clock = new StoppableClock(parts.clock, this)
    this.ended = this.#end.promise
    this.#isStopDue = parts.stop !== undefined
    if (parts.stop !== undefined) parts.clock.timer(parts.stop.afterMs, () => this.#strike())
  }

  /** The app, once it was started. */
  get app(): StreamsApp | undefined {
    return this.#app
  }

  /** Its way to the log. */
  get transport(): MemoryConnection {
    return this.#parts.connection
  }

  /** Whether it may still do something to the world. */
  get isRunning(): boolean {
    return !this.#isDead && !this.#isOver
  }

  /** How often it touched the world. */
  get touches(): number {
    return this.#touches
  }

  /** Milliseconds until the process can move again: 0 unless it is frozen. */
  get frozenMs(): number {
    return Math.max(0, this.#frozenUntilMs - this.#parts.clock.monotonic())
  }

  /** Starts an app in this process. */
  run(app: StreamsApp): void {
    this.#app = app
    app.start().catch(() => {})
    app.closed.then(
      () => this.#over({ kind: 'stopped' }),
      (error: unknown) =>
        this.#over(isFenced(error) ? { kind: 'fenced' } : { kind: 'failed', error }),
    )
  }

  /** The process is about to wait or to act. False where it is not there any more. */
  touch(): boolean {
    if (this.#isDead) return false
    this.#touches += 1
    const { stop } = this.#parts
    if (stop !== undefined && this.#touches >= stop.afterTouches) this.#strike()
    return !this.#isDead
  }

  /** What the commit unit `unit` finds on this process's disk. */
  open(unit: string): MemoryHome {
    const { disks, machine, random } = this.#parts
    const own = disks.get(unit) ?? new Map<string, MemoryDisk>()
    disks.set(unit, own)
    const home = new MemoryHome({
      processId: `${machine}/${unit}`,
      disks: own,
      settle: async () => await sleep(this.clock, random.below(40)),
    })
    this.#homes.push(home)
    return home
  }

  /** Ends it as kill -9 would. */
  kill(): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#parts.connection.kill()
    this.clock.kill()
    this.#over({ kind: 'killed' })
  }

  /** What a killed process leaves on its disks. To be called once nothing of it runs any more. */
  crashDisks(): void {
    for (const home of this.#homes) home.crash(() => this.#parts.random.pick(['keep', 'drop']))
  }

  #strike(): void {
    const { stop, clock, onStop } = this.#parts
    if (!this.#isStopDue || stop === undefined || !this.isRunning) return
    this.#isStopDue = false
    if (stop.how === 'kill') {
      onStop(`was killed at touch ${this.#touches}`)
      this.kill()
      return
    }
    if (stop.how === 'close') {
      onStop(`is asked to stop at touch ${this.#touches}`)
      this.#app?.close().catch(() => {})
      return
    }
    onStop(`was frozen for ${stop.frozenMs} ms at touch ${this.#touches}`)
    this.#frozenUntilMs = clock.monotonic() + stop.frozenMs
    this.#end.resolve({ kind: 'frozen' })
  }

  #over(ending: Ending): void {
    this.#isOver = true
    this.#end.resolve(ending)
  }
}

/** The clock of a process that counts its touches and can be frozen. */
class StoppableClock implements Clock {
  readonly #clock: ProcessClock
  readonly #owner: { readonly frozenMs: number; touch(): boolean }

  constructor(world: Clock, owner: { readonly frozenMs: number; touch(): boolean }) {
    this.#clock = new ProcessClock(world)
    this.#owner = owner
  }

  now(): number {
    return this.#clock.now()
  }

  monotonic(): number {
    return this.#clock.monotonic()
  }

  random(): number {
    return this.#clock.random()
  }

  uuid(): string {
    return this.#clock.uuid()
  }

  timer(delayMs: number, run: () => void): Timer {
    let timer = this.#clock.timer(delayMs, () => fire())
    const fire = (): void => {
      const { frozenMs } = this.#owner
      if (frozenMs > 0) timer = this.#clock.timer(frozenMs, fire)
      else if (this.#owner.touch()) run()
    }
    return { cancel: () => timer.cancel() }
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.timer(0, resolve)
    })
  }

  kill(): void {
    this.#clock.kill()
  }
}

/** An init or a join that a killed or frozen process had sent may arrive late and fence its successor, which ends and is started again, as a supervisor would. */
export function isFenced(error: unknown): boolean {
  if (isMillraceError(error, 'MILLRACE_PRODUCER_FENCED')) return true
  if (isMillraceError(error, 'MILLRACE_GROUP_INSTANCE_FENCED')) return true
  return error instanceof Error && error.cause !== undefined && isFenced(error.cause)
}
