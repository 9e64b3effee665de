/**
 * One measured run: processes of an application on a broker, from the moment at which its input is
 * there until all its outputs are committed. Each output is counted: one too few never ends, one too
 * many fails.
 */
import { basename, join } from 'node:path'
import { sleep } from '../../../model/clock.ts'
import { asOffset, asPartition, asTopic, type Offset, type Topic } from '../../../model/position.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { openKafka } from '../../../transport/kafka/open.ts'
import type { Cursor, Reader, Transport } from '../../../transport/transport.ts'
import type { BenchWork } from '../bench-case.ts'
import { AppProcess } from './app-process.ts'
import { IN, IN2, type Inputs } from './app-inputs.ts'

/** What runs, and on what. */
export interface AppRun {
  readonly topology: string
  readonly joined?: 'full' | 'ref' | 'copies'
  readonly guarantee: 'exactly-once' | 'at-least-once'
  readonly partitions: number
  readonly processes: number
  readonly inputs: Inputs
  /** What the rate is of. */
  readonly amount: number
}

/** Where it runs. */
export interface AppPlace {
  readonly brokers: readonly string[]
  readonly folder: string
}

const OUT = 'out'
const COMMIT_MS = 100
const LOOK_AGAIN_MS = 10
/** No record comes for so long: something is lost. */
const SILENCE_MS = 30_000
/** Longer than it takes to fill topics and to start processes. */
const FILL_TIMEOUT_MS = 300_000
const clock = systemClock()

/** Runs it; `measure` goes around what counts. */
export async function runApp(
  run: AppRun,
  place: AppPlace,
  measure: (work: () => Promise<BenchWork>) => Promise<void>,
): Promise<void> {
  await using log = await openKafka({ brokers: place.brokers, clock })
  const { partitions, inputs } = run
  // Several runs may share a broker, and no two have the same folder.
  const prefix = `${basename(place.folder)}-`
  const topics = [...inputs.topics, OUT].map((name) => asTopic(prefix + name))
  await log.admin.createTopics(topics.map((topic) => ({ topic, partitions, config: TOPIC_CONFIG })))
  await using producer = log.openProducer({
    transactionalId: `${prefix}inputs`,
    transactionTimeoutMs: FILL_TIMEOUT_MS,
  })
  await producer.init()
  const outputs = await inputs.send(producer, { prefix, partitions, nowMs: clock.now() })
  await using processes = new AsyncDisposableStack()
  const apps = Array.from({ length: run.processes }, (_, number) =>
    processes.use(new AppProcess(optionsOf(run, place, number), clock)),
  )
  const isShared = (): boolean =>
    apps.every(({ tasks }) => tasks.length === partitions / apps.length)
  await Promise.all(apps.map((app) => app.runs(isShared)))
  await measure(async () => {
    const before = apps.map((app) => app.cost().cpuSeconds)
    await producer.commit()
    const startMs = clock.now()
    const endMs = await countedAt(log, { topic: asTopic(prefix + OUT), outputs, partitions }, () =>
      apps.forEach((app) => app.assertAlive()),
    )
    const costs = apps.map((app) => app.cost())
    return {
      amount: run.amount,
      seconds: (endMs - startMs) / 1000,
      cpuSeconds: costs.reduce(
        (sum, { cpuSeconds }, at) => sum + cpuSeconds - (before[at] ?? 0),
        0,
      ),
      peakBytes: Math.max(...costs.map(({ peakBytes }) => peakBytes)),
    }
  })
}

/** Large chunks are welcome. */
const TOPIC_CONFIG = { 'max.message.bytes': String(32 * 2 ** 20) }

function optionsOf(run: AppRun, { brokers, folder }: AppPlace, number: number): readonly string[] {
  const application = basename(folder)
  const options = {
    bootstrap: brokers.join(),
    'app-id': application,
    state: join(folder, `process-${number}`),
    topology: run.topology,
    guarantee: run.guarantee === 'exactly-once' ? 'eos' : 'alos',
    in1: `${application}-${IN}`,
    in2: `${application}-${IN2}`,
    out: `${application}-${OUT}`,
    joined: run.joined ?? 'full',
    set: `commit.interval.ms=${COMMIT_MS}`,
  }
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
}

/** When the last output was seen to be committed. Counts only once there are as many offsets as outputs, so as not to be in the way. */
async function countedAt(
  log: Transport,
  output: { readonly topic: Topic; readonly outputs: number; readonly partitions: number },
  check: () => void,
): Promise<number> {
  const { topic, outputs, partitions } = output
  const all = Array.from({ length: partitions }, (_, partition) => ({
    topic,
    partition: asPartition(partition),
  }))
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 2 ** 24 })
  const count = counterOf(
    reader,
    all.map((at) => reader.open({ ...at, offset: asOffset(0) })),
  )
  let [end, endMs] = [0, clock.now()]
  while (clock.now() - endMs < SILENCE_MS) {
    check()
    const ends = await log.admin.offsets(all, 'latest', 'read_committed')
    const sum = ends.reduce((total: number, one) => total + one, 0)
    if (sum > end) [end, endMs] = [sum, clock.now()]
    else if (sum >= outputs) {
      const counted = await count(ends)
      if (counted === outputs) return endMs
      if (counted > outputs) throw new Error(`${counted} outputs instead of ${outputs}`)
    }
    await sleep(clock, LOOK_AGAIN_MS)
  }
  throw new Error(`fewer than ${outputs} outputs: there are ${end} offsets`)
}

/** Counts the records before the ends that it is given, going on where it was. */
function counterOf(
  reader: Reader,
  cursors: readonly Cursor[],
): (ends: readonly Offset[]) => Promise<number> {
  let counted = 0
  return async (ends) => {
    while (cursors.some(({ position }, at) => position < (ends[at] ?? 0))) {
      // One without records, the mark of a transaction's end, may be the last.
      const batches = cursors.flatMap((cursor) => cursor.take() ?? [])
      for (const batch of batches) {
        counted += batch.records.length
        batch.release()
      }
      if (batches.length === 0) await reader.ready()
    }
    return counted
  }
}
