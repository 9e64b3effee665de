import { afterAll, describe, expect, inject, test } from 'vitest'
import { HEARTBEAT } from '../../transport/kafka/api/heartbeat.ts'
import type { Api } from '../../transport/kafka/api/api.ts'
import { JOIN_GROUP } from '../../transport/kafka/api/join-group.ts'
import { CODE } from '../../transport/kafka/error-codes.ts'
import { groupLog, newGroup } from './group-members.ts'
import { kafkaTool } from './tools.ts'

const brokers = inject('kafkaBrokers')
const groups = groupLog(brokers)

afterAll(() => groups[Symbol.asyncDispose]())

test('Kafka’s own tools show the members of a group, and who has which partition', async () => {
  const group = await newGroup(groups, 4)
  const one = group.join('one', { groupInstanceId: 'first' })
  const two = group.join('two')
  await group.settled(4, one, two)
  const asked = ['--bootstrap-server', brokers.join(), '--describe', '--group', group.groupId]
  const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
  const [members, state] = await Promise.all([
    kafkaTool(tool, ...asked, '--members', '--verbose'),
    kafkaTool(tool, ...asked, '--state'),
  ])
  for (const { owned, metadata } of [one, two]) {
    const line = members.find((cells) => cells.includes(metadata.memberId))
    expect(line).toContain(`${group.topic}:${[...owned].toSorted((a, b) => a - b).join()}`)
    if (metadata.groupInstanceId !== undefined) expect(line).toContain(metadata.groupInstanceId)
  }
  expect(state[1]).toEqual(expect.arrayContaining(['evenly', 'Stable', '2']))
  await group.end(one, two)
})

describe('a member that wants into a group', () => {
  test('of connectors is told so', async () => {
    const group = await newGroup(groups, 1)
    const joining = {
      groupId: group.groupId,
      groupInstanceId: null,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      protocolType: 'connect',
      protocols: [{ name: 'sessioned', metadata: Buffer.alloc(4) }],
    }
    const named = await asked(group.groupId, JOIN_GROUP, { ...joining, memberId: '' })
    expect(named.errorCode).toBe(CODE.memberIdRequired)
    const { memberId } = named
    const { errorCode, generation } = await asked(group.groupId, JOIN_GROUP, {
      ...joining,
      memberId,
    })
    expect(errorCode).toBe(CODE.none)
    await expect(group.join('one').membership.closed).rejects.toMatchObject({
      code: 'MILLRACE_GROUP_PROTOCOL',
      message: expect.stringMatching(/something else.*'connect'/) as unknown,
    })
    const beat = { groupId: group.groupId, memberId, generation, groupInstanceId: null }
    expect(await asked(group.groupId, HEARTBEAT, beat)).toMatchObject({ errorCode: CODE.none })
  })

  test('of consumers for which the broker assigns is told so, and leaves them alone', async () => {
    const group = await newGroup(groups, 2)
    const { groupId, topic } = group
    const first = { groupId, memberId: groups.cluster.clock.uuid(), topic, epoch: 0 }
    const joined = await asked(groupId, CONSUMER_GROUP_HEARTBEAT, first)
    expect(joined.errorCode).toBe(CODE.none)
    await expect(group.join('one').membership.closed).rejects.toMatchObject({
      code: 'MILLRACE_GROUP_PROTOCOL',
      message: expect.stringContaining('newer protocol') as unknown,
    })
    const next = { ...first, epoch: -1 }
    expect(await asked(groupId, CONSUMER_GROUP_HEARTBEAT, next)).toMatchObject({ errorCode: 0 })
  })

  test('with a session that its brokers do not allow is told which setting it is about', async () => {
    const group = await newGroup(groups, 1)
    const one = group.join('one', { sessionTimeoutMs: 100 })
    await expect(one.membership.closed).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_REFUSED',
      message: expect.stringContaining('group.min.session.timeout.ms') as unknown,
    })
  })
})

async function asked<Q, R>(groupId: string, api: Api<Q, R>, request: Q): Promise<R> {
  const { cluster } = groups
  const node = await cluster.coordinators.find({ kind: 'group', key: groupId })
  return await cluster.ask(node, [api, request])
}

interface ConsumerGroupHeartbeat {
  readonly groupId: string
  readonly memberId: string
  readonly topic: string
  /** 0 joins, -1 leaves. */
  readonly epoch: number
}

/** What consumers of Kafka's newer protocol send. */
const CONSUMER_GROUP_HEARTBEAT: Api<ConsumerGroupHeartbeat, { readonly errorCode: number }> = {
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: [0, 0],
  flexibleFrom: 0,
  encode(to, { groupId, memberId, topic, epoch }) {
    to.string(groupId).string(memberId).int32(epoch)
    to.nullableString(null).nullableString(null).int32(10_000)
    to.strings([topic])
    to.nullableString(null)
    to.array([], () => {})
    to.tags()
  },
  decode(from) {
    from.int32()
    return { errorCode: from.int16() }
  },
}
