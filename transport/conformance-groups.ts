/** Conformance: who owns which partitions, and until when. */
import assert from 'node:assert/strict'
import { sleep } from '../model/clock.ts'
import { isMillraceError } from '../model/errors.ts'
import { GroupWorld, evenly, type TestMember } from './conformance-group-world.ts'
import { assertRejects, at, type ConformanceCase, type World } from './conformance-world.ts'

/** A time that members must come again in, short enough to be waited for. */
const SHORT_MS = 500

async function groupOf(world: World, topic: string, partitions: number): Promise<GroupWorld> {
  return new GroupWorld(world, await world.create(topic, partitions))
}

const servesOne: ConformanceCase = {
  title: 'a member that is alone gets every partition, and is named from then on until it leaves',
  async run(world) {
    const group = await groupOf(world, 'one', 3)
    const one = group.join('one')
    const { groupId } = group
    assert.deepEqual(one.metadata, { groupId, generation: -1, memberId: '' })
    await group.settled(3, one)
    assert.deepEqual(one.events, ['joining', 'assigned 0 1 2'])
    assert.ok(one.metadata.generation > 0 && one.metadata.memberId !== '')
    await one.membership.leave()
    await one.membership.closed
    assert.equal(one.lastEvent, 'revoked 0 1 2')
    assert.deepEqual(one.metadata, { groupId, generation: -1, memberId: '' })
    assert.deepEqual(await world.log.admin.describeGroup(groupId), [])
  },
}

const sharesAmongMany: ConformanceCase = {
  title: 'members that come and go share evenly, and what stays with a member is not touched',
  async run(world) {
    const group = await groupOf(world, 'many', 6)
    const one = group.join('one')
    await group.settled(6, one)
    const two = group.join('two')
    await group.settled(6, one, two)
    const kept = [...one.owned]
    const three = group.join('three')
    await group.settled(6, one, two, three)
    assert.ok(
      [...one.owned].every((partition) => kept.includes(partition)),
      'one only gave away',
    )
    const before = [one, two].map(({ owned }) => [...owned])
    await three.membership.leave()
    await group.settled(6, one, two)
    assert.ok(before[0]?.every((partition) => one.owned.has(partition)) === true)
    assert.ok(before[1]?.every((partition) => two.owned.has(partition)) === true)
    await group.end(one, two)
  },
}

const sharesAFewer: ConformanceCase = {
  title: 'a member for which nothing is left waits without any, and gets what another gives up',
  async run(world) {
    const group = await groupOf(world, 'few', 1)
    const one = group.join('one')
    await group.settled(1, one)
    const two = group.join('two')
    await group.settled(1, one, two)
    assert.deepEqual(two.events, ['joining', 'assigned'])
    await one.membership.leave()
    await group.settled(1, two)
    assert.equal(two.lastEvent, 'assigned 0')
    await group.end(two)
  },
}

const awaitsRevoked: ConformanceCase = {
  title: 'a partition goes to another only when its owner is through with giving it back',
  async run(world) {
    const group = await groupOf(world, 'awaits', 2)
    const gate = Promise.withResolvers<void>()
    const one = group.join('one', { on: { revoked: () => gate.promise } })
    await group.settled(2, one)
    const first = one.metadata
    const two = group.join('two')
    await group.until(
      'one to be asked for one',
      () => one.lastEvent?.startsWith('revoked') === true,
    )
    await group.until('two to have a share', () => two.last !== undefined)
    await sleep(world.harness.clock, SHORT_MS / 3)
    assert.deepEqual([one.owned.size, two.owned.size], [2, 0])
    // What is given back is committed under the new generation, which both are in.
    assert.equal(one.metadata.generation, two.metadata.generation)
    assert.ok(one.metadata.generation > first.generation)
    gate.resolve()
    await group.settled(2, one, two)
    const revoked = one.events.findIndex((event) => event.startsWith('revoked'))
    assert.deepEqual(one.events.slice(revoked + 1), ['assigned', 'joining', 'assigned'])
    assert.deepEqual(two.events.at(-1), `assigned ${[...two.owned].join()}`)
    await group.end(one, two)
  },
}

const expiresSessions: ConformanceCase = {
  title: 'what a member had that is not heard of any more goes to the others after its session',
  async run(world) {
    const group = await groupOf(world, 'expires', 4)
    const gone = { groupInstanceId: 'gone', sessionTimeoutMs: SHORT_MS }
    const [one, two] = [group.join('one'), group.join('two', gone)]
    await group.settled(4, one, two)
    await two.membership.leave()
    assert.equal((await world.log.admin.describeGroup(group.groupId)).length, 2)
    await group.settled(4, one)
    assert.equal((await world.log.admin.describeGroup(group.groupId)).length, 1)
    await group.end(one)
  },
}

const losesLateMembers: ConformanceCase = {
  title: 'a member that does not come to a rebalance in time loses all, is told, and comes back',
  async run(world) {
    const group = await groupOf(world, 'late', 2)
    const gate = Promise.withResolvers<void>()
    let joins = 0
    const joining = async (): Promise<void> => {
      joins += 1
      if (joins === 2) await gate.promise
    }
    const short = { rebalanceTimeoutMs: SHORT_MS }
    const one = group.join('one', { ...short, on: { joining } })
    await group.settled(2, one)
    const old = one.metadata
    group.holders.delete(one)
    const two = group.join('two', short)
    await group.settled(2, two)
    await group.until('one to be nobody', () => one.metadata.memberId === '')
    assert.equal(one.lastEvent, 'joining')
    gate.resolve()
    await group.settled(2, one, two)
    assert.ok(one.events.includes('lost 0 1'))
    assert.notEqual(one.metadata.memberId, old.memberId)
    await group.end(one, two)
  },
}

const keepsStaticMembers: ConformanceCase = {
  title: 'a static member that comes back in time has its share again, and nobody else is asked',
  async run(world) {
    const group = await groupOf(world, 'static', 4)
    const [one, two] = [
      group.join('one', { groupInstanceId: 'first' }),
      group.join('two', { groupInstanceId: 'second' }),
    ]
    await group.settled(4, one, two)
    const [share, others, old] = [[...two.owned], [...one.events], two.metadata]
    assert.equal(old.groupInstanceId, 'second')
    await two.membership.leave()
    const again = group.join('two', { groupInstanceId: 'second' })
    await group.settled(4, one, again)
    assert.deepEqual([...again.owned], share)
    assert.equal(again.metadata.generation, old.generation)
    assert.notEqual(again.metadata.memberId, old.memberId)
    assert.deepEqual(one.events, others)
    await group.end(one, again)
  },
}

const fencesInstances: ConformanceCase = {
  title: 'of two processes under one instance id the later has the share, and the other is through',
  async run(world) {
    const group = await groupOf(world, 'instance', 2)
    const one = group.join('one', { groupInstanceId: 'same' })
    await group.settled(2, one)
    group.holders.delete(one)
    const two = group.join('two', { groupInstanceId: 'same' })
    await group.settled(2, two)
    const code = 'MILLRACE_GROUP_INSTANCE_FENCED'
    await world.within('one to end', async () => {
      await assert.rejects(one.membership.closed, (error) => isMillraceError(error, code))
    })
    assert.equal(one.lastEvent, 'lost 0 1')
    assert.equal(two.owned.size, 2)
    await group.end(one, two)
  },
}

const carriesUserData: ConformanceCase = {
  title:
    'user data is asked for at each join, and comes to the assignor; its own comes to everybody',
  async run(world) {
    const group = await groupOf(world, 'data', 2)
    let said = 'a1'
    const one = group.join('one', { userData: () => Buffer.from(said) })
    const two = group.join('two', { userData: () => Buffer.alloc(0) })
    const heard = ({ last }: TestMember): string | undefined => last?.userData.toString()
    await group.until('both to hear of both', () => heard(one) === ' a1' && heard(two) === ' a1')
    await group.settled(2, one, two)
    const before = one.metadata.generation
    said = 'a2'
    one.membership.requestRebalance()
    await group.until(
      'both to hear of the change',
      () => heard(one) === ' a2' && heard(two) === ' a2',
    )
    assert.ok(one.metadata.generation > before)
    assert.ok(!two.events.some((event) => event.startsWith('revoked')), 'nothing moved')
    await group.end(one, two)
  },
}

const refusesOtherProtocols: ConformanceCase = {
  title: 'a member that assigns otherwise than the group is refused, and the group goes on',
  async run(world) {
    const group = await groupOf(world, 'protocol', 2)
    const one = group.join('one')
    await group.settled(2, one)
    const events = one.events.length
    const other = group.join('other', { assignor: { ...evenly, name: 'otherwise' } })
    await world.within('the other to end', async () => {
      await assert.rejects(other.membership.closed, (error) =>
        isMillraceError(error, 'MILLRACE_GROUP_PROTOCOL'),
      )
    })
    assert.equal(one.events.length, events)
    await group.end(one, other)
  },
}

const endsWithItsListener: ConformanceCase = {
  title: 'a listener that throws ends its membership, and the others have its share',
  async run(world) {
    const group = await groupOf(world, 'throws', 2)
    const one = group.join('one')
    await group.settled(2, one)
    const two = group.join('two', {
      on: { assigned: () => Promise.reject(new Error('no room for it')) },
    })
    group.holders.delete(two)
    await world.within('two to end', async () => {
      await assert.rejects(two.membership.closed, /no room for it/)
    })
    await group.settled(2, one)
    assert.equal(two.metadata.memberId, '')
    await group.end(one, two)
  },
}

const describesGroups: ConformanceCase = {
  title: 'a group is described by its members and their shares, and one that is none by nobody',
  async run(world) {
    const group = await groupOf(world, 'described', 2)
    const { admin } = world.log
    assert.deepEqual(await admin.describeGroup(group.groupId), [])
    const [one, two] = [group.join('one'), group.join('two', { groupInstanceId: 'second' })]
    await group.settled(2, one, two)
    const described = await admin.describeGroup(group.groupId)
    const expected = [one, two].map(({ metadata: { memberId, groupInstanceId }, owned }) => ({
      memberId,
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
      partitions: [...owned].map((partition) => at(group.topic, partition)),
    }))
    const byId = (a: { memberId: string }, b: { memberId: string }): number =>
      a.memberId < b.memberId ? -1 : 1
    assert.deepEqual([...described].sort(byId), expected.sort(byId))
    await group.end(one, two)
  },
}

const keepsMembers: ConformanceCase = {
  title: 'a group with members is not deleted; without them it is',
  async run(world) {
    const group = await groupOf(world, 'kept', 1)
    const one = group.join('one')
    await group.settled(1, one)
    await assertRejects(world.log.admin.deleteGroup(group.groupId), {
      code: 'MILLRACE_GROUP_HAS_MEMBERS',
      says: [group.groupId],
    })
    await group.end(one)
    await world.log.admin.deleteGroup(group.groupId)
    const two = group.join('two')
    await group.settled(1, two)
    await group.end(two)
  },
}

const keepsGroupsApart: ConformanceCase = {
  title: 'groups do not know of each other',
  async run(world) {
    const first = await groupOf(world, 'apart', 2)
    const second = new GroupWorld(world, first.topic, 'another')
    const [one, two] = [first.join('one'), second.join('two')]
    await first.settled(2, one)
    await second.settled(2, two)
    await one.membership.leave()
    assert.deepEqual(two.events, ['joining', 'assigned 0 1'])
    await second.end(two)
  },
}

/** Who owns which partitions, and until when. */
export const GROUP_CASES: readonly ConformanceCase[] = [
  servesOne,
  sharesAmongMany,
  sharesAFewer,
  awaitsRevoked,
  expiresSessions,
  losesLateMembers,
  keepsStaticMembers,
  fencesInstances,
  carriesUserData,
  refusesOtherProtocols,
  endsWithItsListener,
  describesGroups,
  keepsMembers,
  keepsGroupsApart,
]
