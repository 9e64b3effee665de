/** Conformance: what a cursor gives, where it stops, and reads beside the cursors. */
import assert from 'node:assert/strict'
import {
  assertError,
  assertRejects,
  atOffset,
  record,
  sendAll,
  sendNow,
  type ConformanceCase,
} from './conformance-world.ts'

const OUT_OF_RANGE = 'MILLRACE_OFFSET_OUT_OF_RANGE'

const batchesFollowEachOther: ConformanceCase = {
  title:
    "a batch's nextOffset is where the next one begins, and the cursor's position once it is taken",
  async run(world) {
    const topic = await world.create('next')
    await using producer = await world.producer('next')
    for (let index = 0; index < 20; index += 1) {
      await sendNow(producer, topic, `a${index}`, `b${index}`)
      if (index % 4 === 3) await producer.abort()
      else await producer.commit()
    }
    const end = await world.end(topic)
    await using reader = world.reader('read_committed', 1)
    const cursor = reader.open(atOffset(topic, 0))
    assert.equal(cursor.position, 0)
    const described = await world.log.admin.describeTopics([topic])
    assert.equal(cursor.topicId, described[0]?.topicId)
    let next = 0
    while (cursor.position < end) {
      const batch = await world.nextBatch(reader, cursor)
      assert.equal(batch.topic, topic)
      assert.equal(batch.partition, 0)
      for (const { offset } of batch.records) {
        assert.ok(offset >= next && offset < batch.nextOffset)
        next = offset + 1
      }
      assert.ok(batch.nextOffset > next - 1)
      next = batch.nextOffset
      assert.equal(cursor.position, next)
      assert.ok(batch.leaderEpoch >= 0)
    }
    assert.equal(next, end)
  },
}

const startsAnywhere: ConformanceCase = {
  title: 'a cursor begins at its offset, also in the middle of a batch and at the end',
  async run(world) {
    const topic = await world.create('middle')
    await using producer = await world.producer()
    await sendNow(producer, topic, '0', '1', '2', '3', '4')
    for (let from = 0; from <= 5; from += 1) {
      assert.deepEqual(
        (await world.read(topic, { from })).values,
        ['0', '1', '2', '3', '4'].slice(from),
      )
    }
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 5))
    await sendNow(producer, topic, '5')
    assert.deepEqual((await world.drain(reader, cursor, 6)).values, ['5'])
  },
}

const refusesBeyondEnd: ConformanceCase = {
  title: 'an offset beyond the end is out of range, and the message names the range',
  async run(world) {
    const topic = await world.create('beyond')
    await using producer = await world.producer()
    await sendNow(producer, topic, 'a', 'b', 'c')
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 17))
    const says = ['17', topic, /\b0\b/, /\b3\b/]
    assertError(await world.failure(reader, cursor), { code: OUT_OF_RANGE, says })
    assert.throws(() => cursor.take(), { code: OUT_OF_RANGE })
    assert.equal(cursor.position, 17)
    cursor.close()
    const again = reader.open(atOffset(topic, 3))
    await sendNow(producer, topic, 'd')
    assert.deepEqual((await world.drain(reader, again, 4)).values, ['d'])
  },
}

const noticesTruncation: ConformanceCase = {
  title:
    'a cursor whose records an election cut off fails instead of reading what took their place',
  needs: ['truncate'],
  async run(world) {
    const topic = await world.create('cut')
    await using producer = await world.producer()
    for (const value of ['a', 'b', 'c', 'd']) await sendNow(producer, topic, value)
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    await world.drain(reader, cursor, 4)
    await world.harness.truncate?.(world.log, atOffset(topic, 2))
    await using other = await world.producer()
    await sendNow(other, topic, 'x', 'y', 'z')
    assertError(await world.failure(reader, cursor), { code: 'MILLRACE_LOG_TRUNCATED' })
    const now = await world.read(topic)
    assert.deepEqual(now.values, ['a', 'b', 'x', 'y', 'z'])
    const epochs = now.batches.map((batch) => batch.leaderEpoch)
    assert.ok((epochs.at(-1) ?? 0) > 0, 'the epoch did not grow')
  },
}

const goesOnBehindAnEpoch: ConformanceCase = {
  title: 'a cursor that is opened with the leader epoch of the record before it reads on',
  async run(world) {
    const topic = await world.create('epoch')
    await using producer = await world.producer()
    await sendNow(producer, topic, 'a', 'b')
    const leaderEpoch = (await world.read(topic)).batches.at(-1)?.leaderEpoch
    await sendNow(producer, topic, 'c')
    await using reader = world.reader()
    const cursor = reader.open({ ...atOffset(topic, 2), leaderEpoch })
    assert.deepEqual((await world.drain(reader, cursor, 3)).values, ['c'])
  },
}

const noticesTruncationBefore: ConformanceCase = {
  title:
    'a cursor that is opened behind records which an election cut off fails where it is told their epoch',
  needs: ['truncate'],
  async run(world) {
    const topic = await world.create('cut-before')
    await using producer = await world.producer()
    for (const value of ['a', 'b', 'c', 'd']) await sendNow(producer, topic, value)
    const [first] = (await world.read(topic)).batches
    const leaderEpoch = first?.leaderEpoch
    await world.harness.truncate?.(world.log, atOffset(topic, 2))
    await using other = await world.producer()
    await sendNow(other, topic, 'x', 'y', 'z')
    await using reader = world.reader()
    const before = reader.open({ ...atOffset(topic, 2), leaderEpoch })
    assert.deepEqual((await world.drain(reader, before, 5)).values, ['x', 'y', 'z'])
    before.close()
    const behind = reader.open({ ...atOffset(topic, 4), leaderEpoch })
    assertError(await world.failure(reader, behind), { code: 'MILLRACE_LOG_TRUNCATED' })
  },
}

const stopsAtUnknown: ConformanceCase = {
  title: 'a cursor of an unknown topic or partition fails with MILLRACE_UNKNOWN_PARTITION',
  async run(world) {
    const topic = await world.create('known')
    await using reader = world.reader()
    for (const unknown of [atOffset(world.topic('unknown'), 0), atOffset(topic, 0, 9)]) {
      const error = await world.failure(reader, reader.open(unknown))
      assertError(error, { code: 'MILLRACE_UNKNOWN_PARTITION', says: [unknown.topic] })
    }
  },
}

const stopsAtDeletion: ConformanceCase = {
  title: 'a cursor fails when its topic is deleted, and does not go on in a topic created again',
  async run(world) {
    const topic = await world.create('deleted')
    await using producer = await world.producer()
    await sendNow(producer, topic, 'old')
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    await world.drain(reader, cursor, 1)
    await world.log.admin.deleteTopics([topic])
    await world.create('deleted')
    await producer.init()
    await sendNow(producer, topic, 'new', 'newer')
    const error = await world.failure(reader, cursor)
    assertError(error, { code: 'MILLRACE_UNKNOWN_PARTITION' })
    assert.deepEqual((await world.read(topic)).values, ['new', 'newer'])
  },
}

const readsByOffset: ConformanceCase = {
  title: 'readAt finds a record by its offset, committed or not, and nothing where none is',
  async run(world) {
    const topic = await world.create('by-offset')
    const [described] = await world.log.admin.describeTopics([topic])
    await using producer = await world.producer('by-offset')
    sendAll(producer, topic, ['a', 'b'])
    producer.send(record(topic, 'c', { key: Buffer.from('k'), timestamp: 5 }))
    await producer.commit()
    const end = await world.end(topic)
    await sendNow(producer, topic, 'open')
    await using reader = world.reader()
    for (const [index, value] of ['a', 'b', 'c'].entries()) {
      const found = await reader.readAt(atOffset(topic, index))
      assert.equal(found?.record.value?.toString(), value)
      assert.equal(found.record.offset, index)
      assert.equal(found.topicId, described?.topicId)
      assert.ok(found.leaderEpoch >= 0)
    }
    const third = await reader.readAt(atOffset(topic, 2))
    assert.equal(third?.record.key?.toString(), 'k')
    assert.equal(third.record.timestamp, 5)
    for (let control = 3; control < end; control += 1) {
      assert.equal(await reader.readAt(atOffset(topic, control)), undefined)
    }
    const open = await reader.readAt(atOffset(topic, end))
    assert.equal(open?.record.value?.toString(), 'open')
    assert.equal(await reader.readAt(atOffset(topic, end + 1)), undefined)
    assert.equal(await reader.readAt(atOffset(topic, 1_000)), undefined)
    assert.equal(reader.bufferedBytes, 0)
  },
}

const readsAtBesideCursors: ConformanceCase = {
  title: 'many readAt at once leave the cursors where they are; an aborted signal rejects',
  async run(world) {
    const topic = await world.create('beside')
    await using producer = await world.producer()
    const values = Array.from({ length: 50 }, (_, index) => `${index}`)
    await sendNow(producer, topic, ...values)
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 10))
    const found = await Promise.all(
      values.map((_, index) => reader.readAt(atOffset(topic, values.length - 1 - index))),
    )
    assert.deepEqual(
      found.map((one) => one?.record.value?.toString()),
      values.toReversed(),
    )
    assert.equal(cursor.position, 10)
    assert.deepEqual((await world.drain(reader, cursor, 50)).values, values.slice(10))
    const reason = new Error('enough')
    await assert.rejects(reader.readAt(atOffset(topic, 0), AbortSignal.abort(reason)), reason)
    await assertRejects(reader.readAt(atOffset(world.topic('unknown'), 0)), {
      code: 'MILLRACE_UNKNOWN_PARTITION',
    })
  },
}

/** What a cursor gives, where it stops, and reads beside the cursors. */
export const READING_CASES: readonly ConformanceCase[] = [
  batchesFollowEachOther,
  startsAnywhere,
  refusesBeyondEnd,
  noticesTruncation,
  goesOnBehindAnEpoch,
  noticesTruncationBefore,
  stopsAtUnknown,
  stopsAtDeletion,
  readsByOffset,
  readsAtBesideCursors,
]
