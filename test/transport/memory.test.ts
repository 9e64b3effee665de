import { afterAll, describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { transportConformance, type TransportHarness } from '../../transport/conformance.ts'
import type { Faults } from '../../transport/memory/faults.ts'
import { memoryLog, type MemoryLog } from '../../transport/memory/memory-log.ts'
import type { Producer, ProducerRecord } from '../../transport/transport.ts'

const TOPIC = asTopic('topic')
const PARTITION = { topic: TOPIC, partition: asPartition(0) }

/** The memory log's harness: whatever only a log in memory can do, too. */
function harness(open: () => MemoryLog, clock: TransportHarness['clock']): TransportHarness {
  let log = open()
  return {
    clock,
    open: () => {
      log = open()
      return Promise.resolve(log)
    },
    reopen: () => Promise.resolve(log.connect()),
    crash: () => Promise.resolve(log.kill()),
    compact: (_, of) => Promise.resolve(log.compact(of)),
    truncate: (_, at) => Promise.resolve(log.truncate(at)),
  }
}

function record(value: string): ProducerRecord {
  return {
    ...PARTITION,
    key: null,
    value: Buffer.from(value),
    timestamp: 0,
    headers: NO_HEADERS,
  }
}

describe('a memory log', () => {
  const clock = systemClock()
  const leftOut = transportConformance(
    harness(() => memoryLog({ clock }), clock),
    test,
  )
  afterAll(() => {
    expect(leftOut).toEqual([])
  })
})

describe('a memory log that is slow, answers in parts, and loses requests and answers that are tried again', () => {
  const seed = 20_260_101
  const clock = new SimulatedClock(seed)
  const random = new SeededRandom(seed)
  const faults: Faults = {
    decide: ({ kind }) => {
      const delays = { requestDelayMs: random.below(4), responseDelayMs: random.below(4) }
      if (kind !== 'fetch' && kind !== 'produce') return delays
      const outcome = random.pick(['done', 'done', 'done', 'refused', 'lost'] as const)
      return { ...delays, outcome, maxBytes: random.below(2_000), newLeader: random.chance(0.1) }
    },
    markerDelayMs: () => random.below(6),
  }
  const slow = harness(() => memoryLog({ clock, faults }), clock)
  transportConformance(slow, (title, run) => {
    test(title, async () => {
      const work = run()
      let isSettled = false
      work.then(
        () => (isSettled = true),
        () => (isSettled = true),
      )
      await clock.runUntil(() => isSettled, 600_000)
      await work
    })
  })
})

describe('the records of a memory log', () => {
  test('every interleaving of transactions reads as a model says, from every offset', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      await expect(differences(seed), `seed ${seed}`).resolves.toEqual([])
    }
  })

  test('compaction keeps the last committed record of each key, and every offset behind it reachable', async () => {
    const log = memoryLog({ clock: systemClock() })
    await log.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    await using plain = log.openProducer({})
    await plain.init()
    await using aborting = log.openProducer({ transactionalId: 'aborting' })
    await aborting.init()
    await using open = log.openProducer({ transactionalId: 'open' })
    await open.init()
    const put = async (producer: Producer, key: string, value: string): Promise<void> => {
      producer.send({ ...record(value), key: Buffer.from(key) })
      await producer.flush()
    }
    await put(plain, 'a', 'a1')
    await put(plain, 'b', 'b1')
    await put(aborting, 'a', 'aborted')
    await aborting.abort()
    await put(plain, 'b', 'b2')
    plain.send(record('no key'))
    await plain.flush()
    await put(open, 'a', 'open')
    await put(plain, 'b', 'b3')
    log.compact(PARTITION)
    const values = () => log.records(PARTITION, 'read_uncommitted').map((one) => String(one.value))
    expect(values()).toEqual(['a1', 'b2', 'open', 'b3'])
    await open.commit()
    log.compact(PARTITION)
    expect(values()).toEqual(['open', 'b3'])
  })

  test('a record read from the log keeps its bytes, whoever else reads them', async () => {
    await using log = memoryLog({ clock: systemClock() })
    await log.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    await using producer = log.openProducer({})
    await producer.init()
    producer.send(record('shared'))
    await producer.flush()
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000 })
    const one = await reader.readAt({ ...PARTITION, offset: asOffset(0) })
    const two = log.records(PARTITION)[0]
    expect(one?.record.value?.buffer).toBe(two?.value?.buffer)
  })
})

/** Runs random transactions of three producers, and compares reads from every offset with what must be seen. */
async function differences(seed: number): Promise<string[]> {
  const random = new SeededRandom(seed)
  await using log = memoryLog({ clock: systemClock() })
  await log.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
  const producers = ['a', 'b', 'c'].map((transactionalId) => ({
    producer: log.openProducer({ transactionalId }),
    open: [] as string[],
  }))
  for (const { producer } of producers) await producer.init()
  const kept = new Set<string>()
  for (let step = 0; step < 120; step += 1) {
    const one = random.pick(producers)
    if (one.open.length === 0 || random.chance(0.7)) {
      one.producer.send(record(`${step}`))
      await one.producer.flush()
      one.open.push(`${step}`)
    } else {
      const commits = random.chance(0.5)
      await (commits ? one.producer.commit() : one.producer.abort())
      if (commits) for (const value of one.open) kept.add(value)
      one.open = []
    }
  }
  for (const { producer } of producers) await producer.abort()
  const all = log.records(PARTITION, 'read_uncommitted')
  const expected = all.filter((one) => kept.has(String(one.value))).map((one) => one.offset)
  const [end] = await log.admin.offsets([PARTITION], 'latest', 'read_committed')
  const found: string[] = []
  for (let from = 0; from <= (end ?? 0); from += 1) {
    const offsets = await readOffsets(log, { from, end: end ?? 0, bytes: random.below(400) })
    const wanted = expected.filter((offset) => offset >= from)
    if (offsets.join() !== wanted.join()) found.push(`from ${from}: ${offsets.join()}`)
  }
  return found
}

async function readOffsets(
  log: MemoryLog,
  { from, end, bytes }: { from: number; end: number; bytes: number },
): Promise<number[]> {
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: bytes })
  const cursor = reader.open({ ...PARTITION, offset: asOffset(from) })
  const offsets: number[] = []
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready()
    else offsets.push(...batch.records.map((one) => one.offset))
  }
  return offsets
}
