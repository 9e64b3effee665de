/**
 * A run of chaos: a log, a group of processes over it, steady input, and trouble for some minutes.
 * Then everything is started, the input ends, and what came out is compared with what went in.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep, type Clock } from '../../model/clock.ts'
import { asError } from '../../model/errors.ts'
import type { Guarantee } from '../../runtime/config.ts'
import type { Registry } from '../../serdes/registry.ts'
import { httpRegistry } from '../../serdes/http-registry.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { TestCluster } from '../kafka/broker.ts'
import { RegistryServer } from '../serdes/registry-server.ts'
import { ChaosProcess } from './chaos-process.ts'
import type { Violation } from './compare.ts'
import { Feeder, type Fed } from './feeder.ts'
import { holderOf, openPlace, type ChaosLog, type LogKind, type Place } from './place.ts'
import { TopicReading } from './read-topics.ts'
import { Schedule, type TroubleKind } from './schedule.ts'
import { PARTITIONS, TOPICS } from './shape.ts'
import { Troublemaker, type TroubledBroker } from './troublemaker.ts'
import { expectedCounts, verify, type Written } from './verify.ts'

/** How long the outputs may take to be complete once trouble has ended. */
const COMPLETE_MS = 180_000
const LOOK_MS = 1_000
const PROGRESS_MS = 10_000

/** What a run is like. */
export interface ChaosOptions {
  readonly log: LogKind
  readonly seed: number
  /** How long there is trouble. */
  readonly troubleMs: number
  readonly processes: number
  /** Copies of each task's state. */
  readonly standbys: number
  /** Under at-least-once violations are to be expected: for whoever wants to see some. */
  readonly guarantee: Guarantee
  /** Of a cluster that is there already, and that is left in peace. Default: one node of its own. */
  readonly brokers?: readonly string[]
  readonly clock: Clock
  /** Told how it goes. */
  readonly onProgress: (line: string) => void
}

/** What came of a run. */
export interface ChaosReport {
  readonly violations: readonly Violation[]
  /** Processes that ended by themselves, outputs that were not complete in time. */
  readonly problems: readonly string[]
  readonly cycles: number
  /** How many of them were kill -9. */
  readonly kills: number
  readonly counts: ReadonlyMap<TroubleKind, number>
  /** Processes that came to have tasks before their end. */
  readonly working: number
  readonly fed: Fed
  /** Records that were compared. */
  readonly records: number
  /** What the processes said and the log; removed where nothing was found. */
  readonly folder: string
}

/** Runs it. Rejects where the test itself cannot go on. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { standbys, guarantee } = options
  await using open = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-'))
  const server = open.use(await RegistryServer.open())
  const { log, broker } = await openLog(options, open)
  const place: Place = { folder, log, registryUrl: server.url, standbys, guarantee }
  const run = new Run(options, place, broker)
  const report = await run.run(httpRegistry({ url: server.url, clock: options.clock }))
  const isClean = report.violations.length === 0 && report.problems.length === 0
  if (isClean) await rm(folder, { recursive: true, force: true })
  return report
}

async function openLog(
  { log, brokers }: ChaosOptions,
  open: AsyncDisposableStack,
): Promise<{ readonly log: ChaosLog; readonly broker?: TroubledBroker }> {
  if (log === 'embedded') return { log: { kind: 'embedded' } }
  if (brokers !== undefined) return { log: { kind: 'kafka', brokers } }
  const cluster = open.use(await TestCluster.start())
  return { log: { kind: 'kafka', brokers: cluster.brokers }, broker: cluster.node(1) }
}

class Run {
  readonly #options: ChaosOptions
  readonly #place: Place
  readonly #random: SeededRandom
  readonly #processes: readonly ChaosProcess[]
  readonly #troublemaker: Troublemaker
  readonly #problems: string[] = []
  readonly #sinceMs: number

  constructor(options: ChaosOptions, place: Place, broker: TroubledBroker | undefined) {
    const { clock, seed } = options
    this.#options = options
    this.#place = place
    this.#random = new SeededRandom(seed)
    this.#sinceMs = clock.monotonic()
    const onProblem = (problem: string): void => {
      this.#problems.push(problem)
      this.#say(problem)
    }
    this.#processes = Array.from(
      { length: options.processes },
      (_, i) => new ChaosProcess({ name: `process ${i + 1}`, place, clock, onProblem }),
    )
    const hasBroker = broker !== undefined
    this.#troublemaker = new Troublemaker({
      schedule: new Schedule(new SeededRandom(seed + 1), { log: options.log, hasBroker }),
      processes: this.#processes,
      broker,
      holder: () => holderOf(place),
      clock,
      onTrouble: (what) => this.#say(what),
    })
  }

  async run(registry: Registry): Promise<ChaosReport> {
    const { clock } = this.#options
    const place = this.#place
    await this.#createTopics()
    for (const member of this.#processes) member.start()
    await Promise.all(this.#processes.map((member) => member.runs(30_000)))
    const feeder = await Feeder.open({
      openLog: async () => await openPlace(place, clock),
      isHolder: async () => (await holderOf(place)) === process.pid,
      registry,
      clock,
      random: this.#random,
    })
    try {
      await this.#trouble(feeder)
      await using transport = await openPlace(place, clock)
      await using reading = new TopicReading(transport, clock, TOPICS)
      const written: Written = { fed: feeder.fed, of: (topic) => reading.of(topic), registry }
      await this.#complete(reading, written)
      this.#say('all processes are asked to stop')
      await Promise.all(this.#processes.map((member) => member.stop()))
      await reading.readOn()
      return await this.#report(written)
    } finally {
      await Promise.all(this.#processes.map((member) => member.kill()))
    }
  }

  async #createTopics(): Promise<void> {
    await using transport = await openPlace(this.#place, this.#options.clock)
    await transport.admin.createTopics(TOPICS.map((topic) => ({ topic, partitions: PARTITIONS })))
  }

  /** Feeds and makes trouble, for as long as there is to be trouble. */
  async #trouble(feeder: Feeder): Promise<void> {
    const { clock, troubleMs } = this.#options
    const over = new AbortController()
    const end = clock.timer(troubleMs, () => over.abort())
    const progress = this.#tell(feeder, over.signal)
    const feeding = feeder.run()
    try {
      // A feeder that fails ends the run at once.
      await Promise.race([
        this.#troublemaker.run(over.signal),
        feeding.then(() => {
          throw new Error('the feeder ended by itself')
        }),
      ])
    } finally {
      end.cancel()
      over.abort()
      feeder.stop()
      await progress
    }
    await feeding
    this.#say('the input has ended, and all processes are there')
  }

  async #tell(feeder: Feeder, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted) {
      await sleep(clock, PROGRESS_MS, signal).catch(() => {})
      const { numbers, chunks } = feeder.fed
      this.#say(
        `${this.#troublemaker.cycles} cycles, ${numbers} numbers and ${chunks} chunks written`,
      )
    }
  }

  /** Waits until every output has as many records as it has to have. */
  async #complete(reading: TopicReading, written: Written): Promise<void> {
    const { clock } = this.#options
    const deadline = clock.monotonic() + COMPLETE_MS
    for (;;) {
      await reading.readOn()
      const missing = [...expectedCounts(written)]
        .map(([topic, count]) => [topic, count - written.of(topic).flat().length] as const)
        .filter(([, count]) => count > 0)
        .map(([topic, count]) => `${count} of ${topic}`)
      if (missing.length === 0) return
      this.#say(`waiting for ${missing.join(', ')}`)
      if (clock.monotonic() > deadline) {
        this.#problems.push(`after ${COMPLETE_MS} ms without trouble there is no ${missing.join()}`)
        return
      }
      await sleep(clock, LOOK_MS)
    }
  }

  async #report(written: Written): Promise<ChaosReport> {
    const { cycles, kills, counts } = this.#troublemaker
    const violations = await verify(written).catch((error: unknown) => {
      this.#problems.push(`the outputs cannot be verified: ${asError(error).stack}`)
      return []
    })
    const records = TOPICS.reduce((sum, topic) => sum + written.of(topic).flat().length, 0)
    const { fed } = written
    const { folder } = this.#place
    const working = this.#processes.reduce((sum, member) => sum + member.working, 0)
    const found = { violations, problems: this.#problems }
    return { ...found, cycles, kills, counts, working, fed, records, folder }
  }

  #say(what: string): void {
    const { clock, onProgress } = this.#options
    const seconds = Math.round((clock.monotonic() - this.#sinceMs) / 1000)
    onProgress(`${String(seconds).padStart(4)} s  ${what}`)
  }
}
