import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS, type LogRecord } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { AbortedRanges } from '../../transport/embedded/aborted-ranges.ts'
import { BufferPool } from '../../transport/buffer-pool.ts'
import { FilePool } from '../../transport/embedded/file-pool.ts'
import { KeyOffsets } from '../../transport/embedded/key-offsets.ts'
import { LogIndex } from '../../transport/embedded/log-index.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { openPartition } from '../../transport/embedded/open-partition.ts'
import type { PartitionLog } from '../../transport/embedded/partition-log.ts'
import type { Append } from '../../transport/embedded/partition-writer.ts'
import { filterBatch } from '../../transport/embedded/record-filter.ts'
import { decodeRecords, readBatchHeader, verifyBatch } from '../../transport/record-batch.ts'
import type { TopicConfig } from '../../transport/transport.ts'
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
    const later = await partitionAt('silent', { keepSequencesSince: Date.now() + 1_000_000 })
    const next = later.partition.append(appendOf({ baseSequence: 1, values: ['b'] }))
    await expect(next).rejects.toMatchObject({ code: 'MILLRACE_OUT_OF_ORDER' })
    await later.close()
  })
})

describe('a round of compaction', () => {
  const config = {
    'cleanup.policy': 'compact',
    'segment.bytes': '200',
    'min.cleanable.dirty.ratio': '0',
  }

  it('that lost a segment to a deletion is not noted, and is done again', async () => {
    const { partition, close } = await partitionAt('interrupted', { config })
    for (let sequence = 0; sequence < 24; sequence += 1) {
      const value = `${sequence}`
      await partition.append(appendOf({ baseSequence: sequence, values: [value], key: 'k' }))
    }
    const steps = partition.cleaning.compact(1_000_000)
    // The keys are known and nothing is rewritten yet.
    for (let step = 0; step < 12; step += 1) expect((await steps.next()).done).toBe(false)
    await partition.cleaning.deleteBefore(20)
    while ((await steps.next()).done !== true);
    expect(partition.cleaning.dirtyRatio(Date.now())).toBe(1)
    for await (const bytes of partition.cleaning.compact(1_000_000))
      expect(bytes).toBeGreaterThan(0)
    expect(partition.cleaning.dirtyRatio(Date.now())).toBeUndefined()
    await close()
  })
})

describe('a read under way while compaction replaces its segment', () => {
  for (const moment of ['before its file is opened', 'after its bytes were read'] as const) {
    it(`${moment}, answers what is there now, and nothing that was aborted`, async () => {
      const files = new GatedFiles()
      const { partition, index, close } = await partitionAt(`gated-${files.name(moment)}`, {
        config: { 'cleanup.policy': 'compact' },
        files,
      })
      const aborted = { producerId: 8, transactional: true, key: 'a' }
      await partition.append(appendOf({ baseSequence: 0, values: ['aborted'], ...aborted }))
      await index.write(partition.endingRows(8, 'abort'), { sync: false })
      partition.endTransaction(8, 'abort')
      for (const [sequence, value] of ['1', '2', '3'].entries()) {
        await partition.append(appendOf({ baseSequence: sequence, values: [value], key: 'k' }))
      }
      const gate = files.hold(moment)
      const reading = partition.read(0, { isolation: 'read_committed', maxBytes: 1_000_000 })
      await gate.reached
      for await (const bytes of partition.cleaning.compactAll(1_000_000)) {
        expect(bytes).toBeGreaterThan(0)
      }
      gate.open()
      const read = await reading
      expect(read?.records.map(({ value }) => String(value))).toEqual(['3'])
      expect(read?.nextOffset).toBe(4)
      await close()
    })
  }
})

/** Files of which one use can be held up. */
class GatedFiles extends FilePool {
  #closed:
    | { readonly moment: string; readonly reach: () => void; readonly opened: Promise<void> }
    | undefined

  constructor() {
    super(4)
  }

  name(moment: string): string {
    return moment.split(' ')[0] ?? ''
  }

  /** Holds up the next use. */
  hold(moment: string) {
    const reached = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    this.#closed = { moment, reach: reached.resolve, opened: opened.promise }
    return { reached: reached.promise, open: opened.resolve }
  }

  override async use<T>(...of: Parameters<FilePool['use']>): Promise<T> {
    const gate = this.#closed
    this.#closed = undefined
    if (gate?.moment.startsWith('before') === true) {
      gate.reach()
      await gate.opened
    }
    const used = (await super.use(...of)) as T
    if (gate?.moment.startsWith('after') === true) {
      gate.reach()
      await gate.opened
    }
    return used
  }
}

describe('a table of keys', () => {
  it('knows the last offset of each key, whatever its length, and says when it is full', () => {
    for (const seed of [1, 2, 3]) {
      const table = new KeyOffsets(20_000, seed)
      const known = new Map<string, number>()
      let isFull = false
      for (let offset = 0; offset < 2_000; offset += 1) {
        const length = offset % 7 === 0 ? 0 : (offset * 31) % 150
        const text = `${offset % 400}`.padEnd(length, 'k').slice(0, length)
        const key = Buffer.from(`--${text}--`)
        if (table.set(key, 2, key.length - 2, offset)) {
          known.set(text, offset)
        } else {
          expect(known.has(text)).toBe(false)
          isFull = true
        }
        for (const [each, last] of offset % 100 === 0 ? known : []) {
          const bytes = Buffer.from(each)
          expect(table.get(bytes, 0, bytes.length)).toBe(last)
        }
      }
      expect(isFull).toBe(true)
      expect(table.size).toBe(known.size)
      expect(table.get(Buffer.from('unknown'), 0, 7)).toBe(-1)
    }
  })
})

describe('a batch without some of its records', () => {
  it('has the others at their offsets, the offset it ended with and a right CRC', () => {
    const builder = new RecordBatchBuilder()
    const headers = [{ key: 'h', value: Buffer.from('v') }]
    for (let index = 0; index < 6; index += 1) {
      const key = index === 3 ? null : Buffer.from(`k${index}`)
      const value = index === 4 ? null : Buffer.alloc(index === 1 ? 20_000 : 5, index)
      builder.append({ key, value, timestamp: 1_000 - index, headers })
    }
    const stamp = { producerId: 7, producerEpoch: 1, baseSequence: 3, transactional: true }
    const parts = builder.seal({ ...stamp, baseOffset: 100, leaderEpoch: 2 })
    const whole = Buffer.concat([Buffer.from('before'), ...parts])
    const header = readBatchHeader(whole, 6)
    const seen: unknown[] = []
    const filtered = filterBatch(whole, 6, {
      header,
      keep: ({ offset, keyStart, keyEnd, isTombstone }, buffer) => {
        seen.push([
          offset,
          keyStart < 0 ? null : buffer.toString('utf8', keyStart, keyEnd),
          isTombstone,
        ])
        return offset % 2 === 0 || offset === 101
      },
    })
    expect(seen).toEqual([
      [100, 'k0', false],
      [101, 'k1', false],
      [102, 'k2', false],
      [103, null, false],
      [104, 'k4', true],
      [105, 'k5', false],
    ])
    const batch = filtered ?? Buffer.alloc(0)
    const after = readBatchHeader(batch, 0)
    verifyBatch(batch, 0, after)
    expect(after).toEqual({ ...header, recordCount: 4, sizeBytes: batch.length })
    const records: LogRecord[] = []
    decodeRecords({ buffer: batch, at: 61, end: batch.length }, after, { into: records })
    expect(records.map(({ offset, timestamp }) => [offset, timestamp])).toEqual([
      [100, 1_000],
      [101, 999],
      [102, 998],
      [104, 996],
    ])
    expect(records[1]?.value?.equals(Buffer.alloc(20_000, 1))).toBe(true)
    expect(records[3]?.headers).toEqual(headers)
    const all = filterBatch(whole, 6, { header, keep: () => true })
    expect(all?.equals(whole.subarray(6))).toBe(true)
    expect(all?.buffer).toBe(whole.buffer)
    expect(filterBatch(whole, 6, { header, keep: () => false })).toBeUndefined()
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
    expect(ranges.before(20)).toEqual([[1, 5]])
    ranges.forgetBefore(21)
    expect(aborted(1)).toEqual([])
    expect(aborted(2)).toHaveLength(25)
    expect(ranges.before(31)).toEqual([[2, 6]])
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

/** A partition of its own, outside any log; sequences last used before `keepSequencesSince` are forgotten. */
async function partitionAt(
  name: string,
  of: {
    readonly keepSequencesSince?: number
    readonly config?: TopicConfig
    readonly files?: FilePool
  } = {},
): Promise<{
  readonly partition: PartitionLog
  readonly index: LogIndex
  readonly close: () => Promise<void>
}> {
  const { keepSequencesSince = 0, config = {}, files = new FilePool(4) } = of
  const index = await opened(join(root, name, 'index'))
  const at = { topic: asTopic(name), partition: asPartition(0), topicId: 'id', config }
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
  return { partition, index, close }
}

function appendOf(of: {
  readonly baseSequence: number
  readonly values: readonly string[]
  readonly producerEpoch?: number
  readonly key?: string
  readonly producerId?: number
  readonly transactional?: boolean
}): Append {
  const builder = new RecordBatchBuilder()
  for (const value of of.values) {
    const key = of.key === undefined ? null : Buffer.from(of.key)
    builder.append({ key, value: Buffer.from(value), timestamp: 1, headers: NO_HEADERS })
  }
  const { baseSequence, producerEpoch = 0, producerId = 7, transactional = false } = of
  const stamp = { producerId, producerEpoch, baseSequence, transactional }
  const parts = builder.seal({ ...stamp, baseOffset: 0, leaderEpoch: 0 })
  const { sizeBytes, recordCount } = builder
  return { ...stamp, batches: [{ parts, sizeBytes, recordCount }] }
}
