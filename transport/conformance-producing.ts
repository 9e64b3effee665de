/** Conformance: what is sent is what is kept. */
import assert from 'node:assert/strict'
import { asPartition } from '../model/position.ts'
import {
  assertRejects,
  at,
  atOffset,
  record,
  sendAll,
  sendNow,
  type ConformanceCase,
} from './conformance-world.ts'

const MIB = 1024 * 1024

const keepsEveryField: ConformanceCase = {
  title: 'a record comes back with its key, value, timestamp, headers and partition',
  async run(world) {
    const topic = await world.create('fields', 3)
    await using producer = await world.producer()
    const headers = [
      { key: 'twice', value: Buffer.from('1') },
      { key: 'twice', value: Buffer.from('2') },
      { key: 'none', value: null },
      { key: 'empty', value: Buffer.alloc(0) },
      { key: 'ключ', value: Buffer.from([0, 255, 128]) },
    ]
    producer.send(
      record(topic, 'värde', {
        partition: asPartition(2),
        key: Buffer.from([0, 1, 2, 255]),
        timestamp: 1_234_567_890_123,
        headers,
      }),
    )
    await producer.flush()
    const { batches } = await world.read(topic, {}, 2)
    const records = batches.flatMap((batch) => batch.records)
    assert.equal(records.length, 1)
    const [found] = records
    assert.ok(found !== undefined)
    assert.deepEqual(found.key, Buffer.from([0, 1, 2, 255]))
    assert.deepEqual(found.value, Buffer.from('värde'))
    assert.equal(found.timestamp, 1_234_567_890_123)
    assert.equal(found.offset, 0)
    assert.deepEqual(
      found.headers.map(({ key, value }) => ({ key, value })),
      headers,
    )
    assert.equal(await world.end(topic, 'read_uncommitted', 0), 0)
    assert.equal(await world.end(topic, 'read_uncommitted', 1), 0)
  },
}

const tellsNullFromEmpty: ConformanceCase = {
  title: 'null and empty keys and values are told apart',
  async run(world) {
    const topic = await world.create('nulls')
    await using producer = await world.producer()
    const empty = Buffer.alloc(0)
    producer.send(record(topic, null, { key: null }))
    producer.send(record(topic, empty, { key: empty }))
    producer.send(record(topic, null, { key: empty }))
    producer.send(record(topic, empty, { key: null }))
    await producer.flush()
    const { batches } = await world.read(topic)
    const records = batches.flatMap((batch) => batch.records)
    assert.deepEqual(
      records.map((one) => [one.key?.length ?? null, one.value?.length ?? null]),
      [
        [null, null],
        [0, 0],
        [0, null],
        [null, 0],
      ],
    )
  },
}

const keepsOrder: ConformanceCase = {
  title: 'the order of a partition is the order of send, over flushes and batches',
  async run(world) {
    const topic = await world.create('order', 2)
    await using producer = await world.producer()
    const sent: string[] = []
    for (let index = 0; index < 2_000; index += 1) {
      sent.push(`value ${index}`)
      sendAll(producer, at(topic, index % 2), [`value ${index}`])
      if (index % 511 === 0) await producer.flush()
    }
    await producer.flush()
    for (const partition of [0, 1]) {
      const { values, offsets } = await world.read(topic, { prefetchBytes: 4_096 }, partition)
      assert.deepEqual(
        values,
        sent.filter((_, index) => index % 2 === partition),
      )
      assert.deepEqual(
        offsets,
        values.map((_, index) => index),
      )
    }
  },
}

const flushTellsOffsets: ConformanceCase = {
  title: 'flush returns the last offset of each partition sent to since the flush before',
  async run(world) {
    const topic = await world.create('flushes', 3)
    await using producer = await world.producer()
    sendAll(producer, at(topic, 0), ['a', 'b', 'c'])
    sendAll(producer, at(topic, 2), ['d'])
    const first = await producer.flush()
    assert.deepEqual(
      first.toSorted((a, b) => a.partition - b.partition).map((one) => ({ ...one })),
      [atOffset(topic, 2, 0), atOffset(topic, 0, 2)],
    )
    assert.deepEqual(await producer.flush(), [])
    sendAll(producer, at(topic, 0), ['e'])
    const second = await producer.flush()
    assert.deepEqual(
      second.map((one) => ({ ...one })),
      [atOffset(topic, 3, 0)],
    )
  },
}

const sendsDuringFlush: ConformanceCase = {
  title:
    'records sent while a flush waits follow those before them, and are acknowledged by the next one',
  async run(world) {
    const topic = await world.create('during')
    await using producer = await world.producer()
    const sent: string[] = []
    for (let round = 0; round < 20; round += 1) {
      sendAll(producer, topic, [`${round} before`])
      const flushing = producer.flush()
      sendAll(producer, topic, [`${round} during`])
      await flushing
      sent.push(`${round} before`, `${round} during`)
    }
    const last = await producer.flush()
    assert.ok(last.every(({ offset }) => offset === 39))
    assert.deepEqual((await world.read(topic)).values, sent)
  },
}

const keepsTimestamps: ConformanceCase = {
  title: 'timestamps are kept as given, in any order',
  async run(world) {
    // Kafka takes times of the coming hour only, unless it is told otherwise.
    const topic = await world.create('timestamps', 1, {
      'message.timestamp.after.max.ms': String(2n ** 63n - 1n),
    })
    await using producer = await world.producer()
    const timestamps = [1_700_000_000_000, 0, 4_102_444_800_000, 1, 1_699_999_999_999]
    for (const timestamp of timestamps) producer.send(record(topic, 'x', { timestamp }))
    await producer.flush()
    const { batches } = await world.read(topic)
    assert.deepEqual(
      batches.flatMap((batch) => batch.records).map((one) => one.timestamp),
      timestamps,
    )
  },
}

const countsBufferedBytes: ConformanceCase = {
  title: 'bufferedBytes counts what is queued and falls to nothing once it is acknowledged',
  async run(world) {
    const topic = await world.create('buffered')
    await using producer = await world.producer()
    const counted = [producer.bufferedBytes]
    producer.send(record(topic, Buffer.alloc(100_000)))
    producer.send(record(topic, Buffer.alloc(100_000)))
    counted.push(producer.bufferedBytes)
    await producer.flush()
    counted.push(producer.bufferedBytes)
    const [before, queued = 0, after] = counted
    assert.ok(queued >= 200_000, `${queued}`)
    assert.deepEqual([before, after], [0, 0])
  },
}

const keepsBytesOfReusedBuffers: ConformanceCase = {
  title: 'a buffer may be used again after flush without changing the log',
  async run(world) {
    const topic = await world.create('reused')
    await using producer = await world.producer()
    const buffer = Buffer.from('first')
    producer.send(record(topic, buffer, { key: buffer }))
    await producer.flush()
    buffer.write('OTHER')
    const { batches } = await world.read(topic)
    const texts = batches
      .flatMap((batch) => batch.records)
      .map((one) => [one.key?.toString(), one.value?.toString()])
    assert.deepEqual(texts, [['first', 'first']])
  },
}

const showsPlainSendsAtOnce: ConformanceCase = {
  title: 'a producer without a transactional id shows its records at once',
  async run(world) {
    const topic = await world.create('plain')
    await using reader = world.reader('read_committed')
    const cursor = reader.open(atOffset(topic, 0))
    await using producer = await world.producer()
    await sendNow(producer, topic, 'a', 'b')
    assert.equal(await world.end(topic, 'read_committed'), 2)
    const { values } = await world.drain(reader, cursor, 2)
    assert.deepEqual(values, ['a', 'b'])
  },
}

const surfacesErrorsAtFlush: ConformanceCase = {
  title:
    'what goes wrong with a send is thrown by flush, holds back the commit, and ends with abort',
  async run(world) {
    const topic = await world.create('known')
    await using producer = await world.producer('errs')
    producer.send(record(topic, 'lost with the others'))
    producer.send(record(world.topic('unknown'), 'nowhere'))
    producer.send(record(topic, 'lost too', { partition: asPartition(7) }))
    const expected = { code: 'MILLRACE_UNKNOWN_PARTITION', kind: 'abortable' } as const
    await assertRejects(producer.flush(), expected)
    await assertRejects(producer.commit(), { kind: 'abortable' })
    await producer.abort()
    await sendNow(producer, topic, 'kept')
    await producer.commit()
    assert.deepEqual((await world.read(topic)).values, ['kept'])
  },
}

const refusesTooLargeRecords: ConformanceCase = {
  title:
    'a record over max.message.bytes names topic, size, limit and remedy; abort makes the producer usable',
  async run(world) {
    const topic = await world.create('limited', 1, { 'max.message.bytes': '100000' })
    await using producer = await world.producer('large')
    producer.send(record(topic, 'dropped with the transaction'))
    producer.send(record(topic, Buffer.alloc(200_000)))
    await assertRejects(producer.flush(), {
      code: 'MILLRACE_RECORD_TOO_LARGE',
      kind: 'abortable',
      says: [topic, /\b200\d{3}\b/, '100000', 'max.message.bytes'],
    })
    await producer.abort()
    producer.send(record(topic, Buffer.alloc(90_000, 1)))
    await producer.commit()
    const { batches } = await world.read(topic)
    const records = batches.flatMap((batch) => batch.records)
    assert.deepEqual(
      records.map((one) => one.value?.length),
      [90_000],
    )
  },
}

const recoversByInit: ConformanceCase = {
  title:
    'a producer without a transactional id goes on after a refused record once init came again',
  async run(world) {
    const topic = await world.create('limited-plain', 1, { 'max.message.bytes': '100000' })
    await using producer = await world.producer()
    producer.send(record(topic, Buffer.alloc(200_000)))
    await assertRejects(producer.flush(), { code: 'MILLRACE_RECORD_TOO_LARGE' })
    await producer.init()
    await sendNow(producer, topic, 'after')
    assert.deepEqual((await world.read(topic)).values, ['after'])
  },
}

function keepsLargeValue(sizeBytes: number): ConformanceCase {
  return {
    title: `a value of ${sizeBytes / MIB} MiB comes back whole, in a transaction and beside others`,
    isAlone: true,
    async run(world) {
      const topic = await world.create('large', 1, { 'max.message.bytes': `${sizeBytes + MIB}` })
      await using producer = await world.producer('large-values')
      const value = patterned(sizeBytes)
      producer.send(record(topic, 'before'))
      producer.send(record(topic, value, { key: Buffer.from('big') }))
      producer.send(record(topic, 'after'))
      await producer.flush()
      await producer.commit()
      const { batches } = await world.read(topic, { prefetchBytes: MIB })
      const records = batches.flatMap((batch) => batch.records)
      assert.deepEqual(
        records.map((one) => one.value?.length),
        [6, sizeBytes, 5],
      )
      assert.ok(records[1]?.value?.equals(patterned(sizeBytes)) === true, 'the bytes differ')
      await using reader = world.reader()
      const found = await reader.readAt(atOffset(topic, 1))
      assert.ok(found?.record.value?.equals(value) === true, 'the bytes read by offset differ')
    },
  }
}

/** Bytes that differ from place to place with no short period. */
function patterned(sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes)
  for (let index = 0; index < sizeBytes; index += 1)
    bytes[index] = (index * 31 + (index >>> 11)) & 255
  return bytes
}

const sendsToSeveralTopics: ConformanceCase = {
  title: 'records of several topics and partitions go out through one producer',
  async run(world) {
    const left = await world.create('left', 2)
    const right = await world.create('right', 2)
    await using producer = await world.producer()
    for (const topic of [left, right]) {
      for (const partition of [0, 1])
        sendAll(producer, at(topic, partition), [`${topic}/${partition}`])
    }
    await producer.flush()
    for (const topic of [left, right]) {
      for (const { partition } of [at(topic, 0), at(topic, 1)]) {
        assert.deepEqual((await world.read(topic, {}, partition)).values, [`${topic}/${partition}`])
      }
    }
  },
}

const discardsWhatIsQueued: ConformanceCase = {
  title:
    'a producer that discards sends nothing more, not even when it is closed, and says so to a flush',
  async run(world) {
    const topic = await world.create('discarded')
    for (const transactionalId of [undefined, 'discarding']) {
      const producer = await world.producer(transactionalId)
      sendAll(producer, topic, ['queued'])
      producer.discard()
      sendAll(producer, topic, ['late'])
      await assertRejects(producer.flush(), { code: 'MILLRACE_LOG_CLOSED' })
      await producer[Symbol.asyncDispose]()
    }
    await using other = await world.producer()
    await sendNow(other, topic, 'other')
    assert.deepEqual((await world.read(topic)).values, ['other'])
    await using flushing = await world.producer()
    sendAll(flushing, topic, ['on its way'])
    const flush = flushing.flush()
    flushing.discard()
    await assertRejects(flush, { code: 'MILLRACE_LOG_CLOSED' })
  },
}

/** What is sent is what is kept. */
export const PRODUCING_CASES: readonly ConformanceCase[] = [
  keepsEveryField,
  tellsNullFromEmpty,
  keepsOrder,
  flushTellsOffsets,
  sendsDuringFlush,
  keepsTimestamps,
  countsBufferedBytes,
  keepsBytesOfReusedBuffers,
  showsPlainSendsAtOnce,
  surfacesErrorsAtFlush,
  refusesTooLargeRecords,
  recoversByInit,
  keepsLargeValue(10 * MIB),
  keepsLargeValue(32 * MIB),
  sendsToSeveralTopics,
  discardsWhatIsQueued,
]
