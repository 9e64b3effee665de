/** Does to processes and broker what the schedule says, several things at a time, and counts it. */
import { sleep, type Clock } from '../../model/clock.ts'
import type { ChaosProcess } from './chaos-process.ts'
import type { Schedule, Trouble, TroubleKind } from './schedule.ts'

/** How long a process that came back may take to have tasks before others are troubled again. */
const RUNS_MS = 10_000
/** How long a holder of the log is looked for that may be killed. */
const HOLDER_MS = 3_000
/** How long a broker that came back is left alone, so that something happens between its deaths. */
const BROKER_REST_MS = 15_000
/** After so many troubles the group is left alone until all of it works, or this long. */
const TROUBLES_IN_A_ROW = 5
const WORK_MS = 30_000
/** Pauses are so many times as long while the broker is away: who cannot work has little to lose. */
const PATIENCE = 4

/** What can be done to a broker. */
export interface TroubledBroker {
  kill(): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
  halt(): void
  resume(): void
}

/** What trouble is made with. */
export interface TroublemakerParts {
  readonly schedule: Schedule
  readonly processes: readonly ChaosProcess[]
  readonly broker: TroubledBroker | undefined
  /** Which process holds the log. */
  readonly holder: () => Promise<number | undefined>
  readonly clock: Clock
  readonly onTrouble: (what: string) => void
}

/** Makes trouble until it is told to end. */
export class Troublemaker {
  readonly counts = new Map<TroubleKind, number>()
  readonly #parts: TroublemakerParts
  readonly #busy = new Set<unknown>()
  readonly #running = new Set<Promise<void>>()
  #brokerIsAway = false
  readonly #failed = Promise.withResolvers<never>()

  constructor(parts: TroublemakerParts) {
    this.#parts = parts
    // Heard of by whoever runs it.
    this.#failed.promise.catch(() => {})
  }

  /** All troubles so far. */
  get cycles(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Those that left no time for anything. */
  get kills(): number {
    return [...this.counts].reduce((sum, [kind, n]) => sum + (kind.startsWith('kill') ? n : 0), 0)
  }

  /** Resolves when the signal has aborted and everything is started again. Rejects with what could not be. */
  async run(signal: AbortSignal): Promise<void> {
    const { schedule, clock } = this.#parts
    for (let made = 1; !signal.aborted; made += 1) {
      await this.#begin(schedule.next())
      if (made % TROUBLES_IN_A_ROW === 0) await this.#letWork()
      const pauseMs = schedule.pauseMs() * (this.#brokerIsAway ? PATIENCE : 1)
      await Promise.race([sleep(clock, pauseMs, signal).catch(() => {}), this.#failed.promise])
    }
    await Promise.all(this.#running)
  }

  /** Waits until every process has started its tasks: on a busy machine all would die before they own anything. */
  async #letWork(): Promise<void> {
    const { processes } = this.#parts
    await Promise.race([
      Promise.all(processes.map((each) => each.runs(WORK_MS))),
      this.#failed.promise,
    ])
  }

  /** Begins it, unless whom it is meant for has trouble already. */
  async #begin(trouble: Trouble): Promise<void> {
    const victim = await this.#victimOf(trouble)
    if (victim === undefined || this.#busy.has(victim)) return
    this.counts.set(trouble.kind, (this.counts.get(trouble.kind) ?? 0) + 1)
    const whom = 'name' in victim ? ` ${victim.name} (${victim.pid})` : ''
    const ms = 'haltMs' in trouble ? trouble.haltMs : trouble.awayMs
    this.#parts.onTrouble(`${trouble.kind}${whom} for ${ms} ms`)
    this.#busy.add(victim)
    const made =
      'name' in victim ? this.#troubleProcess(victim, trouble) : this.#troubleBroker(trouble)
    const done = made.finally(() => this.#busy.delete(victim))
    this.#running.add(done)
    this.#settle(done).catch((error: unknown) => this.#failed.reject(error))
  }

  async #settle(done: Promise<void>): Promise<void> {
    await done
    this.#running.delete(done)
  }

  async #victimOf({ kind }: Trouble): Promise<ChaosProcess | TroubledBroker | undefined> {
    const { processes, broker, schedule } = this.#parts
    if (kind.endsWith('broker')) return broker
    if (kind === 'kill holder') return await this.#holder()
    const idle = processes.filter((each) => !this.#busy.has(each))
    return idle.length === 0 ? undefined : schedule.pick(idle)
  }

  /** The process that holds the log and has no trouble yet; after a death it takes a moment to find one. */
  async #holder(): Promise<ChaosProcess | undefined> {
    const { processes, holder, clock } = this.#parts
    const deadline = clock.monotonic() + HOLDER_MS
    while (clock.monotonic() < deadline) {
      const pid = await holder()
      const found = processes.find((each) => pid !== undefined && each.pid === pid)
      if (found !== undefined && !this.#busy.has(found)) return found
      await sleep(clock, 50)
    }
    return undefined
  }

  async #troubleProcess(process: ChaosProcess, trouble: Trouble): Promise<void> {
    const { clock, schedule } = this.#parts
    if ('haltMs' in trouble) {
      process.halt()
      await sleep(clock, trouble.haltMs)
      process.resume()
      return
    }
    if (trouble.kind === 'stop') await process.stop()
    else await process.kill()
    await sleep(clock, trouble.awayMs)
    process.start()
    if (schedule.letsRun()) await process.runs(RUNS_MS)
  }

  async #troubleBroker(trouble: Trouble): Promise<void> {
    const { clock, broker, onTrouble } = this.#parts
    if (broker === undefined) return
    if ('haltMs' in trouble) {
      broker.halt()
      await sleep(clock, trouble.haltMs)
      broker.resume()
      return
    }
    this.#brokerIsAway = true
    if (trouble.kind === 'stop broker') await broker.stop()
    else await broker.kill()
    await sleep(clock, trouble.awayMs)
    await broker.start()
    this.#brokerIsAway = false
    onTrouble('the broker answers again')
    await sleep(clock, BROKER_REST_MS)
  }
}
