/** Conformance: transactions, and what read_committed shows of them. */
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

const ZERO_KEY = Buffer.from([0, 0, 0, 0])

const commitsTogether: ConformanceCase = {
  title: 'a commit shows the records of all its partitions; before it none is shown',
  async run(world) {
    const topic = await world.create('together', 3)
    await using producer = await world.producer('together')
    for (const partition of [0, 1, 2]) sendAll(producer, at(topic, partition), ['a', 'b'])
    await producer.flush()
    for (const partition of [0, 1, 2]) {
      assert.equal(await world.end(topic, 'read_committed', partition), 0)
    }
    await producer.commit()
    for (const partition of [0, 1, 2]) {
      const end = await world.end(topic, 'read_uncommitted', partition)
      assert.equal(await world.end(topic, 'read_committed', partition), end)
      const { values, position } = await world.read(topic, { to: end }, partition)
      assert.deepEqual(values, ['a', 'b'])
      assert.ok(position >= end)
    }
  },
}

const commitFlushes: ConformanceCase = {
  title: 'a commit waits for what was sent before it',
  async run(world) {
    const topic = await world.create('unflushed')
    await using producer = await world.producer('unflushed')
    sendAll(producer, topic, ['a', 'b'])
    await producer.commit()
    assert.deepEqual((await world.read(topic)).values, ['a', 'b'])
  },
}

const abortHides: ConformanceCase = {
  title: 'nothing of an aborted transaction is ever shown, flushed or not; the next one is whole',
  async run(world) {
    const topic = await world.create('aborted')
    await using producer = await world.producer('aborted')
    await sendNow(producer, topic, 'flushed')
    sendAll(producer, topic, ['not flushed'])
    await producer.abort()
    sendAll(producer, topic, ['kept'])
    await producer.commit()
    assert.deepEqual((await world.read(topic)).values, ['kept'])
    assert.equal(producer.bufferedBytes, 0)
  },
}

const filtersInterleaved: ConformanceCase = {
  title: 'transactions that interleave in one partition are told apart record by record',
  async run(world) {
    const topic = await world.create('interleaved')
    await using one = await world.producer('one')
    await using two = await world.producer('two')
    await using plain = await world.producer()
    await sendNow(one, topic, 'one: aborted 1')
    await sendNow(two, topic, 'two: committed 1')
    await sendNow(plain, topic, 'plain 1')
    await sendNow(one, topic, 'one: aborted 2')
    await sendNow(two, topic, 'two: committed 2')
    await two.commit()
    await sendNow(two, topic, 'two: aborted 1')
    await one.abort()
    await sendNow(one, topic, 'one: committed 1')
    await sendNow(plain, topic, 'plain 2')
    await two.abort()
    await sendNow(two, topic, 'two: committed 3')
    await one.commit()
    await two.commit()
    const committed = await world.read(topic)
    assert.deepEqual(committed.values, [
      'two: committed 1',
      'plain 1',
      'two: committed 2',
      'one: committed 1',
      'plain 2',
      'two: committed 3',
    ])
    const all = await world.read(topic, { isolation: 'read_uncommitted' })
    assert.equal(all.values.length, 9)
    for (let from = 0; from < committed.position; from += 1) {
      const tail = await world.read(topic, { from, prefetchBytes: 1 })
      assert.deepEqual(
        tail.offsets,
        committed.offsets.filter((offset) => offset >= from),
        `read from ${from}`,
      )
    }
  },
}

const filtersFarMarkers: ConformanceCase = {
  title:
    'an abort marker hundreds of records behind its records still hides them, in small fetches',
  async run(world) {
    const topic = await world.create('far')
    await using aborting = await world.producer('aborting')
    await using other = await world.producer('other')
    await sendNow(aborting, topic, 'aborted 1')
    const kept: string[] = []
    for (let index = 0; index < 300; index += 1) {
      kept.push(`kept ${index}`)
      sendAll(other, topic, [`kept ${index}`])
      if (index % 10 === 9) await other.commit()
      if (index === 150) await sendNow(aborting, topic, 'aborted 2')
    }
    await using reader = world.reader('read_committed', 1)
    const cursor = reader.open(atOffset(topic, 0))
    assert.equal(await world.end(topic, 'read_committed'), 0)
    await aborting.abort()
    const end = await world.end(topic)
    assert.deepEqual((await world.drain(reader, cursor, end)).values, kept)
    assert.deepEqual((await world.read(topic, { prefetchBytes: 1_000 })).values, kept)
  },
}

const readsControlLikeKeys: ConformanceCase = {
  title:
    'a key of four zero bytes is a key like any other, in a committed and an aborted transaction',
  async run(world) {
    const topic = await world.create('zeros')
    await using producer = await world.producer('zeros')
    for (const ending of ['abort', 'commit'] as const) {
      for (const value of ['before', 'zero', 'after']) {
        const key = value === 'zero' ? ZERO_KEY : null
        producer.send(record(topic, `${value} ${ending}`, { key }))
        await producer.flush()
      }
      await producer[ending]()
    }
    const { values, batches } = await world.read(topic, { prefetchBytes: 1 })
    assert.deepEqual(values, ['before commit', 'zero commit', 'after commit'])
    const zero = batches.flatMap((batch) => batch.records)[1]
    assert.deepEqual(zero?.key, ZERO_KEY)
  },
}

const passesEmptyEnds: ConformanceCase = {
  title: 'a reader that waits for the end arrives where a partition ends with aborted records only',
  async run(world) {
    const topic = await world.create('empty-end')
    await using producer = await world.producer('empty-end')
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    for (let round = 0; round < 5; round += 1) {
      await sendNow(producer, topic, 'a', 'b')
      await sendNow(producer, topic, 'c')
      await producer.abort()
    }
    const end = await world.end(topic)
    assert.ok(end >= 15)
    const { values, position, batches } = await world.drain(reader, cursor, end)
    assert.deepEqual(values, [])
    assert.equal(position, end)
    assert.ok(batches.every((batch) => batch.lastStableOffset <= end))
  },
}

const leavesNothingOfEmptyOnes: ConformanceCase = {
  title: 'an empty transaction is nothing, committed or aborted, and the producer goes on',
  async run(world) {
    const topic = await world.create('empty')
    await using producer = await world.producer('empty')
    await producer.commit()
    await producer.abort()
    assert.deepEqual(await producer.flush(), [])
    assert.equal(await world.end(topic), 0)
    await sendNow(producer, topic, 'a')
    await producer.commit()
    const end = await world.end(topic)
    await producer.commit()
    await producer.abort()
    assert.equal(await world.end(topic), end)
    assert.deepEqual((await world.read(topic)).values, ['a'])
  },
}

const holdsLastStableOffset: ConformanceCase = {
  title:
    'an open transaction holds the last stable offset; read_uncommitted sees its records; commit wakes',
  async run(world) {
    const topic = await world.create('stable')
    await using plain = await world.producer()
    await using open = await world.producer('open')
    await sendNow(plain, topic, 'before')
    await sendNow(open, topic, 'open')
    await sendNow(plain, topic, 'behind')
    assert.equal(await world.end(topic, 'read_committed'), 1)
    assert.equal(await world.end(topic, 'read_uncommitted'), 3)
    const seen = await world.read(topic, { isolation: 'read_uncommitted' })
    assert.deepEqual(seen.values, ['before', 'open', 'behind'])
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    const { values } = await world.drain(reader, cursor, 1)
    assert.deepEqual(values, ['before'])
    assert.equal(cursor.take(), undefined)
    assert.equal(cursor.lastStableOffset, 1)
    await open.commit()
    const rest = await world.drain(reader, cursor, await world.end(topic))
    assert.deepEqual(rest.values, ['open', 'behind'])
    assert.equal(rest.batches.at(-1)?.lastStableOffset, await world.end(topic))
  },
}

const abortsOldTransactions: ConformanceCase = {
  title:
    'a transaction open for longer than its timeout is aborted by the log; its producer aborts and goes on',
  async run(world) {
    const topic = await world.create('timeout')
    const timeout = { transactionTimeoutMs: 150 }
    await using producer = await world.producer('timeout', timeout)
    await sendNow(producer, topic, 'too late')
    await using plain = await world.producer()
    await sendNow(plain, topic, 'behind it')
    await using reader = world.reader()
    const cursor = reader.open(atOffset(topic, 0))
    await world.harness.elapse?.(1_000)
    assert.deepEqual((await world.drain(reader, cursor, 2)).values, ['behind it'])
    await assertRejects(producer.commit(), { kind: 'abortable' })
    await producer.abort()
    await sendNow(producer, topic, 'in time')
    await producer.commit()
    assert.deepEqual((await world.read(topic)).values, ['behind it', 'in time'])
  },
}

const keepsManyWhole: ConformanceCase = {
  title: 'many transactions of one producer over several partitions are each whole',
  async run(world) {
    const topic = await world.create('many', 2)
    await using producer = await world.producer('many')
    const kept: string[] = []
    for (let index = 0; index < 60; index += 1) {
      producer.send(record(topic, `${index}`, { partition: asPartition(index % 2) }))
      producer.send(record(topic, `${index}`, { partition: asPartition((index + 1) % 2) }))
      if (index % 3 === 0) {
        await producer.abort()
      } else {
        await producer.commit()
        kept.push(`${index}`)
      }
    }
    for (const partition of [0, 1]) {
      assert.deepEqual((await world.read(topic, {}, partition)).values, kept)
    }
  },
}

/** Transactions, and what read_committed shows of them. */
export const TRANSACTION_CASES: readonly ConformanceCase[] = [
  commitsTogether,
  commitFlushes,
  abortHides,
  filtersInterleaved,
  filtersFarMarkers,
  readsControlLikeKeys,
  passesEmptyEnds,
  leavesNothingOfEmptyOnes,
  holdsLastStableOffset,
  abortsOldTransactions,
  keepsManyWhole,
]
