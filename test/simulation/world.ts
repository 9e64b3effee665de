/**
 * One simulated life of an application, from one seed: the log loses and delays, the process is
 * killed at random moments and started again over what its disks kept, and in the end what came out
 * is compared with what the input alone says must come out.
 */
import { inspect } from 'node:util'
import { isMillraceError } from '../../model/errors.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { streams } from '../../runtime/app.ts'
import type { CommitStep } from '../../runtime/commit.ts'
import type { Guarantee } from '../../runtime/config.ts'
import type { StartStep } from '../../runtime/start.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { MemoryHome } from '../../state/home.ts'
import type { MemoryDisk } from '../../state/memory-database.ts'
import { sleep } from '../../model/clock.ts'
import { ProcessClock, SimulatedClock } from '../../testing/simulated-clock.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import type { Faults, Operation } from '../../transport/memory/faults.ts'
import { memoryLog, type MemoryLog } from '../../transport/memory/memory-log.ts'
import type { ProducerRecord } from '../../transport/transport.ts'
import { expectedOutputs, PARTITIONS, scenarioInput, scenarioTopology, TOPICS } from './scenario.ts'

/** What a run may be told besides its seed. */
export interface RunOptions {
  readonly guarantee?: Guarantee
  /** Planted: wrong steps in place of the right ones. */
  readonly commit?: readonly CommitStep[]
  readonly start?: readonly StartStep[]
}

/** How a run ended. */
export interface RunReport {
  readonly seed: number
  /** What is wrong; empty where all invariants hold. */
  readonly problems: readonly string[]
  /** What happened, in order: the same for the same seed. */
  readonly trace: readonly string[]
}

/** Longest virtual time a life may take to become quiet: what takes longer waits for ever. */
const QUIET_LIMIT_MS = 30 * 60 * 1000
/** How often in a row a late init of a dead process may fence the living. */
const MAX_FENCED_LIVES = 5
/** Transactions of the dead are aborted after this. */
const TRANSACTION_TIMEOUT_MS = 2_000

/** Runs one seed. Does not reject for a violated invariant: that is a problem in the report. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunReport> {
  const world = new World(seed, options)
  try {
    await world.run()
  } catch (error) {
    world.problems.push(inspect(error))
  }
  return { seed, problems: world.problems, trace: world.trace }
}

class World {
  readonly problems: string[] = []
  readonly trace: string[] = []
  readonly #options: RunOptions
  readonly #clock: SimulatedClock
  readonly #random: SeededRandom
  readonly #faults: RandomFaults
  readonly #log: MemoryLog
  readonly #registry = memoryRegistry()
  /** What each unit's disk keeps between two lives. */
  readonly #disks = new Map<string, Map<string, MemoryDisk>>()
  readonly #input: readonly ProducerRecord[]

  constructor(seed: number, options: RunOptions) {
    this.#options = options
    this.#clock = new SimulatedClock(seed)
    this.#random = new SeededRandom(seed ^ 0x5eed)
    this.#faults = new RandomFaults(new SeededRandom(seed ^ 0xfa17))
    this.#log = memoryLog({ clock: this.#clock, faults: this.#faults })
    this.#input = scenarioInput(new SeededRandom(seed ^ 0x1292))
  }

  async run(): Promise<void> {
    await this.#finish('topics', this.#log.admin.createTopics(TOPICS))
    this.#faults.intensity = this.#random.pick([0, 0.02, 0.1])
    const fed = this.#feed()
    const crashes = this.#random.below(5)
    for (let life = 0; life < crashes; life += 1) await this.#live(life, this.#random.below(1500))
    await this.#finish('feeding', fed)
    this.#faults.intensity /= 4
    for (let life = crashes; (await this.#live(life, undefined)) === 'fenced'; life += 1) {
      if (life > crashes + MAX_FENCED_LIVES) throw new Error('the application is fenced for ever')
    }
    this.#compare()
  }

  /** Produces the input bit by bit while the application lives and dies. */
  async #feed(): Promise<void> {
    const { clock } = { clock: this.#clock }
    const feeder = this.#log.connect('feeder')
    const producer = feeder.openProducer({})
    await insist(() => producer.init(), clock)
    for (const record of this.#input) {
      producer.send(record)
      if (!this.#random.chance(0.3)) continue
      await producer.flush()
      await sleep(clock, this.#random.below(60))
    }
    await producer.flush()
  }

  /** One life of the application: until it is quiet, or until it is killed after `killAfterMs`. */
  async #live(life: number, killAfterMs: number | undefined): Promise<'done' | 'fenced'> {
    const clock = new ProcessClock(this.#clock)
    const connection = this.#log.connect(`app-${life}`)
    const homes: [string, MemoryHome][] = []
    const app = streams(scenarioTopology(clock, this.#random), {
      transport: connection,
      registry: this.#registry,
      clock,
      guarantee: this.#options.guarantee ?? 'exactly-once',
      limits: {
        offsetsPendingMs: 20_000,
        commitIntervalMs: 20 + this.#random.below(200),
        transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
        sliceRecords: 1 + this.#random.below(8),
        heldBytes: this.#random.pick([1, 2000, 1_000_000]),
        prefetchBytes: this.#random.pick([1, 5000, 1_000_000]),
        payloadBytes: this.#random.pick([1, 1_000_000]),
        restartBackoffMs: 10,
        flushIntervalMs: this.#random.pick([0, 50, 2000]),
        stateCacheBytes: this.#random.pick([0, 1_000_000]),
      },
      state: { kind: 'given', open: async (unit) => this.#open({ unit, clock, homes }) },
      onEvent: (event) =>
        this.trace.push(`${this.#clock.monotonic()} life ${life} ${JSON.stringify(event)}`),
      ...(this.#options.commit === undefined && this.#options.start === undefined
        ? {}
        : {
            steps: {
              ...given('commit', this.#options.commit),
              ...given('start', this.#options.start),
            },
          }),
    })
    const quiet = app.start().then(async () => await app.caughtUp())
    if (killAfterMs === undefined) {
      try {
        await this.#finish('the last life', quiet)
        await this.#finish('the clean stop', app.close())
        return 'done'
      } catch (error) {
        if (!isFenced(error)) throw error
        return 'fenced'
      }
    }
    let isOver = false
    quiet.catch((error: unknown) => {
      if (!isFenced(error)) this.problems.push(`life ${life} failed: ${inspect(error)}`)
    })
    this.#clock.timer(killAfterMs, () => (isOver = true))
    await this.#clock.runUntil(() => isOver, QUIET_LIMIT_MS)
    connection.kill()
    clock.kill()
    for (const [unit, home] of homes) {
      this.#disks.set(
        unit,
        home.crash(() => this.#random.pick(['keep', 'drop'])),
      )
    }
    this.trace.push(`${this.#clock.monotonic()} life ${life} was killed`)
    return 'done'
  }

  #open({
    unit,
    clock,
    homes,
  }: {
    readonly unit: string
    readonly clock: ProcessClock
    readonly homes: [string, MemoryHome][]
  }): MemoryHome {
    const disks = this.#disks.get(unit)
    const home = new MemoryHome({
      processId: unit,
      ...(disks === undefined ? {} : { disks }),
      settle: async () => await sleep(clock, this.#random.below(40)),
    })
    this.#disks.set(unit, home.disks)
    homes.push([unit, home])
    return home
  }

  async #finish<T>(what: string, promise: Promise<T>): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    await this.#clock.runUntil(() => outcome !== undefined, QUIET_LIMIT_MS)
    if (outcome !== undefined && 'value' in outcome) return outcome.value
    throw new Error(`${what} failed`, { cause: outcome?.error })
  }

  #compare(): void {
    const expected = expectedOutputs(this.#input)
    for (const [topic, keys] of expected) {
      const found = this.#outputs(topic)
      for (const key of new Set([...keys.keys(), ...found.keys()])) {
        const [want, got] = [keys.get(key) ?? [], found.get(key) ?? []]
        if (this.#isRight(want, got)) continue
        this.problems.push(`${topic} ${key}: ${got.join(' ')} in place of ${want.join(' ')}`)
      }
    }
  }

  /** Exactly once: the same values in the same order. At least once: none is missing. */
  #isRight(want: readonly string[], got: readonly string[]): boolean {
    if (this.#options.guarantee !== 'at-least-once') return want.join('\n') === got.join('\n')
    return want.every((value) => got.includes(value))
  }

  #outputs(topic: string): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>()
    for (let p = 0; p < PARTITIONS; p += 1) {
      const at = { topic: asTopic(topic), partition: asPartition(p) }
      for (const { key, value } of this.#log.records(at)) {
        const name = String(key)
        found.set(name, [...(found.get(name) ?? []), String(value)])
      }
    }
    return found
  }
}

/** An init that a killed process had sent may arrive late and fence its successor, which ends and is started again, as a supervisor would. */
function isFenced(error: unknown): boolean {
  if (isMillraceError(error, 'MILLRACE_PRODUCER_FENCED')) return true
  return error instanceof Error && error.cause !== undefined && isFenced(error.cause)
}

function given<N extends string, T>(name: N, value: T | undefined): { readonly [P in N]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [P in N]?: T })
}

async function insist(work: () => Promise<void>, clock: SimulatedClock): Promise<void> {
  for (;;) {
    try {
      await work()
      return
    } catch {
      await sleep(clock, 10)
    }
  }
}

/** What may happen to an operation: delays always, refusals and lost answers by intensity. */
class RandomFaults implements Faults {
  intensity = 0
  readonly #random: SeededRandom

  constructor(random: SeededRandom) {
    this.#random = random
  }

  decide({ kind, connection }: Operation): ReturnType<Faults['decide']> {
    const random = this.#random
    const slow = random.chance(0.05) ? random.below(300) : random.below(8)
    const delays = { requestDelayMs: slow, responseDelayMs: random.below(8) }
    const size = kind === 'fetch' && random.chance(0.5) ? { maxBytes: 1 + random.below(200) } : {}
    // The producer of the input could not know what to send again: its troubles are not the subject.
    if (connection === 'feeder' || !random.chance(this.intensity)) return { ...delays, ...size }
    return { ...delays, ...size, outcome: random.chance(0.5) ? 'refused' : 'lost' }
  }

  markerDelayMs(): number {
    return this.#random.below(20)
  }
}
