import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { borrowNodes, type BorrowedNodes } from './borrowed-nodes.ts'
import type { KafkaNode } from './broker.ts'
import { groupLog, newGroup, type GroupLog } from './group-members.ts'

const clock = systemClock()
/** Shorter than usual, so that a test need not wait long for them. */
const LIMITS = { requestDeadlineMs: 3_000, heldRoundCheckMs: 1_000, connectDeadlineMs: 3_000 }
let brokers: BorrowedNodes
let groups: GroupLog

beforeAll(async () => {
  brokers = await borrowNodes()
  groups = groupLog(brokers.brokers, LIMITS)
})

// Who came back has to have caught up before the next one is halted: one node of three takes no writes.
beforeEach(() => brokers.whole())

afterAll(async () => {
  await groups?.[Symbol.asyncDispose]()
  await brokers?.[Symbol.asyncDispose]()
})

async function coordinatorOf(groupId: string): Promise<KafkaNode> {
  const what = { kind: 'group', key: groupId } as const
  groups.cluster.coordinators.forget(what)
  return brokers.node(await groups.cluster.coordinators.find(what))
}

test('members stay who they are when their coordinator is killed, and another takes over', async () => {
  const group = await newGroup(groups, 6)
  const [one, two] = [group.join('one'), group.join('two')]
  await group.settled(6, one, two)
  const before = [one, two].map(({ metadata, events }) => ({ metadata, events: [...events] }))
  const node = await coordinatorOf(group.groupId)
  await node.kill()
  expect((await groups.log.admin.describeGroup(group.groupId)).length).toBe(2)
  expect((await coordinatorOf(group.groupId)).id).not.toBe(node.id)
  expect([one, two].map(({ metadata, events }) => ({ metadata, events }))).toEqual(before)
  const three = group.join('three')
  await group.settled(6, one, two, three)
  expect([one, two, three].flatMap(({ events }) => events).join()).not.toContain('lost')
  await node.start()
  await group.end(one, two, three)
})

test('a join goes on elsewhere when the broker that holds it back says nothing any more', async () => {
  const group = await newGroup(groups, 2)
  const gate = Promise.withResolvers<void>()
  let joins = 0
  const joining = async (): Promise<void> => {
    joins += 1
    if (joins === 2) await gate.promise
  }
  const one = group.join('one', { on: { joining } })
  await group.settled(2, one)
  const two = group.join('two')
  await group.until('one to be asked to join again', () => joins === 2)
  const node = await coordinatorOf(group.groupId)
  node.halt()
  try {
    gate.resolve()
    await group.settled(2, one, two)
    expect((await coordinatorOf(group.groupId)).id).not.toBe(node.id)
  } finally {
    node.resume()
  }
  await group.end(one, two)
})

test('a group that is full says so', async () => {
  const group = await newGroup(groups, 8)
  const members = Array.from({ length: 8 }, (_, at) => group.join(`member ${at}`))
  await group.settled(8, ...members)
  await expect(group.join('one more').membership.closed).rejects.toMatchObject({
    code: 'MILLRACE_KAFKA_REFUSED',
    message: expect.stringContaining('group.max.size') as unknown,
  })
  await group.end(...members)
})

test('a member leaves within seconds when there is no cluster any more', async () => {
  const group = await newGroup(groups, 1)
  const one = group.join('one')
  await group.settled(1, one)
  await Promise.all(brokers.nodes.map((node) => node.kill()))
  await sleep(clock, 100)
  const began = clock.monotonic()
  await one.membership.leave()
  expect(clock.monotonic() - began).toBeLessThan(15_000)
  expect(one.lastEvent).toBe('revoked 0')
})
