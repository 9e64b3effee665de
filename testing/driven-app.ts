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
import type { Topology } from '../topology/graph.ts'
import { memoryLog, type MemoryLog } from '../transport/memory/memory-log.ts'
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

/** One app and its log, moved step by step. */
export class DrivenApp {
  readonly clock: HandClock
  readonly registry: Registry
  readonly log: MemoryLog
  readonly app: StreamsApp
  readonly #real = systemClock()
  readonly #process: ProcessClock
  readonly #producer: Producer
  readonly #topics: readonly NewTopic[]
  /** Units that failed and wait to start over, with what they failed of. */
  readonly #restarting = new Map<number, Error>()
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false
  #hasToldFailure = false

  constructor({ topology, clock, topics, onEvent, ...options }: DrivenAppOptions) {
    this.clock = clock
    this.registry = options.registry
    this.#topics = topics
    this.#process = new ProcessClock(clock)
    this.log = memoryLog({ clock: this.#process })
    this.#producer = this.log.connect('test').openProducer({})
    this.app = streams(topology, {
      ...options,
      transport: this.log.connect('app'),
      clock: this.#process,
      state: {
        kind: 'given',
        open: (unit) => Promise.resolve(new MemoryHome({ processId: unit })),
      },
      onEvent: (event) => {
        this.#note(event)
        onEvent?.(event)
      },
    })
  }

  async start(): Promise<void> {
    await this.log.admin.createTopics(this.#topics)
    await this.#producer.init()
    await this.#until(this.app.start())
    await this.#rest()
  }

  /** Runs `work` after all that was begun before it. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      if (this.#isClosed) throw new TypeError('the driver is closed')
      await this.#throwFailure()
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
      await this.#until(this.app.close())
      await this.clock.rest()
      this.#refuseLeftovers()
    } catch (error) {
      if (!this.#hasToldFailure) throw error
    } finally {
      this.#process.kill()
      this.log.kill()
    }
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
    if (event.kind === 'restarting') this.#restarting.set(event.unit, event.error)
    if (event.kind === 'unit-started') this.#restarting.delete(event.unit)
  }

  #refuseLeftovers(): void {
    const timers = this.#process.pendingTimers
    const transactions = this.log.openTransactions
    if (timers === 0 && transactions.length === 0) return
    const left = [`${timers} timers`, ...transactions.map((id) => `the transaction of ${id}`)]
    throw new MillraceError(
      'MILLRACE_TEST_LEFTOVERS',
      `the app is closed and left running: ${left.join(', ')}. ` +
        'What a processor starts it has to end in close, or when the signal of its context aborts.',
    )
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

/** The first asynchronous step with records that have no answer, by what it counted. */
function waitingFor(counters: readonly Counter[]): string | undefined {
  const open = new Map<string, number>()
  for (const { processor, name, value } of counters) {
    const sign = name === 'accepted' ? 1 : name === 'enriched' || name === 'failed' ? -1 : 0
    if (sign !== 0) open.set(processor, (open.get(processor) ?? 0) + sign * value)
  }
  return [...open].find(([, count]) => count > 0)?.[0]
}
