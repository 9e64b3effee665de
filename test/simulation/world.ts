/**
 * One simulated world from one seed: an application of one to three processes over a log that loses
 * and delays. Processes are stopped at any await, started again over what their disks kept, some
 * while an older one still moves; the wall clock jumps; and in the end what came out is compared with
 * what the input alone says must come out.
 */
import { told } from './told.ts'
import { sleep } from '../../model/clock.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import type { CommitStep } from '../../runtime/commit.ts'
import type { Guarantee } from '../../runtime/config.ts'
import type { ReleaseStep } from '../../runtime/release.ts'
import type { StartStep } from '../../runtime/start.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { memoryLog, type MemoryLog } from '../../transport/memory/memory-log.ts'
import type { ProducerRecord, Transport } from '../../transport/transport.ts'
import { AppFactory, SESSION_TIMEOUT_MS } from './app-factory.ts'
import { BrokerFaults, FEEDER } from './broker-faults.ts'
import { DiskAudit } from './disk-audit.ts'
import { Fates, type Fault } from './fates.ts'
import { FIRST_PROCESS, Fleet } from './fleet.ts'
import type { Disks, Stop } from './process.ts'
import { PARTITIONS, type Outputs, type Scenario } from './scenario.ts'
import { shapeOf, type Mode, type WorldShape } from './shape.ts'

/** What a run may be told besides its seed. */
export interface RunOptions {
  readonly guarantee?: Guarantee
  /** Default: drawn from the seed. */
  readonly scenarios?: readonly Scenario[]
  /** Default: drawn from the seed. */
  readonly mode?: Mode
  /** The only faults that may happen, by their names. Default: all that the seed draws. */
  readonly only?: readonly string[]
  /** Stops the first process like this, whatever the seed draws. */
  readonly firstStop?: Stop
  /** A bug to be found. */
  readonly planted?: Planted
}

/** A bug: something wrong that is handed in where the right thing could be. */
export interface Planted {
  readonly commit?: (transport: Transport) => readonly CommitStep[]
  readonly start?: readonly StartStep[]
  readonly release?: readonly ReleaseStep[]
  readonly transport?: (transport: Transport) => Transport
  /** Sessions mix their answers up. */
  readonly areAnswersLate?: boolean
}

/** How a run ended. */
export interface RunReport {
  readonly seed: number
  /** What is wrong; empty where all invariants hold. */
  readonly problems: readonly string[]
  /** What happened, in order: the same for the same seed and faults. */
  readonly trace: readonly string[]
  /** The faults that happened. */
  readonly faults: readonly Fault[]
  /** How often the first process touched the world. */
  readonly firstTouches: number
}

/** Longest virtual time a world may take to become quiet: what takes longer waits for ever. */
const QUIET_LIMIT_MS = 30 * 60 * 1000
/** Most events of one world: what needs more turns in circles. */
const TURNS_LIMIT = 400_000
/** After this much quiet, and as much as the wall clock went back, no schedule has anything left to do, and a dead process is out of its group. */
const SCHEDULES_MS = 3_000 + SESSION_TIMEOUT_MS
/** The wall clock jumps within this long after the start, and back by at most so much at a time. */
const JUMPS_MS = 5_000
const LONGEST_BACK_MS = 10_000
/** How often it is looked whether the world is quiet. */
const LOOK_MS = 20

/** Runs one seed. Does not reject for a violated invariant: that is a problem in the report. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunReport> {
  const world = new World(seed, options)
  try {
    await world.run()
  } catch (error) {
    if (world.problems.length === 0) world.problems.push(told(error))
  }
  const { problems, trace, faults, firstTouches } = world
  return { seed, problems, trace, faults, firstTouches }
}

class World {
  readonly problems: string[] = []
  readonly trace: string[] = []
  readonly #guarantee: Guarantee
  readonly #fates: Fates
  readonly #shape: WorldShape
  readonly #clock: SimulatedClock
  readonly #faults: BrokerFaults
  readonly #log: MemoryLog
  readonly #apps: AppFactory
  readonly #audit: DiskAudit
  readonly #fleet: Fleet
  #turns = 0
  #wentBackMs = 0

  constructor(seed: number, options: RunOptions) {
    this.#guarantee = options.guarantee ?? 'exactly-once'
    this.#fates = new Fates(seed, options.only)
    this.#clock = new SimulatedClock(seed)
    const shape = shapeOf(this.#fates, options)
    this.#shape = shape
    this.#faults = new BrokerFaults({
      fates: this.#fates,
      now: () => this.#clock.monotonic(),
      processOf: (connection) => this.#fleet.processOf(connection),
      badness: shape.badness,
    })
    this.#log = memoryLog({ clock: this.#clock, faults: this.#faults })
    const note = (what: string): void => this.#note(what)
    const registry = memoryRegistry()
    this.#apps = new AppFactory({
      fates: this.#fates,
      shape,
      registry,
      guarantee: this.#guarantee,
      planted: options.planted ?? {},
      largestBatchBytes: () => this.#log.largestBatchBytes,
      note,
    })
    this.#audit = new DiskAudit({
      log: this.#log,
      registry,
      clock: this.#clock,
      guarantee: this.#guarantee,
      topology: (services) => this.#apps.topology(services),
    })
    this.#fleet = new Fleet({
      fates: this.#fates,
      clock: this.#clock,
      log: this.#log,
      shares: shape.shares.length,
      stops: shape.stops,
      firstStop: options.firstStop,
      freezes: this.#guarantee === 'exactly-once',
      makeApp: (start) => this.#apps.make(start),
      onEnded: async (process, disks) => await this.#look(process.name, disks),
      note,
      onProblem: (problem) => this.problems.push(problem),
    })
  }

  get faults(): readonly Fault[] {
    return this.#fates.happened
  }

  get firstTouches(): number {
    return this.#fleet.processOf(FIRST_PROCESS)?.touches ?? 0
  }

  async run(): Promise<void> {
    const topics = this.#shape.scenarios.flatMap(({ topics: own }) => own)
    await this.#finish(
      'creating topics',
      this.#log.admin.createTopics(
        topics.map((topic) => ({ topic: asTopic(topic), partitions: PARTITIONS })),
      ),
    )
    await this.#finish('opening the audit', this.#audit.open())
    this.#jump()
    this.#fleet.start()
    await this.#finish('feeding', this.#feed(this.#shape.input))
    await this.#drive('the last planned stop', () => this.#fleet.isSteady)
    await this.#finish('the last jump', sleep(this.#clock, this.#untilLastJumpMs))
    this.#faults.calmDown()
    this.#fleet.killZombies()
    this.#note('the world is calm')
    await this.#finish('becoming quiet', this.#quietForGood())
    if (this.#shape.epilogue.length > 0) {
      await this.#finish('feeding the last records', this.#feed(this.#shape.epilogue))
      await this.#finish('becoming quiet at last', this.#quietForGood())
    }
    await this.#finish('the clean stop', this.#fleet.close())
    for (const disks of this.#fleet.disks)
      await this.#finish('a last look', this.#look('the end', disks))
    this.#compare()
  }

  /** Produces the input bit by bit while the application lives and dies. */
  async #feed(records: readonly ProducerRecord[]): Promise<void> {
    const producer = this.#log.connect(FEEDER).openProducer({})
    const random = this.#fates.of('feeding')
    await producer.init()
    for (const record of records) {
      producer.send(record)
      if (!random.chance(0.3)) continue
      await producer.flush()
      await sleep(this.#clock, random.chance(0.03) ? 1_000 : random.below(60))
    }
    await producer.flush()
  }

  /** Lets the wall clock jump, forward further than back. */
  #jump(): void {
    for (let i = 0; i < this.#shape.jumps; i += 1) {
      const random = this.#fates.of(`jump ${i} at`)
      const atMs = random.below(JUMPS_MS)
      const byMs = random.chance(0.5)
        ? random.below(5 * 86_400_000)
        : -random.below(LONGEST_BACK_MS)
      const what = `the wall clock moves by ${byMs} ms at ${atMs} ms`
      if (this.#fates.strikes(`jump ${i}`, 0.7, () => what)) {
        this.#clock.timer(atMs, () => this.#clock.jump(byMs))
        this.#wentBackMs -= Math.min(0, byMs)
      }
    }
  }

  get #untilLastJumpMs(): number {
    return this.#shape.jumps === 0 ? 0 : Math.max(0, JUMPS_MS - this.#clock.monotonic())
  }

  /** Resolves when it stays quiet for as long as any schedule may take: a unit that starts over begins its schedules anew. */
  async #quietForGood(): Promise<void> {
    for (;;) {
      await this.#quiet()
      const [written, happened] = [this.#log.appendedBatches, this.trace.length]
      await sleep(this.#clock, SCHEDULES_MS + this.#wentBackMs)
      await this.#quiet()
      if (this.#log.appendedBatches === written && this.trace.length === happened) return
    }
  }

  /** Resolves when nothing is left to do and nothing is written any more. */
  async #quiet(): Promise<void> {
    for (;;) {
      await sleep(this.#clock, LOOK_MS)
      const before = this.#log.appendedBatches
      if (!(await this.#fleet.isCaughtUp())) continue
      await sleep(this.#clock, LOOK_MS)
      if ((await this.#fleet.isCaughtUp()) && this.#log.appendedBatches === before) return
    }
  }

  async #finish<T>(what: string, promise: Promise<T>): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    await this.#drive(what, () => outcome !== undefined)
    if (outcome !== undefined && 'value' in outcome) return outcome.value
    throw new Error(`${what} failed`, { cause: outcome?.error })
  }

  /** Lets the world go on until `done`, with an eye on what must hold at every moment. */
  async #drive(what: string, done: () => boolean): Promise<void> {
    const isOver = (): boolean => {
      this.#turns += 1
      if (this.#turns > TURNS_LIMIT) throw new Error(`${what} turns in circles`)
      const beyond = this.#apps.lookAtBounds()
      if (beyond !== undefined) throw new Error(beyond)
      if (this.problems.length > 0) throw new Error(`${what} is given up`)
      return done()
    }
    try {
      await this.#clock.runUntil(isOver, QUIET_LIMIT_MS)
    } catch (error) {
      throw new Error(what, { cause: error })
    }
  }

  #compare(): void {
    const found: Outputs = (topic) => this.#outputs(topic)
    const input = [...this.#shape.input, ...this.#shape.epilogue]
    for (const { check, name } of this.#shape.scenarios) {
      const wrong = check(found, input, this.#guarantee)
      this.problems.push(...wrong.map((problem) => `${name}: ${problem}`))
    }
  }

  #outputs(topic: string): ReadonlyMap<string, readonly (string | null)[]> {
    const found = new Map<string, (string | null)[]>()
    for (let p = 0; p < PARTITIONS; p += 1) {
      for (const { key, value } of this.#log.records({
        topic: asTopic(topic),
        partition: asPartition(p),
      })) {
        const values = found.get(String(key)) ?? []
        found.set(String(key), values)
        values.push(value === null ? null : String(value))
      }
    }
    return found
  }

  async #look(who: string, disks: Disks): Promise<void> {
    this.problems.push(...(await this.#audit.look(who, disks)))
  }

  #note(what: string): void {
    this.trace.push(`${Math.floor(this.#clock.monotonic())} ${what}`)
  }
}
