import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { AbortedRanges } from '../../transport/embedded/aborted-ranges.ts'
import { BufferPool } from '../../transport/embedded/buffer-pool.ts'
import { FilePool } from '../../transport/embedded/file-pool.ts'
import { LogIndex } from '../../transport/embedded/log-index.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { openPartition } from '../../transport/embedded/open-partition.ts'
import type { PartitionLog } from '../../transport/embedded/partition-log.ts'
import type { Append } from '../../transport/embedded/partition-writer.ts'
import { RecordBatchBuilder } from '../../transport/record-batch-builder.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-parts-'))
afterAll(() => rm(root, { recursive: true, force: true }))

describe('the index', () => {
  it('writes what waits in its order, together, and knows it when it is opened again', async () => {
    const path = join(root, 'order')
    const index = await opened(path)
    const done: number[] = []
    const writes = Array.from({ length: 200 }, async (_, turn) => {
      const rows = [
        { key: 'last', value: turn },
        { key: `turn:${turn}`, value: turn % 2 === 0 ? { turn } : undefined },
      ]
      await index.write(rows, { sync: false })
      done.push(turn)
    })
    await Promise.all(writes)
    expect(done).toEqual(Array.from({ length: 200 }, (_, turn) => turn))
    await index.close()
    await expect(index.write([], { sync: false })).rejects.toMatchObject({
      code: 'MILLRACE_LOG_CLOSED',
    })
    const again = await opened(path)
    expect(await again.read('last')).toBe(199)
    expect(await again.list('turn:')).toHaveLength(100)
    expect(await again.read('turn:1')).toBeUndefined()
    expect(await again.list('turn:', { from: '8', before: '83' })).toEqual([
      ['8', { turn: 8 }],
      ['80', { turn: 80 }],
      ['82', { turn: 82 }],
    ])
    await again.close()
  })

  it('takes no more writes after one that failed', async () => {
    const index = await opened(join(root, 'failed'))
    const impossible = { key: 'x', value: { toJSON: () => fail() } }
    const first = index.write([impossible], { sync: false })
    const second = index.write([{ key: 'y', value: 1 }], { sync: false })
    await expect(first).rejects.toMatchObject({ code: 'MILLRACE_LOG_IO', kind: 'fatal' })
    await expect(second).rejects.toMatchObject({ code: 'MILLRACE_LOG_IO' })
    await expect(index.write([], { sync: false })).rejects.toThrow(/takes no more writes/)
    expect(await index.read('y')).toBeUndefined()
    await index.close()
  })
})

describe('a partition', () => {
  it('makes an append that comes twice once, also after it was opened again', async () => {
    const at = await partitionAt('twice')
    const append = appendOf({ baseSequence: 0, values: ['a', 'b'] })
    expect(await at.partition.append(append)).toBe(1)
    expect(await at.partition.append(appendOf({ baseSequence: 0, values: ['a', 'b'] }))).toBe(1)
    expect(await at.partition.append(appendOf({ baseSequence: 2, values: ['c'] }))).toBe(2)
    const [one, two] = await Promise.all([
      at.partition.append(appendOf({ baseSequence: 3, values: ['d'] })),
      at.partition.append(appendOf({ baseSequence: 3, values: ['d'] })),
    ])
    expect([one, two]).toEqual([3, 3])
    await at.close()
    const again = await partitionAt('twice')
    expect(await again.partition.append(appendOf({ baseSequence: 2, values: ['c'] }))).toBe(2)
    expect(await again.partition.append(appendOf({ baseSequence: 4, values: ['e'] }))).toBe(4)
    expect(again.partition.endFor('read_committed')).toBe(5)
    await again.close()
  })

  it('refuses an append after a gap, and one of an older epoch; a newer epoch begins at 0', async () => {
    const { partition, close } = await partitionAt('gap')
    await partition.append(appendOf({ baseSequence: 0, values: ['a'], producerEpoch: 1 }))
    const gap = partition.append(appendOf({ baseSequence: 2, values: ['c'], producerEpoch: 1 }))
    await expect(gap).rejects.toMatchObject({ code: 'MILLRACE_OUT_OF_ORDER', kind: 'abortable' })
    const old = partition.append(appendOf({ baseSequence: 1, values: ['b'], producerEpoch: 0 }))
    await expect(old).rejects.toMatchObject({ code: 'MILLRACE_PRODUCER_FENCED', kind: 'fenced' })
    const late = partition.append(appendOf({ baseSequence: 1, values: ['b'], producerEpoch: 2 }))
    await expect(late).rejects.toMatchObject({ code: 'MILLRACE_OUT_OF_ORDER' })
    await partition.append(appendOf({ baseSequence: 0, values: ['b'], producerEpoch: 2 }))
    expect(partition.endFor('read_committed')).toBe(2)
    await close()
  })

  it('forgets producers that were silent for long', async () => {
    const first = await partitionAt('silent')
    await first.partition.append(appendOf({ baseSequence: 0, values: ['a'] }))
    await first.close()
    const later = await partitionAt('silent', Date.now() + 1_000_000)
    const next = later.partition.append(appendOf({ baseSequence: 1, values: ['b'] }))
    await expect(next).rejects.toMatchObject({ code: 'MILLRACE_OUT_OF_ORDER' })
    await later.close()
  })
})

describe('aborted ranges', () => {
  it('hold for their producer alone, from their first to their last offset', () => {
    const ranges = new AbortedRanges()
    ranges.add(1, 5, 8)
    ranges.add(1, 20, 20)
    ranges.add(2, 6, 30)
    const aborted = (producer: number) =>
      Array.from({ length: 32 }, (_, offset) => offset).filter((offset) =>
        ranges.has(producer, offset),
      )
    expect(aborted(1)).toEqual([5, 6, 7, 8, 20])
    expect(aborted(2)).toEqual(Array.from({ length: 25 }, (_, index) => index + 6))
    expect(aborted(3)).toEqual([])
  })
})

describe('the buffer pool', () => {
  it('gives a buffer again only for about its size, and keeps no more than its limit', () => {
    const pool = new BufferPool(2_000_000)
    const large = pool.take(1_000_000)
    pool.give(large)
    expect(pool.take(10_000)).not.toBe(large)
    expect(pool.take(990_000)).toBe(large)
    const other = pool.take(1_500_000)
    pool.give(large)
    pool.give(other)
    expect(pool.take(1_500_000)).not.toBe(other)
    expect(pool.take(1_000_000)).toBe(large)
  })
})

describe('a producer of an embedded log', () => {
  it('writes without a flush: by time, and when enough is queued', async () => {
    await using log = await openEmbeddedLog({
      folder: join(root, 'lingers'),
      clock: systemClock(),
      writeAheadBytes: 10_000,
    })
    const at = { topic: asTopic('t'), partition: asPartition(0) }
    await log.admin.createTopics([{ topic: at.topic, partitions: 1 }])
    await using producer = log.openProducer({})
    await producer.init()
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000 })
    const cursor = reader.open({ ...at, offset: asOffset(0) })
    const record = { ...at, key: null, timestamp: 1, headers: NO_HEADERS }
    for (const bytes of [10, 20_000]) {
      producer.send({ ...record, value: Buffer.alloc(bytes) })
      expect(producer.bufferedBytes).toBeGreaterThan(bytes)
      const end = cursor.position + 1
      while (cursor.position < end) if (cursor.take() === undefined) await reader.ready()
      expect(producer.bufferedBytes).toBe(0)
    }
  })

  it('takes records while a transaction ends, and puts them in the next one', async () => {
    await using log = await openEmbeddedLog({
      folder: join(root, 'between'),
      clock: systemClock(),
      writeAheadBytes: 1,
    })
    const at = { topic: asTopic('t'), partition: asPartition(0) }
    await log.admin.createTopics([{ topic: at.topic, partitions: 1 }])
    await using producer = log.openProducer({ transactionalId: 'between' })
    await producer.init()
    const record = { ...at, key: null, timestamp: 1, headers: NO_HEADERS }
    const values: string[] = []
    for (let round = 0; round < 40; round += 1) {
      producer.send({ ...record, value: Buffer.from(`${round}`) })
      if (round % 2 === 0) await producer.flush()
      const ending = round % 4 === 3 ? producer.abort() : producer.commit()
      let ended = false
      const end = ending.then(() => (ended = true))
      for (let turn = 0; !ended; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve))
        if (turn === round % 3) producer.send({ ...record, value: Buffer.from(`${round} between`) })
      }
      await end
    }
    await producer.commit()
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000 })
    const cursor = reader.open({ ...at, offset: asOffset(0) })
    const [last] = await log.admin.offsets([at], 'latest', 'read_committed')
    while (cursor.position < (last ?? 0)) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready()
      for (const { value } of batch?.records ?? []) values.push(value?.toString() ?? '')
    }
    expect(new Set(values).size).toBe(values.length)
    for (let round = 0; round < 40; round += 1) {
      expect(values.includes(`${round}`), `record ${round}`).toBe(round % 4 !== 3)
    }
  })

  it('refuses what passes its bound, and goes on after the flush that says so', async () => {
    await using log = await openEmbeddedLog({
      folder: join(root, 'bounded'),
      clock: systemClock(),
      producerBytes: 50_000,
    })
    const at = { topic: asTopic('t'), partition: asPartition(0) }
    await log.admin.createTopics([{ topic: at.topic, partitions: 1 }])
    await using producer = log.openProducer({})
    await producer.init()
    const record = {
      ...at,
      key: null,
      value: Buffer.alloc(20_000),
      timestamp: 1,
      headers: NO_HEADERS,
    }
    for (let count = 0; count < 4; count += 1) producer.send(record)
    expect(producer.bufferedBytes).toBeLessThanOrEqual(50_000)
    await expect(producer.flush()).rejects.toMatchObject({ code: 'MILLRACE_PRODUCER_FULL' })
    expect(await producer.flush()).toMatchObject([{ offset: 1 }])
  })
})

function fail(): never {
  throw new Error('cannot be written')
}

async function opened(path: string): Promise<LogIndex> {
  const index = await LogIndex.open(path, 50)
  if (index === undefined) throw new Error(`${path} is held`)
  return index
}

/** A partition of its own, outside any log; `now` moves the moment before which sequences are forgotten. */
async function partitionAt(
  name: string,
  keepSequencesSince = 0,
): Promise<{ readonly partition: PartitionLog; readonly close: () => Promise<void> }> {
  const index = await opened(join(root, name, 'index'))
  const files = new FilePool(4)
  const at = { topic: asTopic(name), partition: asPartition(0), topicId: 'id', config: {} }
  const partition = await openPartition(
    { ...at, folder: join(root, name, '0'), keepSequencesSince },
    {
      clock: systemClock(),
      index,
      files,
      buffers: new BufferPool(0),
      durability: 'process',
      segmentBytes: 100_000,
      leaderEpoch: 1,
    },
  )
  const close = async (): Promise<void> => {
    await index.close()
    await files.close()
  }
  return { partition, close }
}

function appendOf(of: {
  readonly baseSequence: number
  readonly values: readonly string[]
  readonly producerEpoch?: number
}): Append {
  const builder = new RecordBatchBuilder()
  for (const value of of.values) {
    builder.append({ key: null, value: Buffer.from(value), timestamp: 1, headers: NO_HEADERS })
  }
  const { baseSequence, producerEpoch = 0 } = of
  const stamp = { producerId: 7, producerEpoch, baseSequence, transactional: false }
  const parts = builder.seal({ ...stamp, baseOffset: 0, leaderEpoch: 0 })
  const { sizeBytes, recordCount } = builder
  return { ...stamp, batches: [{ parts, sizeBytes, recordCount }] }
}
