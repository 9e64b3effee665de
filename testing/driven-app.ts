/**
 * An app over a log in memory that runs only while it is told to: the runtime itself, on a clock that
 * a test moves. One call at a time: two that overlap would each see what the other half did.
 *
 * The app counts as at rest when nothing more happens without time passing. A unit that failed and
 * waits to start over is not at rest: its wait is passed for it, as long as the runtime lets it try.
 */
import { MillraceError } from '../model/errors.ts'
import type { Registry } from '../serdes/registry.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { streams, type StreamsApp } from '../runtime/app.ts'
import type { StreamsEvent, StreamsOptions } from '../runtime/config.ts'
import type { Counter } from '../runtime/metrics.ts'
import { MemoryHome } from '../state/home.ts'
import type { MemoryDisk } from '../state/memory-database.ts'
import type { Topology } from '../topology/graph.ts'
import { memoryLog, type MemoryConnection, type MemoryLog } from '../transport/memory/memory-log.ts'
import type { NewTopic, Producer, ProducerRecord } from '../transport/transport.ts'
import type { HandClock } from './hand-clock.ts'
import { ProcessClock } from './simulated-clock.ts'

/** How often an answer from outside is looked for while the clock stands. */
const OUTSIDE_CHECK_MS = 1

/** What is driven. */
export interface DrivenAppOptions extends Omit<StreamsOptions, 'transport' | 'clock' | 'state'> {
  readonly topology: Topology
  readonly clock: HandClock
  readonly topics: readonly NewTopic[]
}

/** How `settle` lets asynchronous steps come to their end. */
export interface SettleOptions {
  /**
   * moves (the default): whenever nothing more happens, the driver's clock jumps to the next timer, so
   * that back-offs and services which take time by this clock are over at once.
   * stands: no time passes and answers are waited for that come from outside of the driver's clock
   * (a server, a file, a timer of the machine), for as long as they take.
   */
  readonly clock?: 'moves' | 'stands'
  /** By how much the clock may move. Default two minutes, which is less than a call's deadline unless the topology says otherwise. */
  readonly withinMs?: number
}

const SETTLE_WITHIN_MS = 120_000

/** How an app ends before it is started again: by a clean stop, or as kill -9 would end it. */
export type RestartAfter = 'stop' | 'crash'

/** One process of the app, from its start to its end. */
interface Life {
  readonly app: StreamsApp
  /** Its timers die with it. */
  readonly clock: ProcessClock
  readonly connection: MemoryConnection
  readonly homes: readonly MemoryHome[]
}

/** One app and its log, moved step by step. */
export class DrivenApp {
  readonly clock: HandClock
  readonly registry: Registry
  readonly log: MemoryLog
  readonly #options: DrivenAppOptions
  readonly #real = systemClock()
  readonly #producer: Producer
  /** What the disks of each unit keep from one life to the next. */
  readonly #disks = new Map<string, Map<string, MemoryDisk>>()
  /** Units that failed and wait to start over. */
  readonly #restarting = new Set<number>()
  #life: Life
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false
  #hasToldFailure = false

  constructor(options: DrivenAppOptions) {
    this.clock = options.clock
    this.registry = options.registry
    this.#options = options
    this.log = memoryLog({ clock: options.clock })
    this.#producer = this.log.connect('test').openProducer({})
    this.#life = this.#begin()
  }

  /** The app as it lives now. */
  get app(): StreamsApp {
    return this.#life.app
  }

  async start(): Promise<void> {
    await this.log.admin.createTopics(this.#options.topics)
    await this.#producer.init()
    await this.#until(this.app.start())
    await this.#rest()
  }

  /** Ends the app, also one that has failed, and starts it again over what its log and its disks keep. */
  async restart(after: RestartAfter): Promise<void> {
    await this.#next(async () => {
      if (after === 'crash') this.#crash()
      else await this.#stop()
      this.#restarting.clear()
      this.#hasToldFailure = false
      this.#life = this.#begin()
      await this.#until(this.app.start())
      await this.#rest()
    })
  }

  /** Runs `work` after all that was begun before it, unless the app has failed by then. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    return await this.#next(async () => {
      await this.#throwFailure()
      return await work()
    })
  }

  async #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      if (this.#isClosed) throw new TypeError('the driver is closed')
      return await work()
    })
    this.#turn = turn.catch(() => {})
    return await turn
  }

  /** Writes a record and lets the app have it. Only in turn. */
  async pipe(record: ProducerRecord): Promise<void> {
    this.#producer.send(record)
    await this.#producer.flush()
    await this.#rest()
  }

  /** Lets time pass. Only in turn. */
  async advance(byMs: number): Promise<void> {
    await this.clock.advance(byMs)
    await this.#rest()
  }

  /** Lets asynchronous steps come to their end. Only in turn. */
  async settle({ clock = 'moves', withinMs = SETTLE_WITHIN_MS }: SettleOptions): Promise<void> {
    const endMs = this.clock.monotonic() + withinMs
    for (;;) {
      await this.#rest()
      if (await this.app.isCaughtUp()) return
      const nextMs = this.clock.untilTimerMs
      if (clock === 'stands') await this.#outside()
      else if (nextMs === undefined || this.clock.monotonic() + nextMs > endMs) {
        throw this.#notSettled(withinMs)
      } else await this.clock.advance(nextMs)
    }
  }

  /** Stops the app cleanly, and finds out what it left running. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#turn
    this.#isClosed = true
    try {
      await this.#stop()
    } finally {
      this.log.kill()
    }
  }

  #begin(): Life {
    const { topology, topics: _, onEvent, ...options } = this.#options
    const clock = new ProcessClock(this.clock)
    const connection = this.log.connect('app')
    const homes: MemoryHome[] = []
    const open = (unit: string): Promise<MemoryHome> => {
      const disks = this.#disks.get(unit) ?? new Map<string, MemoryDisk>()
      this.#disks.set(unit, disks)
      const home = new MemoryHome({ processId: unit, disks })
      homes.push(home)
      return Promise.resolve(home)
    }
    const app = streams(topology, {
      ...options,
      transport: connection,
      clock,
      state: { kind: 'given', open },
      onEvent: (event) => {
        this.#note(event)
        onEvent?.(event)
      },
    })
    return { app, clock, connection, homes }
  }

  /** Ends the life as it should end. Rejects with a failure that nobody was told of, and with what is left running. */
  async #stop(): Promise<void> {
    const { app, clock, connection } = this.#life
    try {
      await this.#until(app.close())
      await this.clock.rest()
      refuseLeftovers(clock, this.log)
    } catch (error) {
      if (!this.#hasToldFailure) throw error
    } finally {
      clock.kill()
      connection.kill()
    }
  }

  /** Ends the life wherever it is: what left takes effect, nothing more leaves. */
  #crash(): void {
    const { clock, connection, homes } = this.#life
    connection.kill()
    clock.kill()
    for (const home of homes) home.crash(() => 'drop')
  }

  async #rest(): Promise<void> {
    await this.clock.rest()
    while (this.#restarting.size > 0 && this.app.state === 'running') {
      const nextMs = this.clock.untilTimerMs
      if (nextMs === undefined) break
      await this.clock.advance(nextMs)
    }
    await this.#throwFailure()
  }

  /** Lets the app run until `work` is done, and time pass where it waits for that. */
  async #until(work: Promise<void>): Promise<void> {
    const done = work.then(
      () => true,
      () => true,
    )
    for (;;) {
      await this.clock.rest()
      if (await Promise.race([done, Promise.resolve(false)])) break
      const nextMs = this.clock.untilTimerMs
      if (nextMs === undefined) await this.#outside()
      else await this.clock.advance(nextMs)
    }
    await work
  }

  /** A moment of the machine's time, for what answers from outside: a registry in a file, say. */
  async #outside(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#real.timer(OUTSIDE_CHECK_MS, resolve)
    })
  }

  async #throwFailure(): Promise<void> {
    if (this.app.state !== 'failed') return
    this.#hasToldFailure = true
    await this.app.closed
  }

  #note(event: StreamsEvent): void {
    if (event.kind === 'restarting') this.#restarting.add(event.unit)
    if (event.kind === 'unit-started') this.#restarting.delete(event.unit)
  }

  #notSettled(withinMs: number): MillraceError {
    const waiting = waitingFor(this.app.counters())
    return new MillraceError(
      'MILLRACE_TEST_NOT_SETTLED',
      `${waiting ?? 'something'} still waits for an answer, and the driver's clock may not move further (withinMs: ${withinMs}). ` +
        "If the service answers from outside of the driver's clock, call settle({ clock: 'stands' }); if it takes that long, raise withinMs; " +
        'if a session waits for its next record, pipe it.',
    )
  }
}

function refuseLeftovers({ pendingTimers }: ProcessClock, { openTransactions }: MemoryLog): void {
  if (pendingTimers === 0 && openTransactions.length === 0) return
  const left = [
    `${pendingTimers} timers`,
    ...openTransactions.map((id) => `the transaction of ${id}`),
  ]
  throw new MillraceError(
    'MILLRACE_TEST_LEFTOVERS',
    `the app is closed and left running: ${left.join(', ')}. ` +
      'What a processor starts it has to end in close, or when the signal of its context aborts.',
  )
}

/** The first asynchronous step with records that have no answer, by what it counted. */
function waitingFor(counters: readonly Counter[]): string | undefined {
  const open = new Map<string, number>()
  for (const { processor, name, value } of counters) {
    const sign = name === 'accepted' ? 1 : name === 'enriched' || name === 'failed' ? -1 : 0
    if (sign !== 0) open.set(processor, (open.get(processor) ?? 0) + sign * value)
  }
  return [...open].find(([, count]) => count > 0)?.[0]
}
