/**
 * The record loop alone: small records over the memory log, so that no disk and no network is in the
 * way. Both apps run at least once with other records before, for the compiler to have seen them.
 */
import { join } from 'node:path'
import { minutes } from '../../../model/duration.ts'
import { asPartition, asTopic, type Topic } from '../../../model/position.ts'
import { NO_HEADERS } from '../../../model/record.ts'
import { tumbling } from '../../../processors/time-windows.ts'
import { streams } from '../../../runtime/app.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { memoryRegistry } from '../../../serdes/memory-registry.ts'
import { int64, text } from '../../../serdes/primitives.ts'
import { topology } from '../../../topology/builder.ts'
import type { Topology } from '../../../topology/graph.ts'
import { memoryLog } from '../../../transport/memory/memory-log.ts'
import type { Transport } from '../../../transport/transport.ts'
import type { BenchCase, BenchPlace, BenchVariant, Measure } from '../bench-case.ts'

const WARM = asTopic('warm')
const IN = asTopic('in')
const OUT = asTopic('out')
const KEYS = 10_000
const VALUE = 'a value of a hundred bytes, which is about what an event of a web site has '.padEnd(
  100,
  '.',
)
const WARM_RECORDS = 50_000
/** Records sent between two flushes. */
const FLUSH_RECORDS = 10_000

function passThrough(from: string): Topology {
  return topology(`pass-${from}`, ({ stream }) => {
    stream(from, { key: text, value: text }).to(OUT)
  })
}

function counting(from: string): Topology {
  return topology(`count-${from}`, ({ stream }) => {
    stream(from, { key: text, value: text })
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .to(OUT, { value: int64 })
  })
}

/** Each key comes six times in each window. */
function countingWindows(from: string): Topology {
  return topology(`windows-${from}`, ({ stream }) => {
    stream(from, { key: text, value: text })
      .groupByKey()
      .windowedBy(tumbling(minutes(1)))
      .count({ store: 'counts' })
      .toStream()
      .to(OUT, { value: int64 })
  })
}

function variant(name: string, pipeline: (from: string) => Topology): BenchVariant {
  return {
    name,
    run: async (place, measure) => await runLoop(pipeline, place, measure),
  }
}

async function runLoop(
  pipeline: (from: string) => Topology,
  place: BenchPlace,
  measure: Measure,
): Promise<void> {
  await using log = memoryLog({ clock: systemClock() })
  await log.admin.createTopics([WARM, IN, OUT].map((topic) => ({ topic, partitions: 1 })))
  await produce(log, WARM, WARM_RECORDS)
  await produce(log, IN, place.records)
  await catchUp(pipeline(WARM), log, place)
  await measure(async () => {
    await catchUp(pipeline(IN), log, place)
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

async function produce(log: Transport, topic: Topic, records: number): Promise<void> {
  await using producer = log.openProducer({})
  await producer.init()
  const value = Buffer.from(VALUE)
  const partition = asPartition(0)
  for (let i = 0; i < records; i += 1) {
    const key = Buffer.from(`key-${(i * 7_919) % KEYS}`)
    producer.send({ topic, partition, key, value, timestamp: 1_000 + i, headers: NO_HEADERS })
    if (i % FLUSH_RECORDS === 0) await producer.flush()
  }
  await producer.flush()
}

/** The case. */
export const recordLoop: BenchCase = {
  name: 'loop',
  summary: 'small records through the record loop on the memory log, exactly once',
  unit: 'records',
  compares: false,
  variants: [
    variant('pass-through', passThrough),
    variant('count', counting),
    variant('windowed count', countingWindows),
  ],
}
