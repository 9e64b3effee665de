import { expect, test } from 'vitest'
import { sleep } from '../../../model/clock.ts'
import { SimulatedClock } from '../../../testing/simulated-clock.ts'
import type { GroupCoordinatorPort } from '../../../transport/group-requests.ts'
import type { Api } from '../../../transport/kafka/api/api.ts'
import type {
  GroupLane,
  GroupLink,
  GroupRequestOptions,
} from '../../../transport/kafka/group/group-link.ts'
import {
  GOODBYE_DEADLINE_MS,
  HEARTBEATS_PER_SESSION,
  KafkaCoordinator,
} from '../../../transport/kafka/group/kafka-coordinator.ts'
import { brokerUnreachable, requestTimedOut } from '../../../transport/kafka/kafka-errors.ts'

const REQUEST_DEADLINE_MS = 30_000
const CHECK_MS = 10_000
const MEMBER = { groupId: 'g', memberId: 'm' }
const JOIN = {
  ...MEMBER,
  sessionTimeoutMs: 6_000,
  rebalanceTimeoutMs: 45_000,
  protocol: 'tasks',
  subscription: Buffer.from('mine'),
}
const SYNC = { ...MEMBER, generation: 3, assignments: [] }
const BEAT = { ...MEMBER, generation: 3 }
const NOTHING = { memberId: '', generation: -1, leader: '', members: [] }
const ADDRESS = { host: 'broker', port: 1 }

interface Asked {
  readonly lane: GroupLane
  readonly node: number
  readonly api: string
  readonly request: unknown
  readonly deadlineMs: number
}

/** What a test lets a broker say: an answer, an error, or nothing until it is dropped. */
type Line = Readonly<Record<string, unknown>> | Error | 'silence'

/** A coordinator over brokers that answer line by line, each api from a list of its own; the last line stays. */
function scripted(lines: Readonly<Record<string, readonly Line[]>>, findingMs = 0) {
  const clock = new SimulatedClock(1)
  const left = new Map(Object.entries(lines).map(([api, of]) => [api, [...of]]))
  const asked: Asked[] = []
  const log: string[] = []
  const held: ((reason: Error) => void)[] = []
  const link: GroupLink = {
    clock,
    coordinator: async () => {
      if (findingMs > 0) await sleep(clock, findingMs)
      return 7
    },
    forgetCoordinator: (groupId) => log.push(`forget ${groupId}`),
    ask: async <Q, R>(
      to: { readonly lane: GroupLane; readonly node: number },
      [{ name }, request]: readonly [Api<Q, R>, Q],
      { deadlineMs, signal }: GroupRequestOptions,
    ) => {
      asked.push({ ...to, api: name, request, deadlineMs })
      const of = left.get(name) ?? []
      const line = of.length > 1 ? of.shift() : of[0]
      if (line === 'silence') {
        const { promise, reject } = Promise.withResolvers<never>()
        held.push(reject)
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
        return await promise
      }
      if (line === undefined || line instanceof Error)
        throw line ?? new Error(`no line for ${name}`)
      return line as R
    },
    drop: async (lane, node, reason) => {
      log.push(`drop ${lane} ${node}`)
      for (const reject of held.splice(0)) reject(reason)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const limits = { requestDeadlineMs: REQUEST_DEADLINE_MS, heldRoundCheckMs: CHECK_MS }
  const coordinator: GroupCoordinatorPort = new KafkaCoordinator(link, limits)
  return { clock, coordinator, asked, log }
}

const nobodyLeaves = (): AbortSignal => new AbortController().signal
const joinedAs = (leader: string) => ({
  errorCode: 0,
  memberId: 'm',
  generation: 3,
  leader,
  members: [{ memberId: 'm', groupInstanceId: null, metadata: Buffer.from('mine') }],
})
const described = (group: Readonly<Record<string, unknown>>): Line => ({
  groups: [{ errorCode: 0, state: 'Stable', protocolType: 'consumer', protocol: '', ...group }],
})

test('a newcomer is given a name, and joins with it as a consumer of the group', async () => {
  const named = { ...NOTHING, errorCode: 79, memberId: 'm' }
  const { coordinator, asked } = scripted({ JoinGroup: [named, joinedAs('m')] })
  const newcomer = { ...JOIN, memberId: '', groupInstanceId: 'i' }
  const first = await coordinator.join(newcomer, nobodyLeaves())
  expect(first).toEqual({ kind: 'named', memberId: 'm' })
  expect(await coordinator.join({ ...JOIN, memberId: 'm' }, nobodyLeaves())).toEqual({
    kind: 'joined',
    memberId: 'm',
    generation: 3,
    assigns: true,
    members: [{ memberId: 'm', subscription: Buffer.from('mine') }],
  })
  expect(asked).toMatchObject([
    { request: { memberId: '', groupInstanceId: 'i' } },
    {
      lane: 'rounds',
      node: 7,
      deadlineMs: 45_000 + REQUEST_DEADLINE_MS,
      request: {
        memberId: 'm',
        groupInstanceId: null,
        protocolType: 'consumer',
        sessionTimeoutMs: 6_000,
        rebalanceTimeoutMs: 45_000,
        protocols: [{ name: 'tasks', metadata: Buffer.from('mine') }],
      },
    },
  ])
})

test('a request has the time that finding its coordinator has left', async () => {
  const { clock, coordinator, asked } = scripted({ JoinGroup: [joinedAs('m')] }, 3_000)
  const joining = coordinator.join(JOIN, nobodyLeaves())
  await clock.runUntil(() => asked.length > 0, 10_000)
  await joining
  expect(asked).toMatchObject([{ deadlineMs: 45_000 + REQUEST_DEADLINE_MS - 3_000 }])
})

test('who is not the leader assigns nothing', async () => {
  const { coordinator } = scripted({ JoinGroup: [joinedAs('another')] })
  expect(await coordinator.join(JOIN, nobodyLeaves())).toMatchObject({ assigns: false })
})

test('a sync says by which protocol the member joined, and brings back its share', async () => {
  const share = Buffer.from('share')
  const { coordinator, asked } = scripted({
    JoinGroup: [joinedAs('m')],
    SyncGroup: [{ errorCode: 0, assignment: share }],
  })
  await coordinator.join(JOIN, nobodyLeaves())
  const synced = { kind: 'synced', assignment: share }
  expect(await coordinator.sync(SYNC, nobodyLeaves())).toEqual(synced)
  expect(asked[1]).toMatchObject({
    lane: 'rounds',
    deadlineMs: 45_000 + REQUEST_DEADLINE_MS,
    request: { protocolType: 'consumer', protocolName: 'tasks', generation: 3 },
  })
})

test('heartbeats go beside the rounds, and are given up in time for others within the session', async () => {
  const { coordinator, asked } = scripted({
    JoinGroup: [joinedAs('m')],
    Heartbeat: [{ errorCode: 0 }],
  })
  await coordinator.join(JOIN, nobodyLeaves())
  expect(await coordinator.heartbeat(BEAT, nobodyLeaves())).toEqual({ kind: 'alive' })
  const deadlineMs = JOIN.sessionTimeoutMs / HEARTBEATS_PER_SESSION
  expect(asked[1]).toMatchObject({ lane: 'signs', node: 7, deadlineMs })
})

test.each([
  [22, 'illegal-generation'],
  [25, 'unknown-member'],
  [27, 'rebalancing'],
  [82, 'fenced-instance'],
])('code %i is the refusal %s', async (errorCode, why) => {
  const answer = { errorCode, assignment: Buffer.alloc(0) }
  const { coordinator } = scripted({ SyncGroup: [answer], Heartbeat: [answer] })
  const refusal = { kind: 'refused', why }
  expect(await coordinator.sync(SYNC, nobodyLeaves())).toEqual(refusal)
  expect(await coordinator.heartbeat(BEAT, nobodyLeaves())).toEqual(refusal)
})

test.each([
  ['has moved', { ...NOTHING, errorCode: 16 }, ['forget g']],
  ['is not there yet', { ...NOTHING, errorCode: 15 }, ['forget g']],
  ['loads its groups', { ...NOTHING, errorCode: 14 }, []],
  ['cannot be reached', brokerUnreachable(ADDRESS, 'it is gone'), ['forget g']],
  ['does not answer', requestTimedOut(ADDRESS, 'any', 1), ['forget g']],
])('a coordinator that %s is asked again', async (_, line, expected) => {
  const all = ['JoinGroup', 'SyncGroup', 'Heartbeat', 'LeaveGroup']
  const { coordinator, log } = scripted(Object.fromEntries(all.map((api) => [api, [line]])))
  const calls = [
    () => coordinator.join(JOIN, nobodyLeaves()),
    () => coordinator.sync(SYNC, nobodyLeaves()),
    () => coordinator.heartbeat(BEAT, nobodyLeaves()),
    () => coordinator.leave(MEMBER, nobodyLeaves()),
  ]
  for (const call of calls) {
    log.length = 0
    await expect(call()).rejects.toMatchObject({ kind: 'retriable' })
    expect(log).toEqual(expected)
  }
})

test('what a group of other consumers assigns by is asked for', async () => {
  const { coordinator } = scripted({
    JoinGroup: [{ ...NOTHING, errorCode: 23 }],
    DescribeGroups: [described({ protocol: 'range' }), described({ state: 'PreparingRebalance' })],
  })
  const refusal = { kind: 'refused', why: 'other-protocol' }
  expect(await coordinator.join(JOIN, nobodyLeaves())).toEqual({ ...refusal, protocol: 'range' })
  expect(await coordinator.join(JOIN, nobodyLeaves())).toMatchObject(refusal)
})

test.each([
  ['has emptied meanwhile', { state: 'Empty' }],
  ['agrees meanwhile', { protocol: 'tasks' }],
])('a group that refused and %s is asked again', async (_, group) => {
  const { coordinator } = scripted({
    JoinGroup: [{ ...NOTHING, errorCode: 23 }],
    DescribeGroups: [described(group)],
  })
  const again = { kind: 'retriable' }
  await expect(coordinator.join(JOIN, nobodyLeaves())).rejects.toMatchObject(again)
})

test.each([
  ['of a connector', { protocolType: 'connect', protocol: 'sessioned' }, "'connect'"],
  ['that Kafka knows by other requests', { state: 'Dead', protocolType: '' }, 'another kind'],
])('a group %s is none of ours', async (_, group, says) => {
  const { coordinator } = scripted({
    JoinGroup: [{ ...NOTHING, errorCode: 23 }],
    DescribeGroups: [described(group)],
  })
  await expect(coordinator.join(JOIN, nobodyLeaves())).rejects.toMatchObject({
    code: 'MILLRACE_GROUP_PROTOCOL',
    kind: 'fatal',
    message: expect.stringContaining(says) as unknown,
  })
})

test('a group that the broker assigns for is left again', async () => {
  const { coordinator, asked } = scripted({
    JoinGroup: [joinedAs('')],
    LeaveGroup: [{ errorCode: 0, members: [] }],
  })
  const code = 'MILLRACE_GROUP_PROTOCOL'
  await expect(coordinator.join(JOIN, nobodyLeaves())).rejects.toMatchObject({ code })
  expect(asked[1]).toMatchObject({ request: { members: [{ memberId: 'm' }] } })
})

test.each([
  [24, 'no group can have that id'],
  [26, 'group.min.session.timeout.ms'],
  [81, 'group.max.size'],
])('code %i says which setting it is about', async (errorCode, says) => {
  const { coordinator } = scripted({ JoinGroup: [{ ...NOTHING, errorCode }] })
  await expect(coordinator.join(JOIN, nobodyLeaves())).rejects.toMatchObject({
    code: 'MILLRACE_KAFKA_REFUSED',
    kind: 'fatal',
    message: expect.stringContaining(says) as unknown,
  })
})

test('who may not join is told which right is missing', async () => {
  const { coordinator } = scripted({ JoinGroup: [{ ...NOTHING, errorCode: 30 }] })
  await expect(coordinator.join(JOIN, nobodyLeaves())).rejects.toMatchObject({
    code: 'MILLRACE_KAFKA_NOT_AUTHORIZED',
    kind: 'fatal',
    message: expect.stringContaining('group g') as unknown,
  })
})

test('a goodbye of who is out already is none, and is never waited for long', async () => {
  const { coordinator, asked } = scripted({
    LeaveGroup: [
      { errorCode: 0, members: [{ ...MEMBER, errorCode: 25 }] },
      { errorCode: 0, members: [{ ...MEMBER, errorCode: -1 }] },
    ],
  })
  await coordinator.leave(MEMBER, nobodyLeaves())
  expect(asked[0]).toMatchObject({ lane: 'signs', deadlineMs: GOODBYE_DEADLINE_MS })
  const code = 'MILLRACE_KAFKA_REFUSED'
  await expect(coordinator.leave(MEMBER, nobodyLeaves())).rejects.toMatchObject({ code })
})

test('a join that is held back goes on while its broker answers beside it, and not longer', async () => {
  const { clock, coordinator, asked, log } = scripted({
    JoinGroup: ['silence'],
    FindCoordinator: [{ nodeId: 7 }, { nodeId: 7 }, requestTimedOut(ADDRESS, 'FindCoordinator', 1)],
  })
  const outcome = coordinator.join(JOIN, nobodyLeaves()).catch((error: unknown) => error)
  let isOver = false
  void outcome.then(() => (isOver = true))
  await clock.runUntil(() => isOver, 10 * CHECK_MS)
  expect(clock.monotonic()).toBe(3 * CHECK_MS)
  expect(asked.slice(1).map(({ lane, node }) => [lane, node])).toEqual(Array(3).fill(['signs', 7]))
  expect(log).toEqual(['drop rounds 7', 'forget g'])
  expect(await outcome).toMatchObject({ kind: 'retriable' })
})

test('nobody looks after a join that is answered, or that its member gave up', async () => {
  const { clock, coordinator } = scripted({ JoinGroup: [joinedAs('m'), 'silence'] })
  await coordinator.join(JOIN, nobodyLeaves())
  const leaving = new AbortController()
  const given = coordinator.join(JOIN, leaving.signal).catch((error: unknown) => error)
  await Promise.resolve()
  leaving.abort(new Error('the member leaves'))
  expect(await given).toEqual(new Error('the member leaves'))
  await expect(clock.runUntil(() => false, 100_000)).rejects.toThrow('no timer is left')
})
