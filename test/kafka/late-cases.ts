/**
 * What comes too late into a transaction, for every version of Kafka: offsets of a membership that is
 * over, offsets in the middle of a rebalance, and a record behind the end. Nobody takes the
 * transactional id over here: a producer's fence would reject all of it, and hide what rejects it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Topic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { evenly } from '../../transport/conformance-group-world.ts'
import { assertRejects, at, atOffset, sendNow } from '../../transport/conformance-world.ts'
import { ADD_PARTITIONS_TO_TXN } from '../../transport/kafka/api/add-partitions-to-txn.ts'
import { END_TXN } from '../../transport/kafka/api/end-txn.ts'
import { HEARTBEAT } from '../../transport/kafka/api/heartbeat.ts'
import { INIT_PRODUCER_ID } from '../../transport/kafka/api/init-producer-id.ts'
import { PRODUCE } from '../../transport/kafka/api/produce.ts'
import type { TransactionVersion } from '../../transport/kafka/cluster/cluster.ts'
import { CODE } from '../../transport/kafka/error-codes.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import { VERSIONS } from '../../transport/kafka/producer/transaction-coordination.ts'
import type { Assignor } from '../../transport/membership.ts'
import { RecordBatchBuilder } from '../../transport/record-batch-builder.ts'
import type { CommittedOffset } from '../../transport/transport.ts'
import { groupLog, newGroup, type GroupLog } from './group-members.ts'
import { heldClock } from './held-clock.ts'
import { PlainGroup } from './plain-group.ts'
import { until } from './until.ts'

const clock = systemClock()
/** Of a member that is to be put out. */
const SESSION_MS = 1_000
const FENCED = { code: 'MILLRACE_GROUP_FENCED', kind: 'abortable' } as const

/** Registers what must hold, with transactions of a version. */
export function testLateRequests(
  brokers: () => readonly string[],
  version: TransactionVersion,
): void {
  describe(`what comes too late into a transaction of version ${version}`, () => {
    let groups: GroupLog

    beforeAll(() => {
      groups = groupLog(brokers())
    })

    afterAll(() => groups?.[Symbol.asyncDispose]())

    test('are offsets of a membership that is over, also from who is a member again', async () => {
      await outlivesItsMembership(groups, brokers())
    })

    test('are offsets of the last generation when all have joined the next, and not before', async () => {
      await commitsInRebalance(groups)
    })

    test('is a record behind the end, which opens no other', async () => {
      await producesBehindTheEnd(groups, version)
    })
  })
}

async function outlivesItsMembership(groups: GroupLog, brokers: readonly string[]): Promise<void> {
  const group = await newGroup(groups, 2)
  const { groupId, topic, world } = group
  const output = await world.create('out')
  const asleep = heldClock(clock)
  await using way = await openKafka({ brokers, clock: asleep })
  const one = group.join('one', { log: way, sessionTimeoutMs: SESSION_MS, assignor: lowestKept })
  const two = group.join('two', { assignor: lowestKept })
  await group.settled(2, one, two)
  const old = one.metadata
  const [first = -1] = one.owned

  await using producer = await world.producer('of-one')
  await sendNow(producer, output, 'of the old one')
  await producer.sendOffsets([offset(topic, 1, first)], old)
  asleep.hold()
  group.holders.delete(one)
  await group.until('two to have everything', () => two.owned.size === 2)
  // Where the heir begins is not known before that transaction has ended.
  await assertRejects(groups.log.admin.committedOffsets(groupId, [at(topic, first)]), {
    code: 'MILLRACE_OFFSETS_PENDING',
  })
  asleep.letGo()
  await group.until('one to hear of it', () => one.events.includes(`lost ${first}`))
  group.holders.add(one)
  await group.settled(2, one, two)
  expect(one.metadata.generation).toBeGreaterThan(old.generation)

  await assertRejects(producer.sendOffsets([offset(topic, 2, first)], old), FENCED)
  await assertRejects(producer.commit(), FENCED)
  await producer.abort()
  expect(await world.committed(groupId, at(topic, first))).toBeUndefined()
  // As who it is now, and with the identity it had all the time, it commits what it has.
  const [second = -1] = one.owned
  expect(second).not.toBe(first)
  await sendNow(producer, output, 'of the new one')
  await producer.sendOffsets([offset(topic, 3, second)], one.metadata)
  await producer.commit()
  expect(await world.committed(groupId, at(topic, second))).toEqual([3, ''])
  expect((await world.read(output)).values).toEqual(['of the new one'])
  await group.end(one, two)
}

async function commitsInRebalance(groups: GroupLog): Promise<void> {
  const { groupId, topic, world } = await newGroup(groups, 1)
  const group = await PlainGroup.open(groups.cluster, groupId)
  await using producer = await world.producer('in-rebalance')
  const commit = async (value: number, generation: number): Promise<void> => {
    await producer.sendOffsets([offset(topic, value)], { groupId, generation, memberId: one })
    await producer.commit()
    expect(await world.committed(groupId, at(topic))).toEqual([value, ''])
  }
  const refused = async (generation: number): Promise<void> => {
    const member = { groupId, generation, memberId: one }
    await assertRejects(producer.sendOffsets([offset(topic, 9)], member), FENCED)
    await producer.abort()
  }

  const one = await group.newMember()
  const { generation: before } = await group.join(one)
  await group.bringShares(one, before)
  await commit(1, before)
  const two = await group.newMember()
  const joining = group.join(two, 'beside')
  await until(
    clock,
    () => 'the group calls for a join',
    async () => {
      const beat = { groupId, memberId: one, generation: before, groupInstanceId: null }
      const { errorCode } = await group.ask(HEARTBEAT, beat)
      return errorCode === CODE.rebalanceInProgress
    },
  )
  await commit(2, before)
  const { generation: after } = await group.join(one)
  expect((await joining).generation).toBe(after)
  // All have joined, and nobody has a share yet.
  await refused(before)
  await commit(3, after)
  await refused(before)
  await group.bringShares(one, after)
  await commit(4, after)
  await group.leave(one, two)
}

async function producesBehindTheEnd(
  { cluster, log }: GroupLog,
  version: TransactionVersion,
): Promise<void> {
  const { topic, world } = await newGroup(
    { cluster, log, [Symbol.asyncDispose]: async () => {} },
    1,
  )
  const transactionalId = world.name('late')
  const coordinator = await cluster.coordinators.find({ kind: 'transaction', key: transactionalId })
  const { node } = await cluster.metadata.leader(at(topic))
  const versions = VERSIONS[version]
  const first = { transactionalId, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 }
  const { producerId, producerEpoch } = await cluster.ask(coordinator, [INIT_PRODUCER_ID, first], {
    version: versions.init,
  })
  const producer = { transactionalId, producerId, producerEpoch }
  const produce = async (baseSequence: number): Promise<number | undefined> => {
    const batch = new RecordBatchBuilder()
    const value = Buffer.from(`${baseSequence}`)
    batch.append({ key: null, value, timestamp: clock.now(), headers: [] })
    const stamp = { producerId, producerEpoch, baseSequence, baseOffset: 0, leaderEpoch: -1 }
    const records = batch.seal({ ...stamp, transactional: true })
    const topics = [{ topic, partitions: [{ partition: 0, records }] }]
    const request = { transactionalId, acks: -1, timeoutMs: 10_000, topics } as const
    const answer = await cluster.ask(node, [PRODUCE, request], { version: versions.produce })
    return answer.partitions[0]?.errorCode
  }
  if (version === 1) {
    const topics = [{ topic, partitions: [0] }]
    const added = await cluster.ask(coordinator, [ADD_PARTITIONS_TO_TXN, { ...producer, topics }], {
      version: 3,
    })
    expect(added.partitions).toMatchObject([{ errorCode: CODE.none }])
  }
  expect(await produce(0)).toBe(CODE.none)
  const ended = await cluster.ask(coordinator, [END_TXN, { ...producer, committed: true }], {
    version: versions.end,
  })
  expect(ended.errorCode).toBe(CODE.none)
  await until(
    clock,
    () => 'its marker is in the log',
    async () => (await world.end(topic, 'read_committed')) === 2,
  )
  const late =
    version === 1 ? [CODE.invalidTxnState] : [CODE.invalidProducerEpoch, CODE.producerFenced]
  expect(late).toContain(await produce(1))
  expect(await world.end(topic, 'read_uncommitted')).toBe(2)
  expect((await world.read(topic)).values).toEqual(['0'])
}

/** Whoever has more than its share keeps the lowest: the heir keeps what it was given, and gives what it had. */
const lowestKept: Assignor = {
  ...evenly,
  assign: ({ members, partitionsOf }) =>
    evenly.assign({
      members: members.map((member) => ({
        ...member,
        owned: member.owned.toSorted((a, b) => a.partition - b.partition),
      })),
      partitionsOf,
    }),
}

function offset(topic: Topic, value: number, partition = 0): CommittedOffset {
  return { ...atOffset(topic, value, partition), metadata: '' }
}
