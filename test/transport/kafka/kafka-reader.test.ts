import { describe, expect, test } from 'vitest'
import { asTopic } from '../../../model/position.ts'
import { AT } from '../../../transport/record-batch.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import { FETCH_LIMITS } from '../../../transport/kafka/reader/fetch-limits.ts'
import { at, ReaderWorld, valuesOf } from './reader-world.ts'

const { maxWaitMs, unknownTopicMs, retryMaxMs } = FETCH_LIMITS

describe('a cursor on Kafka', () => {
  test('goes on where the leader moved, whichever way a broker says so', async () => {
    for (const code of [
      CODE.notLeaderOrFollower,
      CODE.fencedLeaderEpoch,
      CODE.unknownLeaderEpoch,
      CODE.storageError,
      CODE.offsetNotAvailable,
    ]) {
      const world = new ReaderWorld()
      const log = world.log()
      await using reader = world.reader()
      const cursor = reader.open(at(0))
      log.write(['a', 'b'])
      expect(await world.drain(cursor)).toEqual(['0:a', '1:b'])
      log.elect(2)
      log.errors.push(code)
      log.write(['c'])
      await world.settle()
      await world.clock.advance(maxWaitMs + retryMaxMs)
      expect(await world.drain(cursor)).toEqual(['2:c'])
      expect(world.brokers.fetches.at(-1)?.node).toBe(2)
    }
  })

  test('stops where an unclean election cut off what it had read, and says where', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    for (const value of ['a', 'b', 'c', 'd']) log.write([value])
    await world.drain(cursor)
    log.truncate(2, 2)
    log.write(['x', 'y', 'z'])
    await world.settle()
    await world.clock.advance(maxWaitMs + retryMaxMs)
    const error = await world.failure(cursor)
    expect(error).toMatchObject({ code: 'MILLRACE_LOG_TRUNCATED', place: 't[0]@4' })
    expect(String(error)).toContain('ends at 2')
    expect(() => cursor.take()).toThrow('t[0]@4')
  })

  test('stops where it is opened behind what an unclean election cut off, and is told the epoch', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    for (const value of ['a', 'b', 'c', 'd']) log.write([value])
    log.truncate(2, 2)
    log.write(['x', 'y', 'z'])
    await using reader = world.reader()
    const kept = reader.open({ ...at(2), leaderEpoch: 0 })
    expect(await world.drain(kept)).toEqual(['2:x', '3:y', '4:z'])
    kept.close()
    const cut = reader.open({ ...at(3), leaderEpoch: 0 })
    await world.settle()
    expect(await world.failure(cut)).toMatchObject({
      code: 'MILLRACE_LOG_TRUNCATED',
      place: 't[0]@3',
    })
  })

  test('stops where the log does not know the epoch that it read, though the offset is inside', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    log.elect(1)
    log.write(['a', 'b', 'c'])
    await world.drain(cursor)
    log.truncate(0, 1)
    log.write(['x', 'y', 'z', 'w'])
    log.errors.push(CODE.offsetOutOfRange)
    await world.settle()
    await world.clock.advance(maxWaitMs + retryMaxMs)
    expect(await world.failure(cursor)).toMatchObject({ code: 'MILLRACE_LOG_TRUNCATED' })
  })

  test('stops out of range, on both sides, with the range in its message', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a', 'b', 'c', 'd'])
    log.purge(2)
    await using reader = world.reader()
    for (const offset of [0, 9]) {
      const cursor = reader.open(at(offset))
      const error = await world.failure(cursor)
      expect(error).toMatchObject({ code: 'MILLRACE_OFFSET_OUT_OF_RANGE' })
      expect(String(error)).toContain('from 2 to 4')
      cursor.close()
    }
  })

  test('goes on where an offset was out of range for a moment only', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    log.errors.push(CODE.offsetOutOfRange)
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    await world.settle()
    await world.clock.advance(retryMaxMs)
    expect(await world.drain(cursor)).toEqual(['0:a'])
  })

  test('waits for a topic that is not known yet, and fails when it stays so', async () => {
    const world = new ReaderWorld()
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    const other = reader.open({ ...at(0), topic: asTopic('never') })
    await world.settle()
    expect(cursor.take()).toBeUndefined()
    world.log().write(['a'])
    await world.clock.advance(retryMaxMs)
    expect(await world.drain(cursor)).toEqual(['0:a'])
    await world.clock.advance(unknownTopicMs + retryMaxMs)
    expect(() => other.take()).toThrow('never[0] does not exist')
  })

  test('does not go on in a topic that was created again under the same name', async () => {
    const world = new ReaderWorld()
    const old = world.log()
    old.write(['old'])
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    await world.drain(cursor)
    expect(cursor.topicId).toBe('id')
    world.brokers.logs.length = 0
    world.log(0, { topicId: 'other' }).write(['new', 'newer'])
    await world.settle()
    await world.clock.advance(maxWaitMs + retryMaxMs)
    expect(await world.failure(cursor)).toMatchObject({ code: 'MILLRACE_UNKNOWN_PARTITION' })
    expect(await world.drain(reader.open({ ...at(0, 0), topic: asTopic('u') }))).toEqual([])
  })

  test('stops where it may not read, and what it had is still handed out', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    await world.settle()
    log.errors.push(CODE.topicAuthorizationFailed)
    await world.settle()
    await world.clock.advance(maxWaitMs)
    expect(valuesOf(cursor.take())).toEqual(['0:a'])
    expect(await world.failure(cursor)).toMatchObject({ code: 'MILLRACE_KAFKA_NOT_AUTHORIZED' })
  })
})

describe('what a cursor on Kafka reads', () => {
  test('begins in the middle of a batch, and passes a batch that compaction left empty', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a', 'b', 'c'])
    log.write(['d', 'e'])
    log.empty(4)
    await using reader = world.reader()
    const cursor = reader.open(at(1))
    expect(await world.drain(cursor)).toEqual(['1:b', '2:c'])
    expect(cursor.position).toBe(5)
    log.write(['f'])
    expect(await world.drain(cursor)).toEqual(['5:f'])
  })

  test('is whole where an answer ends within a batch, and where a batch is over every limit', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    const values = Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(700, '.'))
    for (const value of values) log.write([value])
    const limits = { partitionMaxBytes: 1_000, responseMaxBytes: 1_000 }
    await using reader = world.reader({ limits })
    const read = await world.drain(reader.open(at(0)))
    expect(read).toEqual(values.map((value, index) => `${index}:${value}`))
    log.write(['large'.padEnd(5_000, '!')])
    const small = world.reader({ limits: { partitionMaxBytes: 10, responseMaxBytes: 10 } })
    expect((await world.drain(small.open(at(20))))[0]).toHaveLength(5_003)
    await small[Symbol.asyncDispose]()
  })

  test('leaves out aborted records, also where the markers come in another answer', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a1'], { producerId: 1 })
    log.write(['b1'], { producerId: 2 })
    log.write(['plain'])
    log.write(['a2'], { producerId: 1 })
    log.endTransaction(2, 'commit')
    log.write(['b2'], { producerId: 2 })
    log.endTransaction(1, 'abort')
    log.write(['a3'], { producerId: 1 })
    log.endTransaction(2, 'abort')
    log.endTransaction(1, 'commit')
    for (let offset = 0; offset <= log.end; offset += 1) {
      // One batch an answer: no marker comes along with its records.
      await using reader = world.reader({ prefetchBytes: 0 })
      const cursor = reader.open(at(offset))
      const expected = log.committed.filter((one) => Number(one.split(':')[0]) >= offset)
      expect(await world.drain(cursor)).toEqual(expected)
      expect(cursor.position).toBe(log.end)
    }
    await using all = world.reader({ isolation: 'read_uncommitted' })
    expect(await world.drain(all.open(at(0)))).toEqual(log.all)
  })

  test('stops before an open transaction, and tells when the last stable offset moves', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['before'])
    log.write(['open'], { producerId: 1 })
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    expect(await world.drain(cursor)).toEqual(['0:before'])
    expect(cursor.lastStableOffset).toBe(1)
    await reader.ready()
    let isWoken = false
    const waiting = reader.ready().then(() => (isWoken = true))
    await world.settle()
    expect(isWoken).toBe(false)
    log.endTransaction(1, 'commit')
    expect(await world.drain(cursor)).toEqual(['1:open'])
    await waiting
    expect(cursor.lastStableOffset).toBe(3)
  })

  test('is decompressed, whatever codec it was written with', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    for (const compression of ['gzip', 'snappy', 'lz4', 'zstd', 'none'] as const) {
      log.write([compression, 'x'.repeat(100)], { compression })
    }
    await using reader = world.reader()
    const cursor = reader.open(at(0))
    expect(await world.drain(cursor)).toEqual(log.committed)
    log.write(['y'.repeat(2_000)], { compression: 'zstd' })
    await using careful = world.reader({ limits: { decompressedMaxBytes: 1_000 } })
    const error = await world.failure(careful.open(at(10)))
    expect(error).toMatchObject({ code: 'MILLRACE_RECORD_CORRUPT' })
  })

  test('ends where an offset cannot be one', async () => {
    const world = new ReaderWorld()
    const [strange, other] = [world.log(0), world.log(1)]
    for (const log of [strange, other]) log.write(['a'])
    strange.damage(0, (bytes) => bytes.writeBigInt64BE(2n ** 60n, 0))
    await using reader = world.reader()
    const cursors = [reader.open(at(0, 0)), reader.open(at(0, 1))] as const
    expect(await world.failure(cursors[0])).toMatchObject({ code: 'MILLRACE_RECORD_CORRUPT' })
    expect(await world.drain(cursors[1])).toEqual(['0:a'])
  })

  test('ends before a batch whose checksum is wrong, and before one of an old format', async () => {
    const world = new ReaderWorld()
    const [damaged, old] = [world.log(0), world.log(1)]
    for (const log of [damaged, old]) for (const value of ['a', 'b', 'c']) log.write([value])
    damaged.damage(1, (bytes) => bytes.writeUInt8(bytes.readUInt8(67) ^ 1, 67))
    old.damage(1, (bytes) => bytes.writeUInt8(1, AT.magic))
    await using reader = world.reader()
    const cursors = [reader.open(at(0, 0)), reader.open(at(0, 1))] as const
    await world.settle()
    for (const cursor of cursors) expect(valuesOf(cursor.take())).toEqual(['0:a'])
    const errors = cursors.map((cursor) => {
      try {
        return cursor.take()
      } catch (error) {
        return error
      }
    })
    expect(errors[0]).toMatchObject({ code: 'MILLRACE_RECORD_CORRUPT' })
    expect(errors[1]).toMatchObject({ code: 'MILLRACE_RECORD_FORMAT_TOO_OLD', place: 't[1]@1' })
    for (const cursor of cursors) expect(() => cursor.take()).toThrow('t[')
    expect(reader.bufferedBytes).toBe(0)
  })
})
