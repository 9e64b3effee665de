import { describe, expect, test } from 'vitest'
import type { AskedPartition } from '../../../transport/kafka/reader/fetch-session.ts'
import { FetchSession } from '../../../transport/kafka/reader/fetch-session.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import { FETCH_LIMITS } from '../../../transport/kafka/reader/fetch-limits.ts'
import { ResponseBuffers } from '../../../transport/kafka/reader/response-buffers.ts'
import { at, ReaderWorld, valuesOf } from './reader-world.ts'

const {
  maxWaitMs,
  requestDeadlineMs,
  doubtAfterMs,
  besideIntervalMs,
  preferredReplicaMs,
  retryMaxMs,
} = FETCH_LIMITS
const KIB = 1024

/** `partition@offset` of each partition that a request names. */
function named(request: {
  readonly topics: readonly { readonly partitions: readonly AskedPartition[] }[]
}) {
  return request.topics.flatMap(({ partitions }) =>
    partitions.map(({ partition, offset }) => `${partition}@${offset}`),
  )
}

function asked(partition: number, offset: number, topicId = 'id'): AskedPartition {
  const epochs = { currentLeaderEpoch: 0, lastFetchedEpoch: -1 }
  return { topic: 't', topicId, partition, offset, maxBytes: 1, ...epochs }
}

describe('a fetch session', () => {
  test('names all at first, then what is new, what moved and what is gone', () => {
    const session = new FetchSession()
    const first = session.next([asked(0, 0), asked(1, 0), asked(2, 0)])
    expect(first).toMatchObject({ sessionId: 0, sessionEpoch: 0, forgotten: [] })
    session.answered(7)
    const second = session.next([asked(0, 5), asked(1, 0), asked(3, 0)])
    expect(second).toMatchObject({ sessionId: 7, sessionEpoch: 1 })
    expect(second.topics.flatMap(({ partitions }) => partitions)).toMatchObject([
      { partition: 0, offset: 5 },
      { partition: 3 },
    ])
    expect(second.forgotten).toMatchObject([{ topicId: 'id', partitions: [2] }])
    session.answered(7)
    const third = session.next([asked(0, 5), asked(1, 0), asked(3, 0)])
    expect(third).toMatchObject({ sessionEpoch: 2, topics: [], forgotten: [] })
  })

  test('takes a topic that was created again for another one', () => {
    const session = new FetchSession()
    session.next([asked(0, 3, 'old')])
    session.answered(7)
    const next = session.next([asked(0, 3, 'new')])
    expect(next.forgotten).toMatchObject([{ topicId: 'old', partitions: [0] }])
    expect(next.topics).toMatchObject([{ topicId: 'new' }])
  })

  test('begins anew after an answer was lost, and closes the old one where the broker may have it', () => {
    const session = new FetchSession()
    session.next([asked(0, 0)])
    session.answered(7)
    session.reset()
    const again = session.next([asked(0, 0)])
    expect(again).toMatchObject({ sessionId: 7, sessionEpoch: 0 })
    expect(named(again as never)).toEqual(['0@0'])
    session.reset({ isUnknown: true })
    expect(session.next([])).toMatchObject({ sessionId: 0, sessionEpoch: 0 })
  })

  test('names all every time with a broker that has no room for it', () => {
    const session = new FetchSession()
    for (let round = 0; round < 3; round += 1) {
      const next = session.next([asked(0, 0)])
      expect(next).toMatchObject({ sessionId: 0, sessionEpoch: 0 })
      expect(next.topics).toHaveLength(1)
      session.answered(0)
    }
  })
})

describe('a reader of Kafka', () => {
  test('asks each broker once for all that it leads, and names nothing while nothing changes', async () => {
    const world = new ReaderWorld()
    for (let partition = 0; partition < 6; partition += 1)
      world.log(partition, { leader: partition % 2 })
    await using reader = world.reader()
    for (let partition = 0; partition < 6; partition += 1) reader.open(at(0, partition))
    await world.settle()
    expect(world.brokers.fetches.map(({ request }) => named(request as never))).toEqual([
      ['0@0', '2@0', '4@0'],
      ['1@0', '3@0', '5@0'],
    ])
    await world.clock.advance(4 * maxWaitMs)
    const later = world.brokers.fetches.slice(4)
    expect(later.length).toBeGreaterThan(2)
    expect(later.every(({ request }) => request.topics.length === 0)).toBe(true)
  })

  test('goes on at once where a broker forgot the session', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    log.write(['a'])
    expect(await world.drain(cursor)).toEqual(['0:a'])
    world.brokers.forgetSessions()
    await world.clock.advance(maxWaitMs)
    log.write(['b'])
    expect(await world.drain(cursor)).toEqual(['1:b'])
  })

  test('does not let a cursor that has to read wait behind those that wait for news', async () => {
    const world = new ReaderWorld()
    const [idle, busy] = [world.log(0), world.log(1)]
    for (let index = 0; index < 30; index += 1) busy.write([`${index}`])
    await using reader = world.reader()
    const first = reader.open(at(0, 0))
    await world.settle()
    const before = world.clock.monotonic()
    expect(await world.drain(reader.open(at(0, 1)))).toHaveLength(30)
    expect(world.clock.monotonic()).toBe(before)
    expect(world.brokers.mostAtOnce).toBe(1)
    // News of the first is not missed meanwhile, and soon one request waits for both.
    idle.write(['news'])
    expect(await world.drain(first)).toEqual(['0:news'])
    await world.clock.advance(maxWaitMs + besideIntervalMs)
    const seen = world.brokers.seen.length
    await world.clock.advance(4 * maxWaitMs)
    const later = world.brokers.seen.slice(seen)
    expect(later.map(({ purpose }) => purpose)).not.toContain('fetch beside a poll')
  })

  test('hears news of a caught-up cursor soon that came too late for the wait of the others', async () => {
    const world = new ReaderWorld()
    world.log(0)
    const late = world.log(1)
    await using reader = world.reader()
    reader.open(at(0, 0))
    await world.settle()
    const cursor = reader.open(at(0, 1))
    expect(await world.drain(cursor)).toEqual([])
    late.write(['news'])
    await world.clock.advance(besideIntervalMs)
    expect(valuesOf(cursor.take())).toEqual(['0:news'])
  })

  test('tells where an empty partition ends, though nothing came of it', async () => {
    const world = new ReaderWorld()
    world.log()
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    const waiting = reader.ready()
    await world.settle()
    await world.clock.advance(maxWaitMs)
    await waiting
    expect(cursor.lastStableOffset).toBe(0)
  })

  test('tells a partition that is opened again where it ends, though the broker told it before', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    await using reader = world.reader()
    const before = reader.open(at(0))
    expect(await world.drain(before)).toEqual(['0:a'])
    await world.clock.advance(2 * maxWaitMs)
    before.close()
    await world.settle()
    await world.clock.advance(2 * maxWaitMs)
    const again = reader.open(at(1))
    await world.settle()
    await world.clock.advance(2 * maxWaitMs)
    expect(again.lastStableOffset).toBe(1)
    const fetches = world.brokers.fetches.length
    await world.clock.advance(4 * maxWaitMs)
    const later = world.brokers.fetches.slice(fetches)
    expect(later.length).toBeGreaterThan(2)
    expect(later.every(({ request }) => request.topics.length === 0)).toBe(true)
  })

  test('counts what is on its way against the budget', async () => {
    const world = new ReaderWorld()
    for (const node of [0, 1]) {
      const log = world.log(node, { leader: node })
      for (let index = 0; index < 100; index += 1) log.write(['x'.repeat(KIB)])
    }
    await using reader = world.reader({ prefetchBytes: 32 * KIB })
    reader.open(at(0, 1)).close()
    const first = reader.open(at(0, 0))
    await world.settle()
    while (first.take() !== undefined);
    // The first is asked for with all of the budget, so the second that comes by then gets one batch.
    await Promise.resolve()
    reader.open(at(0, 1))
    await world.settle()
    expect(reader.bufferedBytes).toBeGreaterThan(30 * KIB)
    expect(reader.bufferedBytes).toBeLessThan(35 * KIB)
  })

  test('refills a drained queue at once beside partitions that wait for news', async () => {
    const world = new ReaderWorld()
    world.log(0)
    const busy = world.log(1)
    for (let index = 0; index < 40; index += 1) busy.write([`${index}`.padEnd(KIB, '.')])
    await using reader = world.reader({ prefetchBytes: 4 * KIB })
    reader.open(at(0, 0))
    await world.settle()
    const cursor = reader.open(at(0, 1))
    expect(await world.drain(cursor)).toHaveLength(40)
    expect(world.clock.monotonic()).toBe(0)
  })

  test('keeps the budget for those who have something to read, on whichever broker', async () => {
    const world = new ReaderWorld()
    for (let node = 0; node < 4; node += 1) world.log(node, { leader: node })
    const busy = world.log(4, { leader: 4 })
    for (let index = 0; index < 100; index += 1) busy.write(['x'.repeat(KIB)])
    await using reader = world.reader({ prefetchBytes: 64 * KIB })
    for (let node = 0; node < 4; node += 1) reader.open(at(0, node))
    await world.settle()
    await world.clock.advance(maxWaitMs)
    reader.open(at(0, 4))
    await world.settle()
    expect(reader.bufferedBytes).toBeGreaterThan(30 * KIB)
    expect(reader.bufferedBytes).toBeLessThanOrEqual(66 * KIB)
  })

  test('fetches one batch for each empty queue beyond any budget, and no more', async () => {
    const world = new ReaderWorld()
    const logs = [0, 1, 2, 3].map((partition) => world.log(partition))
    for (const log of logs) for (let index = 0; index < 5; index += 1) log.write(['x'.repeat(KIB)])
    await using reader = world.reader({ prefetchBytes: 0 })
    const cursors = logs.map(({ partition }) => reader.open(at(0, partition)))
    await world.settle()
    const [batch] = logs.map((log) => log.largestBatchBytes)
    expect(reader.bufferedBytes).toBe(4 * (batch ?? 0))
    for (const cursor of cursors) expect(await world.drain(cursor)).toHaveLength(5)
  })

  test('asks for whole batches where they are large, so that none is fetched twice', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    for (let index = 0; index < 20; index += 1) log.write(['x'.repeat(300 * KIB)])
    await using reader = world.reader({ prefetchBytes: 8_000 * KIB })
    expect(await world.drain(reader.open(at(0)))).toHaveLength(20)
    const limits = world.brokers.fetches.flatMap(({ request }) =>
      request.topics.flatMap(({ partitions }) => partitions.map(({ maxBytes }) => maxBytes)),
    )
    // Three of 300 KiB fit into 1 MiB, and a little more than three are asked for.
    expect(limits.filter((limit) => limit > 900 * KIB && limit < 930 * KIB).length).toBeGreaterThan(
      3,
    )
  })

  test('reads from the replica that the leader names, and from the leader when that fails', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    log.replica = 9
    await using reader = world.reader({ rack: 'here' })
    const cursor = reader.open(at(0))
    expect(await world.drain(cursor)).toEqual(['0:a'])
    expect(world.brokers.fetches.map(({ node }) => node).slice(0, 2)).toEqual([1, 9])
    log.replica = undefined
    log.write(['b'])
    await world.settle()
    await world.clock.advance(maxWaitMs + retryMaxMs)
    expect(await world.drain(cursor)).toEqual(['1:b'])
    expect(world.brokers.fetches.at(-1)?.node).toBe(1)
  })

  test('lets the leader judge what a replica calls out of range, and asks it again in time', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a', 'b'])
    log.replica = 9
    await using reader = world.reader({ rack: 'here' })
    const cursor = reader.open(at(0))
    await world.drain(cursor)
    log.errors.push(CODE.offsetOutOfRange)
    log.write(['c'])
    await world.settle()
    await world.clock.advance(maxWaitMs + retryMaxMs)
    expect(await world.drain(cursor)).toEqual(['2:c'])
    const before = world.brokers.fetches.length
    await world.clock.advance(preferredReplicaMs)
    const asks = world.brokers.fetches.slice(before).filter(({ node }) => node === 1)
    expect(asks.length).toBeGreaterThan(0)
  })

  test('leaves a broker that is halted as soon as another one leads', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    expect(await world.drain(cursor)).toEqual(['0:a'])
    world.brokers.halted.add(1)
    await world.clock.advance(requestDeadlineMs / 4)
    expect(cursor.take()).toBeUndefined()
    log.elect(2)
    log.write(['b'])
    await world.clock.advance(2 * (maxWaitMs + doubtAfterMs) + retryMaxMs)
    expect(await world.drain(cursor)).toEqual(['1:b'])
  })

  test('closes in the middle of everything', async () => {
    const world = new ReaderWorld()
    const [log, other] = [world.log(0), world.log(1)]
    log.write(['a'])
    const reader = world.reader()
    const cursor = reader.open(at(0, 0))
    reader.open(at(0, 5))
    await world.settle()
    other.write(['b'])
    reader.open(at(0, 1))
    cursor.close()
    const single = reader.readAt(at(0, 0)).catch((error: unknown) => error)
    const waiting = (async () => {
      // It may wake for what happened before.
      for (;;) await reader.ready()
    })().catch((error: unknown) => error)
    await reader[Symbol.asyncDispose]()
    expect(await waiting).toMatchObject({ code: 'MILLRACE_LOG_CLOSED' })
    expect(await single).toMatchObject({ code: 'MILLRACE_LOG_CLOSED' })
    expect(world.brokers.openLanes).toBe(0)
    expect(world.clock.untilTimerMs).toBeUndefined()
  })
})

describe('buffers of answers', () => {
  test('come back when the last holder lets go, and not before', () => {
    const buffers = new ResponseBuffers(1_000_000)
    const first = buffers.take(200_000)
    first.hold()
    first.release()
    expect(buffers.freeBytes).toBe(0)
    const second = buffers.take(200_000)
    expect(second.bytes).not.toBe(first.bytes)
    first.release()
    expect(buffers.take(190_000).bytes).toBe(first.bytes)
  })

  test('are kept up to the limit', () => {
    const buffers = new ResponseBuffers(300_000)
    const taken = [buffers.take(200_000), buffers.take(200_000)]
    for (const one of taken) one.release()
    expect(buffers.freeBytes).toBe(taken[0]?.bytes.length)
    expect(buffers.take(10).bytes).toHaveLength(10)
  })
})

describe('single records of Kafka', () => {
  test('come by one request for neighbours, whoever asks and how often', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a', 'b', 'c'])
    log.write(['d'])
    await using reader = world.reader()
    const found = Promise.all([2, 0, 1, 1].map((offset) => reader.readAt(at(offset))))
    await world.settle()
    expect((await found).map((one) => one?.record.value?.toString())).toEqual(['c', 'a', 'b', 'b'])
    const requests = world.brokers.seen.map(({ request }) => request.maxBytes)
    expect(requests).toEqual([1])
  })

  test('come whole where batches are large: neighbours together, far ones apart', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    for (let index = 0; index < 30; index += 1) log.write([`${index}`.padEnd(100 * KIB, '.')])
    await using reader = world.reader()
    const offsets = [0, 1, 2, 3, 4, 20, 21, 29]
    const found = Promise.all(offsets.map((offset) => reader.readAt(at(offset))))
    await world.settle()
    const values = (await found).map((one) => Number.parseInt(String(one?.record.value), 10))
    expect(values).toEqual(offsets)
    expect(world.brokers.seen.length).toBeLessThan(offsets.length)
  })

  test('are undefined where there is none: markers, compacted ones, beyond the end, before the start', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['gone'])
    log.write(['empty'])
    log.write(['a'], { producerId: 1 })
    log.endTransaction(1, 'abort')
    log.write(['b'])
    log.empty(1)
    log.purge(1)
    await using reader = world.reader()
    const found = Promise.all([0, 1, 2, 3, 4, 5, 99].map((offset) => reader.readAt(at(offset))))
    await world.settle()
    const values = (await found).map((one) => one?.record.value?.toString())
    expect(values).toEqual([undefined, undefined, 'a', undefined, 'b', undefined, undefined])
  })

  test('are found behind a leader that moved and a topic that was created again', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    await using reader = world.reader()
    const before = reader.readAt(at(0))
    await world.settle()
    expect(await before).toMatchObject({ topicId: 'id', leaderEpoch: 0 })
    log.elect(2)
    const after = reader.readAt(at(0))
    await world.clock.advance(retryMaxMs)
    expect((await after)?.record.value?.toString()).toBe('a')
    world.brokers.logs.length = 0
    world.log(0, { topicId: 'other' }).write(['b'])
    const renewed = reader.readAt(at(0))
    await world.clock.advance(retryMaxMs)
    expect(await renewed).toMatchObject({ topicId: 'other' })
    world.brokers.logs.length = 0
    const gone = reader.readAt(at(0)).catch((error: unknown) => error)
    await world.clock.advance(retryMaxMs)
    expect(await gone).toMatchObject({ code: 'MILLRACE_UNKNOWN_PARTITION' })
  })

  test('are asked of the next leader where the last one is halted', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    await using reader = world.reader()
    world.brokers.halted.add(1)
    const reading = reader.readAt(at(0))
    await world.settle()
    log.elect(2)
    await world.clock.advance(doubtAfterMs + retryMaxMs)
    expect((await reading)?.record.value?.toString()).toBe('a')
  })

  test('end with the error that keeps them away, after their deadline', async () => {
    const world = new ReaderWorld()
    world.log().write(['a'])
    await using reader = world.reader({ limits: { pointReadDeadlineMs: 5_000 } })
    world.brokers.faults = { lost: 1, unanswered: 0, forgets: 0, delayMs: 1 }
    const reading = reader.readAt(at(0)).catch((error: unknown) => error)
    await world.clock.advance(5_000 + 2 * retryMaxMs)
    expect(await reading).toMatchObject({ code: 'MILLRACE_KAFKA_UNREACHABLE' })
  })

  test('do not keep the batch alive that they came in', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['small', 'x'.repeat(50 * KIB)])
    await using reader = world.reader()
    const reading = Promise.all([reader.readAt(at(0)), reader.readAt(at(1))])
    await world.settle()
    const [small, large] = await reading
    expect(small?.record.valueBuffer).toHaveLength(5)
    expect(large?.record.valueBuffer.length).toBeGreaterThan(50 * KIB)
  })
})
