/** Conformance: fetching ahead, bounded in bytes and fair, and waiting for it. */
import assert from 'node:assert/strict'
import { asPartition } from '../model/position.ts'
import {
  assertRejects,
  atOffset,
  record,
  sendNow,
  type ConformanceCase,
  type World,
} from './conformance-world.ts'
import type { Cursor, FetchedBatch, Reader } from './transport.ts'

const BATCH_BYTES = 100_000
const PARTITIONS = 8
/** Room for what a batch needs besides its value. */
const SLACK_BYTES = 1_000

/** Fills every partition with batches of one big record each. */
async function fill(world: World, base: string, batches: number) {
  const topic = await world.create(base, PARTITIONS)
  await using producer = await world.producer()
  for (let batch = 0; batch < batches; batch += 1) {
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const value = Buffer.alloc(BATCH_BYTES, batch)
      producer.send(record(topic, value, { partition: asPartition(partition) }))
    }
    await producer.flush()
  }
  return topic
}

/** Waits until the reader buffers at least that much. */
async function buffered(world: World, reader: Reader, leastBytes: number): Promise<void> {
  while (reader.bufferedBytes < leastBytes) {
    await world.within(`${leastBytes} buffered bytes`, (signal) => reader.ready(signal))
  }
}

const boundsBytes: ConformanceCase = {
  title: 'what is fetched ahead stays within the budget and one batch per cursor, at every moment',
  async run(world) {
    const topic = await fill(world, 'bounded', 12)
    const prefetchBytes = 3 * BATCH_BYTES
    const bound = prefetchBytes + PARTITIONS * (BATCH_BYTES + SLACK_BYTES)
    await using reader = world.reader('read_committed', prefetchBytes)
    const cursors = Array.from({ length: PARTITIONS }, (_, partition) =>
      reader.open(atOffset(topic, 0, partition)),
    )
    await buffered(world, reader, PARTITIONS * BATCH_BYTES)
    let most = 0
    let sum = 0
    while (cursors.some((cursor) => cursor.position < 12)) {
      for (const cursor of cursors) {
        most = Math.max(most, reader.bufferedBytes)
        const before = reader.bufferedBytes
        const batch = cursor.take()
        if (batch === undefined) continue
        sum += batch.records.length
        assert.ok(batch.sizeBytes >= batch.records.length * BATCH_BYTES)
        assert.equal(reader.bufferedBytes, before - batch.sizeBytes)
      }
      if (cursors.every((cursor) => cursor.position >= 12)) break
      if (reader.bufferedBytes === 0) {
        await world.within('more batches', (signal) => reader.ready(signal))
      }
    }
    assert.equal(sum, 12 * PARTITIONS)
    assert.ok(most <= bound, `${most} bytes were buffered, the bound is ${bound}`)
    assert.equal(reader.bufferedBytes, 0)
  },
}

const feedsStarvedCursors: ConformanceCase = {
  title: 'a cursor opened when the budget is used up still gets its batches',
  async run(world) {
    const topic = await fill(world, 'starved', 8)
    await using reader = world.reader('read_committed', BATCH_BYTES)
    const full = Array.from({ length: PARTITIONS - 1 }, (_, partition) =>
      reader.open(atOffset(topic, 0, partition)),
    )
    await buffered(world, reader, full.length * BATCH_BYTES)
    const late = reader.open(atOffset(topic, 0, PARTITIONS - 1))
    const { batches } = await world.drain(reader, late, 8)
    assert.equal(batches.flatMap((batch) => batch.records).length, 8)
    for (const cursor of full) assert.equal(cursor.position, 0)
  },
}

const isFair: ConformanceCase = {
  title: 'cursors that are taken from in turn advance side by side',
  async run(world) {
    const topic = await fill(world, 'fair', 10)
    await using reader = world.reader('read_committed', 4 * BATCH_BYTES)
    const cursors = Array.from({ length: PARTITIONS }, (_, partition) =>
      reader.open(atOffset(topic, 0, partition)),
    )
    for (let round = 1; round <= 10; round += 1) {
      for (const cursor of cursors) {
        while (cursor.position < round) await world.nextBatch(reader, cursor)
      }
      const positions = cursors.map((cursor) => cursor.position)
      assert.ok(
        Math.max(...positions) - Math.min(...positions) <= 4,
        `positions ${positions.join(', ')} after round ${round}`,
      )
    }
  },
}

const takeNeverWaits: ConformanceCase = {
  title: 'take answers undefined where nothing is buffered, and ready wakes when something is',
  async run(world) {
    const topic = await world.create('idle')
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    assert.equal(cursor.take(), undefined)
    await using producer = await world.producer()
    const waiting = world.nextBatch(reader, cursor)
    await sendNow(producer, topic, 'now')
    const batch: FetchedBatch = await waiting
    assert.equal(batch.records[0]?.value?.toString(), 'now')
    assert.equal(cursor.take(), undefined)
  },
}

const wakesForEachCursor: ConformanceCase = {
  title: 'one reader waits for all of its cursors, and is woken for each batch it has not taken',
  async run(world) {
    const topic = await world.create('several', 3)
    await using reader = world.reader()
    const cursors: readonly Cursor[] = [0, 1, 2].map((partition) =>
      reader.open(atOffset(topic, 0, partition)),
    )
    await using producer = await world.producer()
    const taken: string[] = []
    for (let round = 0; round < 10; round += 1) {
      const partition = (round * 2) % 3
      producer.send(record(topic, `${round}`, { partition: asPartition(partition) }))
      await producer.flush()
      while (taken.length <= round) {
        // One batch a wake: whoever takes less than there is must be woken again.
        const batch = cursors.reduce<FetchedBatch | undefined>(
          (found, cursor) => found ?? cursor.take(),
          undefined,
        )
        for (const one of batch?.records ?? []) taken.push(one.value?.toString() ?? '')
        if (taken.length > round) break
        await world.within(`record ${round}`, (signal) => reader.ready(signal))
      }
    }
    assert.deepEqual(
      taken,
      Array.from({ length: 10 }, (_, round) => `${round}`),
    )
  },
}

const wakesForTheRest: ConformanceCase = {
  title: 'who takes one batch of several that are buffered is woken for the next one',
  async run(world) {
    const topic = await world.create('rest')
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    await using producer = await world.producer()
    for (let index = 0; index < 5; index += 1) {
      const before = reader.bufferedBytes
      await sendNow(producer, topic, `${index}`)
      await buffered(world, reader, before + 1)
    }
    const taken: string[] = []
    while (cursor.position < 5) {
      const batch = cursor.take()
      for (const one of batch?.records ?? []) taken.push(String(one.value))
      if (cursor.position < 5) {
        await world.within('the rest', (signal) => reader.ready(signal))
      }
    }
    assert.deepEqual(taken, ['0', '1', '2', '3', '4'])
  },
}

const boundsManyAtOnce: ConformanceCase = {
  title:
    'partitions that get records at one moment share what one full partition left of the budget',
  async run(world) {
    const topic = await world.create('burst', PARTITIONS)
    await using producer = await world.producer('burst')
    const sizeBytes = 1_000
    const fillOne = async (partition: number, records: number): Promise<void> => {
      for (let index = 0; index < records; index += 1) {
        const value = Buffer.alloc(sizeBytes)
        producer.send(record(topic, value, { partition: asPartition(partition) }))
        if (index % 2 === 1) await producer.flush()
      }
    }
    await fillOne(0, 40)
    await producer.commit()
    const prefetchBytes = 50 * sizeBytes
    await using reader = world.reader('read_committed', prefetchBytes)
    const cursors = Array.from({ length: PARTITIONS }, (_, partition) =>
      reader.open(atOffset(topic, 0, partition)),
    )
    await buffered(world, reader, 40 * sizeBytes)
    for (let partition = 1; partition < PARTITIONS; partition += 1) await fillOne(partition, 40)
    await producer.commit()
    let most = 0
    for (const cursor of cursors.slice(1)) {
      while (cursor.position < 40) {
        const batch = await world.nextBatch(reader, cursor)
        most = Math.max(most, reader.bufferedBytes + batch.sizeBytes)
      }
    }
    const bound = prefetchBytes + PARTITIONS * 3 * sizeBytes
    assert.ok(most <= bound, `${most} bytes were buffered, the bound is ${bound}`)
  },
}

const waitingEnds: ConformanceCase = {
  title: "ready rejects with the signal's reason, at once where it is aborted already",
  async run(world) {
    const topic = await world.create('signal')
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    const reason = new Error('enough waited')
    await assert.rejects(reader.ready(AbortSignal.abort(reason)), reason)
    const stop = new AbortController()
    // It may wake for nothing, so it is asked until it rejects.
    const waiting = (async () => {
      for (;;) await reader.ready(stop.signal)
    })()
    stop.abort(reason)
    await assert.rejects(waiting, reason)
    await using producer = await world.producer()
    await sendNow(producer, topic, 'goes on')
    assert.deepEqual((await world.drain(reader, cursor, 1)).values, ['goes on'])
  },
}

const closesWhileWaiting: ConformanceCase = {
  title: 'closing a reader ends every wait on it',
  async run(world) {
    const topic = await world.create('closing')
    for (const what of ['cursor', 'reader'] as const) {
      const reader = world.reader()
      const cursor = reader.open(atOffset(topic, 0))
      const wait = async (signal: AbortSignal): Promise<void> => {
        for (;;) await reader.ready(signal)
      }
      const waiting = world.within('the close to end a wait', wait)
      const ended = assert.rejects(waiting, (error: Error) => !/waited \d+ ms/.test(error.message))
      if (what === 'cursor') cursor.close()
      await reader[Symbol.asyncDispose]()
      await reader[Symbol.asyncDispose]()
      await ended
      assert.equal(reader.bufferedBytes, 0)
    }
  },
}

const closesLogWhileWaiting: ConformanceCase = {
  title: 'closing the log ends the waits on its readers, and every later call fails',
  isAlone: true,
  async run(world) {
    const topic = await world.create('closing-log')
    const producer = await world.producer('closing-log')
    await sendNow(producer, topic, 'never')
    const reader = world.reader()
    reader.open(atOffset(topic, 0))
    const waiting = world.within('the close to end a wait', async (signal) => {
      for (;;) await reader.ready(signal)
    })
    const ended = assert.rejects(waiting, (error: Error) => !/waited \d+ ms/.test(error.message))
    await world.log[Symbol.asyncDispose]()
    await world.log[Symbol.asyncDispose]()
    await ended
    const code = 'MILLRACE_LOG_CLOSED'
    await assertRejects(world.log.admin.describeTopics(), { code })
    await assertRejects(producer.flush(), { code })
    await assertRejects(reader.ready(), { code })
    await assertRejects(reader.readAt(atOffset(topic, 0)), { code })
  },
}

const sharesNothing: ConformanceCase = {
  title: 'readers of one log are independent of each other, also on the same partition',
  async run(world) {
    const topic = await fill(world, 'shared', 6)
    await using slow = world.reader('read_committed', BATCH_BYTES)
    await using fast = world.reader('read_uncommitted', BATCH_BYTES)
    const held = slow.open(atOffset(topic, 1))
    const { offsets } = await world.drain(fast, fast.open(atOffset(topic, 0)), 6)
    assert.deepEqual(offsets, [0, 1, 2, 3, 4, 5])
    assert.equal(held.position, 1)
    assert.deepEqual((await world.drain(slow, held, 6)).offsets, [1, 2, 3, 4, 5])
  },
}

const reopensCursors: ConformanceCase = {
  title: 'a closed cursor gives its bytes back, and its partition can be opened again elsewhere',
  async run(world) {
    const topic = await fill(world, 'reopened', 6)
    await using reader = world.reader('read_committed', 4 * BATCH_BYTES)
    const first = reader.open(atOffset(topic, 0))
    await buffered(world, reader, BATCH_BYTES)
    assert.throws(() => reader.open(atOffset(topic, 3)))
    first.close()
    first.close()
    assert.equal(reader.bufferedBytes, 0)
    const second = reader.open(atOffset(topic, 4))
    const { offsets } = await world.drain(reader, second, 6)
    assert.deepEqual(offsets, [4, 5])
  },
}

const releasesBatches: ConformanceCase = {
  title: 'batches that are released do not change those that are still held',
  async run(world) {
    const topic = await fill(world, 'released', 12)
    await using reader = world.reader('read_committed', 2 * BATCH_BYTES)
    const cursor = reader.open(atOffset(topic, 0))
    const held: FetchedBatch[] = []
    for (let turn = 0; cursor.position < 12; turn += 1) {
      const batch = await world.nextBatch(reader, cursor)
      for (const { offset, value } of batch.records) assert.equal(value?.[0], offset)
      if (turn % 2 === 0) batch.release()
      else held.push(batch)
    }
    for (const { records } of held) {
      for (const { offset, value } of records) {
        const expected = Buffer.alloc(BATCH_BYTES, offset)
        assert.ok(value?.equals(expected) === true, `record ${offset} changed`)
      }
    }
  },
}

/** Fetching ahead, bounded in bytes and fair, and waiting for it. */
export const PREFETCH_CASES: readonly ConformanceCase[] = [
  boundsBytes,
  feedsStarvedCursors,
  isFair,
  takeNeverWaits,
  wakesForEachCursor,
  wakesForTheRest,
  boundsManyAtOnce,
  waitingEnds,
  closesWhileWaiting,
  closesLogWhileWaiting,
  sharesNothing,
  reopensCursors,
  releasesBatches,
]
