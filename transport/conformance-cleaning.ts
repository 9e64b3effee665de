/** Conformance: records that are deleted, and records that compaction takes out. */
import assert from 'node:assert/strict'
import type { Topic } from '../model/position.ts'
import {
  assertError,
  assertRejects,
  at,
  atOffset,
  groupOf,
  record,
  sendAll,
  sendNow,
  type ConformanceCase,
  type World,
} from './conformance-world.ts'
import type { Producer } from './transport.ts'

const OUT_OF_RANGE = 'MILLRACE_OFFSET_OUT_OF_RANGE'
const COMPACT = { 'cleanup.policy': 'compact' } as const

/** Sends a record whose key is the first character of its value; a value of one character deletes it. */
async function put(producer: Producer, topic: Topic, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    const value = text.length === 1 ? null : text
    producer.send(record(topic, value, { key: Buffer.from(text.slice(0, 1)) }))
    await producer.flush()
  }
}

async function earliest(world: World, topic: Topic): Promise<number | undefined> {
  return (await world.log.admin.offsets([at(topic)], 'earliest', 'read_committed'))[0]
}

const movesTheStart: ConformanceCase = {
  title:
    'records before an offset are deleted: it is the earliest then, and below it is out of range',
  async run(world) {
    const topic = await world.create('below', 2)
    await using producer = await world.producer()
    for (const value of ['a', 'b', 'c', 'd', 'e', 'f']) await sendNow(producer, topic, value)
    await sendNow(producer, topic, 'g')
    await world.log.admin.deleteRecords([atOffset(topic, 4)])
    assert.equal(await earliest(world, topic), 4)
    assert.equal(await world.end(topic), 7)
    await using reader = world.reader()
    const says = [/\b4\b/, /\b7\b/, topic]
    const cursor = reader.open(atOffset(topic, 3))
    assertError(await world.failure(reader, cursor), { code: OUT_OF_RANGE, says })
    assert.deepEqual((await world.read(topic, { from: 4 })).values, ['e', 'f', 'g'])
    for (const offset of [0, 3]) {
      assert.equal(await reader.readAt(atOffset(topic, offset)), undefined)
    }
    assert.equal((await reader.readAt(atOffset(topic, 4)))?.record.value?.toString(), 'e')
    await world.log.admin.deleteRecords([atOffset(topic, 2), atOffset(topic, 4)])
    assert.equal(await earliest(world, topic), 4)
  },
}

const cutsBatches: ConformanceCase = {
  title:
    'a deletion in the middle of a batch deletes up to there; the log goes on after one of all',
  async run(world) {
    const topic = await world.create('cut-batch')
    await using producer = await world.producer()
    await sendNow(producer, topic, '0', '1', '2', '3', '4')
    await world.log.admin.deleteRecords([atOffset(topic, 2)])
    assert.deepEqual((await world.read(topic, { from: 2 })).values, ['2', '3', '4'])
    await world.log.admin.deleteRecords([atOffset(topic, 5)])
    assert.equal(await earliest(world, topic), 5)
    assert.equal(await world.end(topic), 5)
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 5))
    await sendNow(producer, topic, '5')
    const { values, offsets } = await world.drain(reader, cursor, 6)
    assert.deepEqual(values, ['5'])
    assert.deepEqual(offsets, [5])
  },
}

const keepsOpenTransactions: ConformanceCase = {
  title: 'nothing at or beyond the last stable offset can be deleted; the error names the range',
  async run(world) {
    const topic = await world.create('stable-only')
    await using plain = await world.producer()
    await using open = await world.producer('open')
    await sendNow(plain, topic, 'a', 'b')
    await sendNow(open, topic, 'open')
    await sendNow(plain, topic, 'behind')
    const says = [topic, /\b3\b/, /\b0 to 2\b/]
    await assertRejects(world.log.admin.deleteRecords([atOffset(topic, 3)]), {
      code: OUT_OF_RANGE,
      says,
    })
    assert.equal(await earliest(world, topic), 0)
    await world.log.admin.deleteRecords([atOffset(topic, 2)])
    await open.commit()
    const end = await world.end(topic)
    assert.deepEqual((await world.read(topic, { from: 2 })).values, ['open', 'behind'])
    await assertRejects(world.log.admin.deleteRecords([atOffset(topic, end + 1)]), {
      code: OUT_OF_RANGE,
    })
    for (const unknown of [atOffset(topic, 0, 1), atOffset(world.topic('none'), 0)]) {
      await assertRejects(world.log.admin.deleteRecords([unknown]), {
        code: 'MILLRACE_UNKNOWN_PARTITION',
      })
    }
  },
}

const keepsOffsetsAndNeighbours: ConformanceCase = {
  title: 'a deletion leaves other partitions, committed offsets and open cursors ahead as they are',
  async run(world) {
    const topic = await world.create('beside', 2)
    const group = world.name('group')
    await using producer = await world.producer('beside')
    for (const partition of [0, 1]) sendAll(producer, at(topic, partition), ['a', 'b', 'c'])
    const committed = { ...atOffset(topic, 1), metadata: 'm' }
    await producer.sendOffsets([committed], groupOf(group))
    await producer.commit()
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 2))
    assert.deepEqual((await world.nextBatch(reader, cursor)).records.length, 1)
    await world.log.admin.deleteRecords([atOffset(topic, 2)])
    assert.deepEqual(await world.committed(group, at(topic)), [1, 'm'])
    assert.deepEqual((await world.read(topic, {}, 1)).values, ['a', 'b', 'c'])
    await sendNow(producer, topic, 'd')
    await producer.commit()
    assert.deepEqual((await world.drain(reader, cursor, await world.end(topic))).values, ['d'])
  },
}

const refusesNoKey: ConformanceCase = {
  title: 'a record without a key is refused by a compacted topic, and others go on',
  async run(world) {
    const topic = await world.create('keyed', 1, COMPACT)
    await using producer = await world.producer('keyed')
    producer.send(record(topic, 'no key'))
    await assertRejects(producer.flush(), {
      code: 'MILLRACE_RECORD_WITHOUT_KEY',
      kind: 'abortable',
      says: [topic],
    })
    await producer.abort()
    await put(producer, topic, 'a1')
    await producer.commit()
    assert.deepEqual((await world.read(topic)).values, ['a1'])
  },
}

const passesCompactedEnds: ConformanceCase = {
  title: 'a reader that waits for the end arrives where compaction removed records',
  needs: ['compact'],
  async run(world) {
    const topic = await world.create('compacted', 1, COMPACT)
    await using producer = await world.producer('compacted')
    await put(producer, topic, 'a1', 'b1', 'a2', 'b2', 'a3')
    await producer.commit()
    await put(producer, topic, 'a4', 'c1')
    await producer.abort()
    const end = await world.end(topic)
    await world.harness.compact?.(world.log, at(topic))
    assert.equal(await world.end(topic), end)
    const { values, position, offsets } = await world.read(topic, { prefetchBytes: 1 })
    assert.deepEqual(values, ['b2', 'a3'])
    assert.deepEqual(offsets, [3, 4])
    assert.equal(position, end)
    await using reader = world.reader()
    for (const gone of [0, 1, 2]) {
      assert.equal(await reader.readAt(atOffset(topic, gone)), undefined)
    }
    assert.equal((await reader.readAt(atOffset(topic, 3)))?.record.value?.toString(), 'b2')
    for (let from = 0; from <= end; from += 1) {
      const tail = await world.read(topic, { from })
      assert.deepEqual(
        tail.offsets,
        offsets.filter((offset) => offset >= from),
      )
      assert.equal(tail.position, end)
    }
  },
}

const keepsWhatIsOpen: ConformanceCase = {
  title: 'compaction keeps tombstones, fields, and whatever an open transaction may yet change',
  needs: ['compact'],
  async run(world) {
    const topic = await world.create('open-compacted', 1, COMPACT)
    await using plain = await world.producer()
    const headers = [{ key: 'h', value: Buffer.from('v') }]
    await put(plain, topic, 'a1', 'b1', 'b')
    plain.send(record(topic, 'c1', { key: Buffer.from('c'), timestamp: 5, headers }))
    await plain.flush()
    await using open = await world.producer('open')
    await put(open, topic, 'a2')
    await put(plain, topic, 'c2')
    await world.harness.compact?.(world.log, at(topic))
    const seen = await world.read(topic, { isolation: 'read_uncommitted' })
    // How near to the open transaction compaction comes is the log's: b1 may still be there.
    const values = seen.values.filter((value) => value !== 'b1')
    assert.deepEqual(values, ['a1', null, 'c1', 'a2', 'c2'])
    await using reader = world.reader()
    const kept = (await reader.readAt(atOffset(topic, 3)))?.record
    assert.equal(kept?.timestamp, 5)
    assert.deepEqual(
      kept.headers.map(({ key, value }) => [key, String(value)]),
      [['h', 'v']],
    )
    await open.commit()
    await world.harness.compact?.(world.log, at(topic))
    assert.deepEqual((await world.read(topic)).values, [null, 'a2', 'c2'])
  },
}

const readsOnWhileCompacting: ConformanceCase = {
  title: 'cursors stay where they are while compaction takes the log apart under them',
  needs: ['compact'],
  async run(world) {
    const topic = await world.create('under', 1, COMPACT)
    await using producer = await world.producer()
    const putRound = async (round: number): Promise<void> => {
      for (const key of ['a', 'b', 'c', 'd']) {
        const value = Buffer.alloc(3_000, round)
        producer.send(record(topic, value, { key: Buffer.from(key) }))
        await producer.flush()
      }
    }
    await putRound(0)
    await using reader = world.reader('read_committed', 1)
    const cursor = reader.open(atOffset(topic, 0))
    // Taken while each key has one record: a log that compacts by itself has none to take out yet.
    const first = await world.nextBatch(reader, cursor)
    for (let round = 1; round < 20; round += 1) await putRound(round)
    await world.harness.compact?.(world.log, at(topic))
    const { values, offsets } = await world.drain(reader, cursor, 80)
    assert.equal(first.records[0]?.offset, 0)
    assert.equal(cursor.position, 80)
    // What was fetched ahead may still come; what comes is in order, and the last of each key is there.
    assert.deepEqual(
      offsets,
      offsets.toSorted((one, other) => one - other),
    )
    assert.deepEqual(offsets.slice(-4), [76, 77, 78, 79])
    assert.ok(values.slice(-4).every((value) => value === Buffer.alloc(3_000, 19).toString()))
    assert.deepEqual((await world.read(topic)).offsets, [76, 77, 78, 79])
  },
}

const deletesFromCompacted: ConformanceCase = {
  title: 'records are deleted from a compacted log, and it is compacted again',
  needs: ['compact'],
  async run(world) {
    const topic = await world.create('both', 1, { 'cleanup.policy': 'compact,delete' })
    await using producer = await world.producer()
    await put(producer, topic, 'a1', 'b1', 'a2', 'c1')
    await world.harness.compact?.(world.log, at(topic))
    await world.log.admin.deleteRecords([atOffset(topic, 2)])
    assert.deepEqual((await world.read(topic, { from: 2 })).values, ['a2', 'c1'])
    await put(producer, topic, 'a3')
    await world.harness.compact?.(world.log, at(topic))
    assert.equal(await earliest(world, topic), 2)
    assert.deepEqual((await world.read(topic, { from: 2 })).values, ['c1', 'a3'])
  },
}

/** Records that are deleted, and records that compaction takes out. */
export const CLEANING_CASES: readonly ConformanceCase[] = [
  movesTheStart,
  cutsBatches,
  keepsOpenTransactions,
  keepsOffsetsAndNeighbours,
  refusesNoKey,
  passesCompactedEnds,
  keepsWhatIsOpen,
  readsOnWhileCompacting,
  deletesFromCompacted,
]
