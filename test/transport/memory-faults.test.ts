import { describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import type { SeededRandom } from '../../testing/seeded-random.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { TransportError } from '../../transport/errors.ts'
import type { Fate, Faults, Operation } from '../../transport/memory/faults.ts'
import { memoryLog, type MemoryLog } from '../../transport/memory/memory-log.ts'
import { PRODUCE_RETRIES_MAX } from '../../transport/memory/outbox.ts'
import type { Producer, ProducerRecord } from '../../transport/transport.ts'

const TOPIC = asTopic('topic')
const PARTITIONS = 2
const GROUP = { groupId: 'group', generation: -1, memberId: '' }
const at = (partition: number) => ({ topic: TOPIC, partition: asPartition(partition) })
const offsetOf = (offset: number) => ({ ...at(0), offset: asOffset(offset), metadata: '' })

function record(value: string, partition = 0): ProducerRecord {
  return {
    ...at(partition),
    key: null,
    value: Buffer.from(value),
    timestamp: 0,
    headers: NO_HEADERS,
  }
}

const valuesOf = (log: MemoryLog, partition = 0) =>
  log.records(at(partition)).map((one) => String(one.value))

/** A log on a simulated clock whose next operations of a kind have the fates given, first come first served. */
function rehearsed(fates: Partial<Record<Operation['kind'], Fate[]>> = {}) {
  const clock = new SimulatedClock(1)
  const log = memoryLog({ clock, faults: { decide: ({ kind }) => fates[kind]?.shift() } })
  return { clock, log, fates, run: <T>(work: Promise<T>) => settle(clock, work) }
}

/** Lets simulated time pass until the work settled. */
async function settle<T>(clock: SimulatedClock, work: Promise<T>): Promise<T> {
  let isSettled = false
  work.then(
    () => (isSettled = true),
    () => (isSettled = true),
  )
  await clock.runUntil(() => isSettled, 3_600_000)
  return await work
}

async function opened(log: MemoryLog, transactionalId?: string): Promise<Producer> {
  const producer = log.openProducer(transactionalId === undefined ? {} : { transactionalId })
  await producer.init()
  return producer
}

const create = (log: MemoryLog) =>
  log.admin.createTopics([{ topic: TOPIC, partitions: PARTITIONS }])

describe('a commit whose answer is lost', () => {
  test('is retriable, and the next commit says truthfully that it took place', async () => {
    const { log, run, fates } = rehearsed({ commit: [{ outcome: 'lost' }, { outcome: 'refused' }] })
    await run(create(log))
    const producer = await run(opened(log, 'id'))
    producer.send(record('a'))
    await run(producer.sendOffsets([offsetOf(7)], GROUP))
    await expect(run(producer.commit())).rejects.toMatchObject({ kind: 'retriable' })
    expect(valuesOf(log)).toEqual(['a'])
    await expect(run(producer.commit())).rejects.toMatchObject({ kind: 'retriable' })
    await run(producer.commit())
    expect(fates.commit).toEqual([])
    expect(valuesOf(log)).toEqual(['a'])
    producer.send(record('b'))
    await run(producer.commit())
    expect(valuesOf(log)).toEqual(['a', 'b'])
    expect((await run(log.admin.committedOffsets('group', [at(0)])))[0]?.offset).toBe(7)
  })

  test('is answered as abortable where it never arrived and the transaction timed out', async () => {
    const { log, run, clock } = rehearsed({ commit: [{ outcome: 'refused' }] })
    await run(create(log))
    const producer = await run(opened(log, 'id'))
    producer.send(record('a'))
    await expect(run(producer.commit())).rejects.toMatchObject({ kind: 'retriable' })
    await clock.runUntil(() => log.openTransactions.length === 0, 100_000)
    const code = 'MILLRACE_TRANSACTION_TIMED_OUT'
    await expect(run(producer.commit())).rejects.toMatchObject({ kind: 'abortable', code })
    await run(producer.abort())
    producer.send(record('b'))
    await run(producer.commit())
    expect(valuesOf(log)).toEqual(['b'])
  })

  test('is answered as fenced where another producer took over meanwhile', async () => {
    const { log, run } = rehearsed({ commit: [{ outcome: 'refused' }] })
    await run(create(log))
    const producer = await run(opened(log, 'id'))
    producer.send(record('a'))
    await expect(run(producer.commit())).rejects.toMatchObject({ kind: 'retriable' })
    await run(opened(log, 'id'))
    await expect(run(producer.commit())).rejects.toMatchObject({ kind: 'fenced' })
    await expect(run(producer.flush())).rejects.toMatchObject({ kind: 'fenced' })
    expect(valuesOf(log)).toEqual([])
  })
})

describe('a produce request', () => {
  test('whose answer is lost is sent again and not appended again, with later records behind it', async () => {
    const lost: Fate = { outcome: 'lost', requestDelayMs: 3 }
    const { log, run } = rehearsed({ produce: [lost, lost, { outcome: 'refused' }, lost] })
    await run(create(log))
    const producer = await run(opened(log))
    for (let index = 0; index < 5; index += 1) {
      producer.send(record(`${index}`))
      await Promise.resolve()
    }
    await run(producer.flush())
    expect(valuesOf(log)).toEqual(['0', '1', '2', '3', '4'])
  })

  test('that fails more often than the limit fails the transaction; the next one is whole', async () => {
    const refusals = Array.from({ length: PRODUCE_RETRIES_MAX + 1 }, (): Fate => {
      return { outcome: 'refused' }
    })
    const { log, run } = rehearsed({ produce: [{}, { outcome: 'lost' }, ...refusals] })
    await run(create(log))
    const producer = await run(opened(log, 'id'))
    producer.send(record('a'))
    await run(producer.flush())
    producer.send(record('b'))
    const code = 'MILLRACE_DELIVERY_FAILED'
    await expect(run(producer.flush())).rejects.toMatchObject({ kind: 'abortable', code })
    expect(producer.bufferedBytes).toBe(0)
    producer.send(record('dropped'))
    await expect(run(producer.commit())).rejects.toMatchObject({ code })
    await run(producer.abort())
    producer.send(record('c'))
    await run(producer.commit())
    expect(valuesOf(log)).toEqual(['c'])
  })

  test('of a killed process that arrives after its heir took over is refused', async () => {
    const { log, run, clock } = rehearsed({ produce: [{ requestDelayMs: 1_000 }] })
    await run(create(log))
    const process = log.connect('process')
    const dead = process.openProducer({ transactionalId: 'id' })
    await run(dead.init())
    dead.send(record('late'))
    let answered = false
    dead.flush().then(
      () => (answered = true),
      () => (answered = true),
    )
    await clock.runUntil(() => true, 0)
    process.kill()
    const heir = await run(opened(log, 'id'))
    heir.send(record('heir'))
    await run(heir.commit())
    let isLater = false
    clock.timer(2_000, () => (isLater = true))
    await clock.runUntil(() => isLater, 3_000)
    expect(log.records(at(0), 'read_uncommitted').map((one) => String(one.value))).toEqual(['heir'])
    expect(answered).toBe(false)
  })

  test('of the next transaction sent before the commit is answered joins this one or is refused', async () => {
    const { log, run } = rehearsed({
      commit: [{ requestDelayMs: 50 }, { responseDelayMs: 50 }],
    })
    await run(create(log))
    const producer = await run(opened(log, 'id'))
    producer.send(record('1'))
    await run(producer.flush())
    const first = producer.commit()
    producer.send(record('2: too early'))
    await run(first)
    expect(valuesOf(log)).toEqual(['1', '2: too early'])
    producer.send(record('3'))
    await run(producer.flush())
    const second = producer.commit()
    await Promise.resolve()
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
    producer.send(record('4: too late'))
    await run(second)
    const code = 'MILLRACE_TRANSACTION_ENDED'
    await expect(run(producer.flush())).rejects.toMatchObject({ kind: 'abortable', code })
    await run(producer.abort())
    expect(valuesOf(log)).toEqual(['1', '2: too early', '3'])
  })
})

describe('a reader', () => {
  test('tries a fetch again, takes parts, and passes a change of leader', async () => {
    const { log, run } = rehearsed({
      fetch: [
        { outcome: 'refused' },
        { outcome: 'lost', responseDelayMs: 10 },
        { maxBytes: 0 },
        { maxBytes: 0, newLeader: true },
      ],
    })
    await run(create(log))
    const producer = await run(opened(log))
    for (const value of ['a', 'b', 'c', 'd']) {
      producer.send(record(value))
      await run(producer.flush())
    }
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 10_000 })
    const cursor = reader.open({ ...at(0), offset: asOffset(0) })
    const sizes: number[] = []
    while (cursor.position < 4) {
      const batch = cursor.take()
      if (batch === undefined) await run(reader.ready())
      else sizes.push(batch.records.length)
    }
    expect(sizes).toEqual([1, 1, 2])
    producer.send(record('e'))
    await run(producer.flush())
    while (cursor.position < 5) {
      const batch = cursor.take()
      if (batch === undefined) await run(reader.ready())
      else expect(batch.leaderEpoch).toBe(1)
    }
  })
})

describe('markers that are written late', () => {
  test('show offsets before records to others, but not to the caller of commit', async () => {
    const clock = new SimulatedClock(1)
    const delays: Faults = {
      decide: () => undefined,
      markerDelayMs: (marker) => (marker.at === undefined ? 0 : 20 * (marker.at.partition + 1)),
    }
    const log = memoryLog({ clock, faults: delays })
    const run = <T>(work: Promise<T>) => settle(clock, work)
    await run(create(log))
    const producer = await run(opened(log, 'id'))
    producer.send(record('a', 0))
    producer.send(record('b', 1))
    await run(producer.sendOffsets([offsetOf(1)], GROUP))
    await run(producer.flush())
    const committing = producer.commit()
    await clock.runUntil(() => true, 0)
    const [offset] = await run(log.admin.committedOffsets('group', [at(0)]))
    expect(offset?.offset).toBe(1)
    expect([valuesOf(log, 0), valuesOf(log, 1)]).toEqual([[], []])
    // An heir's init is answered before they are written, and its first record waits for them.
    const heir = await run(opened(log, 'id'))
    expect([valuesOf(log, 0), valuesOf(log, 1)]).toEqual([[], []])
    heir.send(record('c', 1))
    await run(heir.flush())
    expect([valuesOf(log, 0), valuesOf(log, 1)]).toEqual([['a'], ['b']])
    await run(committing)
    await run(heir.commit())
    expect(valuesOf(log, 1)).toEqual(['b', 'c'])
  })
})

describe('one seed', () => {
  test('gives the same trace twice, another seed another one', async () => {
    const first = await randomRun(7)
    expect(first.trace.length).toBeGreaterThan(200)
    expect(await randomRun(7)).toEqual(first)
    expect((await randomRun(8)).trace).not.toEqual(first.trace)
  })

  test('shows with any faults what was committed, once and in order', async () => {
    for (let seed = 100; seed < 140; seed += 1) {
      const { read, expected } = await randomRun(seed)
      expect(read, `seed ${seed}`).toEqual(expected)
    }
  })
})

/** Three producers run transactions side by side on a log on which everything goes wrong now and then. */
async function randomRun(seed: number) {
  const clock = new SimulatedClock(seed)
  const random = clock.random64
  const trace: string[] = []
  const faults: Faults = {
    decide: (operation) => {
      const fate = randomFate(random)
      const { kind, at: where, transactionalId = '' } = operation
      trace.push(
        [clock.monotonic(), kind, transactionalId, where?.partition, JSON.stringify(fate)].join(
          ' ',
        ),
      )
      return fate
    },
    markerDelayMs: () => (random.chance(0.3) ? random.below(30) : 0),
  }
  const log = memoryLog({ clock, faults })
  const expected: string[][] = [[], []]
  const run = async (): Promise<string[][]> => {
    await patiently(() => create(log), ['MILLRACE_TOPIC_EXISTS'])
    const ids = ['a', 'b', 'c']
    await Promise.all(ids.map((id) => worker(log, { id, random, expected })))
    return await Promise.all([0, 1].map((partition) => readAll(log, partition)))
  }
  const read = await settle(clock, run())
  // Producers overtake each other; the order within each is what must be kept.
  const byProducer = (values: readonly string[]) =>
    values.toSorted((a, b) => (a[0] ?? '').localeCompare(b[0] ?? ''))
  trace.push(JSON.stringify(read), `${clock.monotonic()}`)
  return { trace, read: read.map(byProducer), expected: expected.map(byProducer) }
}

async function worker(
  log: MemoryLog,
  { id, random, expected }: { id: string; random: SeededRandom; expected: string[][] },
): Promise<void> {
  const producer = log.openProducer({ transactionalId: id })
  await patiently(() => producer.init())
  for (let transaction = 0; transaction < 12; transaction += 1) {
    const sent = Array.from({ length: 1 + random.below(4) }, (_, index) => ({
      value: `${id}-${transaction}-${index}`,
      partition: random.below(PARTITIONS),
    }))
    for (const { value, partition } of sent) producer.send(record(value, partition))
    const isWanted = random.chance(0.7)
    try {
      await patiently(() =>
        producer.sendOffsets([offsetOf(transaction)], { ...GROUP, groupId: id }),
      )
      if (!isWanted) throw new TransportError('MILLRACE_TEST', 'abortable', { message: 'unwanted' })
      await patiently(() => producer.commit())
      for (const { value, partition } of sent) expected[partition]?.push(value)
    } catch (error) {
      if (!(error instanceof TransportError && error.kind === 'abortable')) throw error
      await patiently(() => producer.abort())
    }
  }
}

async function readAll(log: MemoryLog, partition: number): Promise<string[]> {
  const [end] = await patiently(() =>
    log.admin.offsets([at(partition)], 'latest', 'read_uncommitted'),
  )
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 500 })
  const cursor = reader.open({ ...at(partition), offset: asOffset(0) })
  const values: string[] = []
  while (cursor.position < (end ?? 0)) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready()
    else values.push(...batch.records.map((one) => String(one.value)))
  }
  return values
}

/** Asks until the answer is not "retriable"; `done` are codes that mean that an earlier try took effect. */
async function patiently<T>(call: () => Promise<T>, done: readonly string[] = []): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof TransportError)) throw error
      if (done.includes(error.code)) return undefined as T
      if (error.kind !== 'retriable') throw error
    }
  }
}

function randomFate(random: SeededRandom): Fate {
  return {
    outcome: random.pick(['done', 'done', 'done', 'done', 'refused', 'lost'] as const),
    requestDelayMs: random.chance(0.5) ? random.below(40) : 0,
    responseDelayMs: random.chance(0.5) ? random.below(40) : 0,
    newLeader: random.chance(0.05),
    ...(random.chance(0.5) ? { maxBytes: random.below(300) } : {}),
  }
}
