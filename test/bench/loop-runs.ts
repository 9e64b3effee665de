/**
 * One app over small records in a log in memory, so that no disk and no network is in the way. It
 * runs at least once with other records before, for the compiler to have seen it.
 */
import { join } from 'node:path'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { streams } from '../../runtime/app.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import type { Topology } from '../../topology/graph.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'
import type { Transport } from '../../transport/transport.ts'
import type { BenchPlace, Measure } from './bench-case.ts'

/** Keys of the records, which come round again and again in the same order. */
export const KEYS = 10_000

/** The topic that results go to. */
export const OUT = 'out'

const VALUE = Buffer.from(
  'a value of a hundred bytes, which is about what an event of a web site has '.padEnd(100, '.'),
)
const WARM_RECORDS = 50_000
/** Records sent between two flushes. */
const FLUSH_RECORDS = 10_000

/** A topic that is read. */
export interface LoopInput {
  readonly topic: string
  /** How many records it has, of so many that are asked for in all. */
  readonly share: (records: number) => number
  /** The timestamp of record `i`. */
  readonly timestampMs: (i: number) => number
}

/** An app, and what it reads. Topics and the app's name begin with `prefix`, which keeps two runs apart. */
export interface LoopRun {
  readonly inputs: readonly LoopInput[]
  readonly pipeline: (prefix: string) => Topology
}

/** Measures from the start of the app until all is processed and committed. */
export async function runLoop(
  { inputs, pipeline }: LoopRun,
  place: BenchPlace,
  measure: Measure,
): Promise<void> {
  await using log = memoryLog({ clock: systemClock() })
  const topics = ['warm-', ''].flatMap((prefix) => inputs.map(({ topic }) => prefix + topic))
  await log.admin.createTopics(
    [...topics, OUT].map((topic) => ({ topic: asTopic(topic), partitions: 1 })),
  )
  for (const input of inputs) {
    await produce(log, `warm-${input.topic}`, { input, records: input.share(WARM_RECORDS) })
    await produce(log, input.topic, { input, records: input.share(place.records) })
  }
  await catchUp(pipeline('warm-'), log, place)
  await measure(async () => {
    await catchUp(pipeline(''), log, place)
    return { amount: place.records }
  })
}

async function catchUp(pipeline: Topology, transport: Transport, place: BenchPlace): Promise<void> {
  await using app = streams(pipeline, {
    transport,
    registry: memoryRegistry(),
    clock: systemClock(),
    state: { kind: 'folder', folder: join(place.folder, 'state') },
  })
  await app.start()
  await app.caughtUp()
  await app.close()
}

async function produce(
  log: Transport,
  topic: string,
  { input, records }: { readonly input: LoopInput; readonly records: number },
): Promise<void> {
  await using producer = log.openProducer({})
  await producer.init()
  const at = { topic: asTopic(topic), partition: asPartition(0) }
  for (let i = 0; i < records; i += 1) {
    const key = Buffer.from(`key-${(i * 7_919) % KEYS}`)
    const timestamp = input.timestampMs(i)
    producer.send({ ...at, key, value: VALUE, timestamp, headers: NO_HEADERS })
    if (i % FLUSH_RECORDS === 0) await producer.flush()
  }
  await producer.flush()
}
