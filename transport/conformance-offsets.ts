/** Conformance: committed offsets, in and outside transactions. */
import assert from 'node:assert/strict'
import {
  assertRejects,
  at,
  atOffset,
  groupOf,
  sendNow,
  type ConformanceCase,
  type World,
} from './conformance-world.ts'
import type { Topic, TopicPartition } from '../model/position.ts'
import type { CommittedOffset } from './transport.ts'

const PENDING = { code: 'MILLRACE_OFFSETS_PENDING', kind: 'retriable' } as const

function offset(of: Topic | TopicPartition, value: number, metadata = ''): CommittedOffset {
  const { topic, partition } = typeof of === 'string' ? at(of) : of
  return { ...atOffset(topic, value, partition), metadata }
}

/** The committed offsets as pairs that are easily compared. */
async function committed(
  world: World,
  group: string,
  ...of: readonly TopicPartition[]
): Promise<readonly (readonly [number, string] | undefined)[]> {
  const offsets = await world.log.admin.committedOffsets(group, of)
  for (const [index, one] of offsets.entries()) {
    if (one === undefined) continue
    assert.equal(one.topic, of[index]?.topic)
    assert.equal(one.partition, of[index]?.partition)
  }
  return offsets.map((one) => (one === undefined ? undefined : [one.offset, one.metadata]))
}

const keepsPlainOffsets: ConformanceCase = {
  title: 'offsets are answered in the order asked, undefined where none was committed, per group',
  async run(world) {
    const topic = await world.create('offsets', 3)
    const [one, two] = [world.name('one'), world.name('two')]
    assert.deepEqual(await committed(world, one, at(topic)), [undefined])
    await world.log.admin.commitOffsets(one, [
      offset(at(topic, 2), 7, 'AgAAAY/ñ €'),
      offset(topic, 0),
    ])
    assert.deepEqual(await committed(world, one, at(topic, 2), at(topic, 1), at(topic, 0)), [
      [7, 'AgAAAY/ñ €'],
      undefined,
      [0, ''],
    ])
    assert.deepEqual(await committed(world, two, at(topic, 2)), [undefined])
    await world.log.admin.commitOffsets(one, [offset(at(topic, 2), 5, 'back')])
    assert.deepEqual(await committed(world, one, at(topic, 2), at(topic, 0)), [
      [5, 'back'],
      [0, ''],
    ])
  },
}

const commitsWithTransaction: ConformanceCase = {
  title:
    'offsets of a transaction are pending while it is open, and there with its records after commit',
  async run(world) {
    const [input, output] = [await world.create('in', 2), await world.create('out')]
    const [group, other] = [world.name('group'), world.name('other')]
    await world.log.admin.commitOffsets(other, [offset(input, 1, 'other')])
    await using producer = await world.producer('app')
    await sendNow(producer, output, 'result')
    await producer.sendOffsets([offset(input, 4, 'stream time')], groupOf(group))
    await assertRejects(world.log.admin.committedOffsets(group, [at(input)]), PENDING)
    await assertRejects(world.log.admin.committedOffsets(group, [at(input, 1), at(input)]), PENDING)
    assert.deepEqual(await committed(world, group, at(input, 1)), [undefined])
    assert.deepEqual(await committed(world, other, at(input)), [[1, 'other']])
    await producer.commit()
    assert.deepEqual(await committed(world, group, at(input)), [[4, 'stream time']])
    assert.deepEqual((await world.read(output)).values, ['result'])
  },
}

const keepsOldAfterAbort: ConformanceCase = {
  title: 'an abort keeps the offsets committed before',
  async run(world) {
    const topic = await world.create('keep', 2)
    const group = world.name('group')
    await world.log.admin.commitOffsets(group, [offset(topic, 2, 'before')])
    await using producer = await world.producer('app')
    await producer.sendOffsets([offset(topic, 8), offset(at(topic, 1), 9)], groupOf(group))
    await producer.abort()
    assert.deepEqual(await committed(world, group, at(topic), at(topic, 1)), [
      [2, 'before'],
      undefined,
    ])
  },
}

const commitsOffsetsAlone: ConformanceCase = {
  title:
    'a transaction of offsets alone commits them; within it the last offset of a partition counts',
  async run(world) {
    const topic = await world.create('alone', 2)
    const group = world.name('group')
    await using producer = await world.producer('app')
    await producer.sendOffsets([offset(topic, 1, 'first')], groupOf(group))
    await producer.sendOffsets(
      [offset(topic, 2, 'second'), offset(at(topic, 1), 1)],
      groupOf(group),
    )
    await producer.commit()
    assert.deepEqual(await committed(world, group, at(topic), at(topic, 1)), [
      [2, 'second'],
      [1, ''],
    ])
    assert.equal(await world.end(topic), 0)
  },
}

const keepsTransactionsApart: ConformanceCase = {
  title: 'two transactions commit offsets of one group for different partitions side by side',
  async run(world) {
    const topic = await world.create('apart', 2)
    const group = world.name('group')
    await using one = await world.producer('one')
    await using two = await world.producer('two')
    await one.sendOffsets([offset(topic, 1, 'one')], groupOf(group))
    await two.sendOffsets([offset(at(topic, 1), 2, 'two')], groupOf(group))
    await one.commit()
    assert.deepEqual(await committed(world, group, at(topic, 0)), [[1, 'one']])
    await assertRejects(world.log.admin.committedOffsets(group, [at(topic, 1)]), PENDING)
    await two.abort()
    assert.deepEqual(await committed(world, group, at(topic, 0), at(topic, 1)), [
      [1, 'one'],
      undefined,
    ])
  },
}

const spansGroups: ConformanceCase = {
  title: 'one transaction commits offsets of several groups',
  async run(world) {
    const topic = await world.create('groups')
    const [one, two] = [world.name('one'), world.name('two')]
    await using producer = await world.producer('app')
    await producer.sendOffsets([offset(topic, 1, 'a')], groupOf(one))
    await producer.sendOffsets([offset(topic, 2, 'b')], groupOf(two))
    await assertRejects(world.log.admin.committedOffsets(two, [at(topic)]), PENDING)
    await producer.commit()
    assert.deepEqual(await committed(world, one, at(topic)), [[1, 'a']])
    assert.deepEqual(await committed(world, two, at(topic)), [[2, 'b']])
  },
}

const deletesGroups: ConformanceCase = {
  title: 'a deleted group has no offsets, no other group is touched, and it may begin anew',
  async run(world) {
    const { admin } = world.log
    const [topic, second] = [await world.create('deleted', 2), await world.create('second')]
    const [one, two] = [world.name('one'), world.name('one:two')]
    await admin.deleteGroup(one)
    for (const group of [one, two]) {
      await admin.commitOffsets(group, [offset(at(topic, 1), 3), offset(second, 4)])
    }
    await admin.deleteGroup(one)
    assert.deepEqual(await committed(world, one, at(topic, 1), at(second)), [undefined, undefined])
    assert.deepEqual(await committed(world, two, at(topic, 1), at(second)), [
      [3, ''],
      [4, ''],
    ])
    await admin.commitOffsets(one, [offset(topic, 1, 'anew')])
    assert.deepEqual(await committed(world, one, at(topic)), [[1, 'anew']])
  },
}

const keepsPendingGroups: ConformanceCase = {
  title:
    'a group of which an open transaction commits offsets is not deleted, and is after its end',
  async run(world) {
    const topic = await world.create('in-use')
    const group = world.name('group')
    await using producer = await world.producer('app')
    await producer.sendOffsets([offset(topic, 4)], groupOf(group))
    await assertRejects(world.log.admin.deleteGroup(group), PENDING)
    await producer.commit()
    await world.log.admin.deleteGroup(group)
    assert.deepEqual(await committed(world, group, at(topic)), [undefined])
  },
}

/** Committed offsets, in and outside transactions. */
export const OFFSET_CASES: readonly ConformanceCase[] = [
  keepsPlainOffsets,
  commitsWithTransaction,
  keepsOldAfterAbort,
  commitsOffsetsAlone,
  keepsTransactionsApart,
  spansGroups,
  deletesGroups,
  keepsPendingGroups,
]
