/** Conformance: offsets are taken from a group's members alone, each in its generation. */
import assert from 'node:assert/strict'
import { GroupWorld } from './conformance-group-world.ts'
import {
  assertRejects,
  at,
  atOffset,
  groupOf,
  sendNow,
  type ConformanceCase,
} from './conformance-world.ts'
import type { Topic } from '../model/position.ts'
import type { CommittedOffset } from './transport.ts'

const FENCED = { code: 'MILLRACE_GROUP_FENCED', kind: 'abortable' } as const

function offset(topic: Topic, value: number): CommittedOffset {
  return { ...atOffset(topic, value), metadata: '' }
}

const fencesTransactions: ConformanceCase = {
  title: 'a transaction takes offsets of a member of this generation, and of no other',
  async run(world) {
    const output = await world.create('out')
    const group = new GroupWorld(world, await world.create('in', 2))
    const { groupId, topic } = group
    const one = group.join('one')
    await group.settled(2, one)
    const old = one.metadata
    await using producer = await world.producer('app')
    await sendNow(producer, output, 'first')
    await producer.sendOffsets([offset(topic, 1)], old)
    await producer.commit()
    const two = group.join('two')
    await group.settled(2, one, two)
    const now = one.metadata
    const refused = [
      old,
      { ...now, generation: now.generation + 1 },
      { ...now, memberId: 'nobody' },
      { ...now, groupInstanceId: 'nobody' },
      { ...now, groupId: world.name('no group') },
    ]
    for (const metadata of refused) {
      await sendNow(producer, output, 'refused')
      await assertRejects(producer.sendOffsets([offset(topic, 9)], metadata), FENCED)
      await assertRejects(producer.commit(), FENCED)
      await producer.abort()
    }
    await sendNow(producer, output, 'second')
    await producer.sendOffsets([offset(topic, 2)], now)
    await producer.commit()
    assert.deepEqual(await world.committed(groupId, at(topic)), [2, ''])
    assert.deepEqual((await world.read(output)).values, ['first', 'second'])
    await group.end(one, two)
    await assertRejects(producer.sendOffsets([offset(topic, 9)], now), FENCED)
    await producer.abort()
    assert.deepEqual(await world.committed(groupId, at(topic)), [2, ''])
  },
}

const fencesPlainOffsets: ConformanceCase = {
  title: 'offsets alone are taken from a member, and from nobody in particular while there is none',
  async run(world) {
    const { admin } = world.log
    const group = new GroupWorld(world, await world.create('plain', 2))
    const { groupId, topic } = group
    await admin.commitOffsets(groupId, [offset(topic, 1)])
    const one = group.join('one')
    await group.settled(2, one)
    const member = one.metadata
    await assertRejects(admin.commitOffsets(groupId, [offset(topic, 9)]), FENCED)
    await admin.commitOffsets(groupId, [offset(topic, 2)], member)
    const stale = { ...member, generation: member.generation - 1 }
    await assertRejects(admin.commitOffsets(groupId, [offset(topic, 9)], stale), FENCED)
    assert.deepEqual(await world.committed(groupId, at(topic)), [2, ''])
    await group.end(one)
    await assertRejects(admin.commitOffsets(groupId, [offset(topic, 9)], member), FENCED)
    await admin.commitOffsets(groupId, [offset(topic, 3)])
    assert.deepEqual(await world.committed(groupId, at(topic)), [3, ''])
  },
}

const fencesReplacedMembers: ConformanceCase = {
  title:
    'of two processes under one instance id the earlier is told that it is over when it comes with offsets',
  async run(world) {
    const output = await world.create('of-two')
    const group = new GroupWorld(world, await world.create('two'))
    const { groupId, topic } = group
    const one = group.join('one', { groupInstanceId: 'same' })
    await group.settled(1, one)
    const old = one.metadata
    group.holders.delete(one)
    const two = group.join('two', { groupInstanceId: 'same' })
    await group.settled(1, two)
    // The member is fenced, not the producer: what it left open is its own to abort.
    const over = { code: 'MILLRACE_GROUP_INSTANCE_FENCED', kind: 'abortable' } as const
    await using producer = await world.producer('of-one')
    await sendNow(producer, output, 'refused')
    await assertRejects(producer.sendOffsets([offset(topic, 9)], old), over)
    await producer.abort()
    await assertRejects(world.log.admin.commitOffsets(groupId, [offset(topic, 9)], old), over)
    assert.deepEqual((await world.read(output)).values, [])
    await world.log.admin.commitOffsets(groupId, [offset(topic, 1)], two.metadata)
    assert.deepEqual(await world.committed(groupId, at(topic)), [1, ''])
    // Told by its heartbeat: who closes it in that moment would be told as well.
    await world.within('the earlier one to end', async () => {
      await assertRejects(one.membership.closed, { code: over.code })
    })
    await group.end(two)
  },
}

const takesMemberlessTransactions: ConformanceCase = {
  title: 'a transaction takes offsets of nobody in particular, also while the group has members',
  async run(world) {
    const group = new GroupWorld(world, await world.create('memberless'))
    const one = group.join('one')
    await group.settled(1, one)
    await using producer = await world.producer('app')
    await producer.sendOffsets([offset(group.topic, 4)], groupOf(group.groupId))
    await producer.commit()
    assert.deepEqual(await world.committed(group.groupId, at(group.topic)), [4, ''])
    await group.end(one)
  },
}

const commitsWhileRebalancing: ConformanceCase = {
  title:
    'a member commits what it did before it joins again, and under the new generation what it gives back',
  async run(world) {
    const group = new GroupWorld(world, await world.create('rebalancing', 2))
    const { groupId, topic } = group
    const commit = async (value: number): Promise<void> => {
      await world.log.admin.commitOffsets(groupId, [offset(topic, value)], one.metadata)
    }
    const log: string[] = []
    const noted = (what: string, value: number) => async (): Promise<void> => {
      if (one.metadata.memberId === '') return
      await commit(value)
      log.push(what)
    }
    const on = { joining: noted('joining', 1), revoked: noted('revoked', 2) }
    const one = group.join('one', { on })
    await group.settled(2, one)
    const two = group.join('two')
    await group.settled(2, one, two)
    assert.deepEqual(log, ['joining', 'revoked', 'joining'])
    await group.end(one, two)
    assert.equal(log.at(-1), 'revoked')
  },
}

/** Offsets are taken from a group's members alone, each in its generation. */
export const GROUP_FENCING_CASES: readonly ConformanceCase[] = [
  fencesTransactions,
  fencesPlainOffsets,
  fencesReplacedMembers,
  takesMemberlessTransactions,
  commitsWhileRebalancing,
]
