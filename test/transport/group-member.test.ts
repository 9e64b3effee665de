import { describe, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { evenly } from '../../transport/conformance-group-world.ts'
import type { Membership, MembershipOptions } from '../../transport/membership.ts'
import type { Fate, Operation } from '../../transport/memory/faults.ts'
import { memoryLog, type MemoryConnection } from '../../transport/memory/memory-log.ts'

const TOPIC = asTopic('topic')
const SESSION_MS = 10_000
const REBALANCE_MS = 2_000
const REFUSED = { outcome: 'refused' } as const

interface Told {
  readonly membership: Membership
  readonly connection: MemoryConnection
  /** What was told, e.g. `assigned 0 1`. */
  readonly events: string[]
}

type Kind = Operation['kind']

/** A log on a simulated clock; the next operations of a kind of a connection have the fates given. */
function world(fates: Record<string, Partial<Record<Kind, Fate[]>>> = {}) {
  const clock = new SimulatedClock(1)
  const faults = {
    decide: ({ connection, kind }: Operation) => fates[connection]?.[kind]?.shift(),
  }
  const log = memoryLog({ clock, faults })
  const join = (
    name: string,
    { during, ...options }: Partial<MembershipOptions> & { during?: During } = {},
  ): Told => {
    const connection = log.connect(name)
    const events: string[] = []
    const told = async (
      what: keyof During,
      those: readonly { readonly partition: number }[] = [],
    ): Promise<void> => {
      events.push([what, ...those.map(({ partition }) => partition)].join(' '))
      await during?.[what]?.()
    }
    const membership = connection.openMembership({
      groupId: 'group',
      topics: [TOPIC],
      assignor: evenly,
      userData: () => Buffer.from(name),
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      heartbeatIntervalMs: 1_000,
      ...options,
      listener: {
        joining: () => told('joining'),
        revoked: (those) => told('revoked', those),
        assigned: ({ added }) => told('assigned', added),
        lost: (those) => told('lost', those),
      },
    })
    membership.closed.catch(() => undefined)
    membership.start()
    return { membership, connection, events }
  }
  /** Lets simulated time pass. */
  const pass = async (ms: number): Promise<void> => await run(sleep(clock, ms))
  const run = async <T>(work: Promise<T>): Promise<T> => {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    work.then(settle, settle)
    await clock.runUntil(() => isSettled, 3_600_000)
    return await work
  }
  const create = (partitions: number) => run(log.admin.createTopics([{ topic: TOPIC, partitions }]))
  return { clock, log, join, pass, run, create }
}

type During = Partial<Record<'joining' | 'revoked' | 'assigned' | 'lost', () => Promise<void>>>

const offset = { topic: TOPIC, partition: asPartition(0), offset: asOffset(1), metadata: '' }

describe('a member', () => {
  test('is in the group once, however many answers are lost', async () => {
    const { join, pass, run, create, log } = world({
      one: {
        joinGroup: [{ outcome: 'lost' }, { outcome: 'lost' }, { outcome: 'refused' }],
        syncGroup: [{ outcome: 'lost' }, { outcome: 'refused' }],
      },
    })
    await create(2)
    const one = join('one')
    await pass(5_000)
    expect(one.events).toEqual(['joining', 'assigned 0 1'])
    expect(await run(log.admin.describeGroup('group'))).toMatchObject([
      { memberId: one.membership.metadata.memberId },
    ])
    await run(one.membership.leave())
    expect(await run(log.admin.describeGroup('group'))).toEqual([])
  })

  test('that is killed is out when its session is over, and not before', async () => {
    const { clock, join, pass, create } = world()
    await create(2)
    const [one, two] = [join('one'), join('two')]
    await pass(5_000)
    expect([one.events.at(-1), two.events.at(-1)]).toEqual(['assigned 0', 'assigned 1'])
    one.connection.kill()
    await pass(SESSION_MS - 1_500)
    expect(two.events).toHaveLength(2)
    await pass(3_000)
    expect(two.events.slice(2)).toEqual(['joining', 'assigned 0'])
    two.connection.kill()
    // Nothing of the dead is left that could happen.
    await expect(clock.runUntil(() => false, 100_000)).rejects.toThrow('no timer is left')
  })

  test('beats while its listener takes its time', async () => {
    const { clock, join, pass, create } = world()
    await create(2)
    const one = join('one', { during: { assigned: () => sleep(clock, 5 * SESSION_MS) } })
    await pass(6 * SESSION_MS)
    expect(one.events).toEqual(['joining', 'assigned 0 1'])
    expect(one.membership.metadata.memberId).not.toBe('')
  })

  test('that was not heard of is nobody as soon as it knows, and its offsets are refused before that', async () => {
    const { clock, join, pass, run, create, log } = world({
      one: { heartbeat: [{}, { requestDelayMs: 2 * SESSION_MS }] },
    })
    await create(1)
    const one = join('one', { during: { lost: () => sleep(clock, 5_000) } })
    const two = join('two')
    await pass(1_000)
    const old = one.membership.metadata
    expect(old.generation).toBe(1)
    await pass(1.5 * SESSION_MS)
    expect(two.events.at(-1)).toBe('assigned 0')
    expect(one.membership.metadata).toEqual(old)
    await expect(run(log.admin.commitOffsets('group', [offset], old))).rejects.toMatchObject({
      code: 'MILLRACE_GROUP_FENCED',
      kind: 'abortable',
    })
    await pass(2 * SESSION_MS)
    expect(one.events.slice(2)).toEqual(['lost 0', 'joining', 'assigned'])
    expect(one.membership.metadata.memberId).not.toBe(old.memberId)
  })

  test('leaves out of whatever it is in, and its log with it', async () => {
    const { clock, join, pass, run, create, log } = world()
    await create(2)
    const slow = { during: { revoked: () => sleep(clock, 500), joining: () => sleep(clock, 100) } }
    const one = join('one', slow)
    for (const afterMs of [0, 50, 110, 115, 125, 200, 1_000]) {
      const two = join(`two-${afterMs}`, slow)
      await pass(afterMs)
      await run(two.membership.leave())
      await two.membership.closed
      expect(two.membership.metadata.memberId).toBe('')
      await pass(5_000)
      expect(await run(log.admin.describeGroup('group'))).toHaveLength(1)
    }
    await run(Promise.resolve(one.connection[Symbol.asyncDispose]()))
    expect(one.events.at(-1)).toBe('revoked 0 1')
    expect(await run(log.admin.describeGroup('group'))).toEqual([])
  })

  test('that never started leaves in peace', async () => {
    const { log, run } = world()
    const none = (): Promise<void> => Promise.resolve()
    const membership = log.openMembership({
      groupId: 'group',
      topics: [TOPIC],
      assignor: evenly,
      userData: () => Buffer.alloc(0),
      listener: { joining: none, revoked: none, assigned: none, lost: none },
    })
    await run(membership.leave())
    await membership.closed
  })

  test('that assigns waits for a topic that its log does not know yet', async () => {
    const { join, pass, create } = world()
    const one = join('one')
    await pass(REBALANCE_MS / 4)
    expect(one.events).toEqual(['joining'])
    await create(2)
    await pass(REBALANCE_MS)
    expect(one.events).toEqual(['joining', 'assigned 0 1'])
  })

  test('that assigns ends where a topic is gone, with its name, and takes nothing from anybody', async () => {
    const { join, pass, run, create, log } = world()
    await create(2)
    const one = join('one')
    await pass(5_000)
    await run(log.admin.deleteTopics([TOPIC]))
    const two = join('two')
    await expect(run(one.membership.closed)).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
      kind: 'fatal',
      message: expect.stringContaining('topic[0] does not exist'),
    })
    expect(one.events).toEqual(['joining', 'assigned 0 1', 'joining'])
    // The next one that assigns looks for itself.
    await create(1)
    await pass(5_000)
    expect(two.events).toEqual(['joining', 'assigned 0'])
  })

  test('asks for no second rebalance because it had to ask for a join again', async () => {
    const { join, pass, create } = world({
      // Between two tries a heartbeat of the old generation is told of the rebalance that they join.
      one: { joinGroup: [{}, {}, ...Array.from({ length: 9 }, () => REFUSED)] },
    })
    await create(1)
    const one = join('one', { heartbeatIntervalMs: 100, rebalanceTimeoutMs: SESSION_MS })
    await pass(5_000)
    const two = join('two', { heartbeatIntervalMs: 100, rebalanceTimeoutMs: SESSION_MS })
    await pass(SESSION_MS)
    expect(one.events).toEqual(['joining', 'assigned 0', 'joining', 'assigned'])
    expect(two.events).toEqual(['joining', 'assigned'])
    expect(one.membership.metadata.generation).toBe(2)
  })

  test('tells until when the group counts on it: a session after the last sign that was answered was sent', async () => {
    const beats: Fate[] = [{}, {}, { requestDelayMs: 300, responseDelayMs: 400 }]
    const { clock, join, pass, run, create } = world({ one: { heartbeat: beats } })
    await create(1)
    const one = join('one')
    expect(one.membership.aliveUntilMs).toBe(-Infinity)
    await pass(500)
    const syncedAtMs = one.membership.aliveUntilMs - SESSION_MS
    expect(syncedAtMs).toBeGreaterThanOrEqual(0)
    expect(syncedAtMs).toBeLessThan(500)
    while (beats.length > 1) await pass(100)
    while (beats.length > 0) await pass(1)
    const sentAtMs = clock.monotonic()
    await pass(600)
    expect(one.membership.aliveUntilMs).toBeLessThan(sentAtMs + SESSION_MS - 900)
    await pass(200)
    expect(one.membership.aliveUntilMs).toBeGreaterThanOrEqual(sentAtMs + SESSION_MS - 1)
    expect(one.membership.aliveUntilMs).toBeLessThanOrEqual(sentAtMs + SESSION_MS)
    await run(one.membership.leave())
    expect(one.membership.aliveUntilMs).toBe(-Infinity)
  })

  test('whose assignor gives a partition away twice ends with that', async () => {
    const { join, pass, create } = world()
    await create(1)
    const partitions = [{ topic: TOPIC, partition: asPartition(0) }]
    const assignor = {
      ...evenly,
      assign: ({ members }: Parameters<typeof evenly.assign>[0]) =>
        members.map(({ memberId }) => ({ memberId, partitions, userData: Buffer.alloc(0) })),
    }
    const [one, two] = [join('one', { assignor }), join('two', { assignor })]
    await pass(5_000)
    const ends = await Promise.allSettled(
      [one.membership.closed, two.membership.closed].slice(0, 1),
    )
    expect(ends[0]).toMatchObject({ status: 'rejected' })
    expect(two.events).toContain('assigned 0')
  })
})

describe('a static member', () => {
  test('whose join is late loses what others have by then, before it can commit it', async () => {
    const { join, pass, create } = world({
      // The first takes part, the second comes when the others have gone on.
      one: { joinGroup: [{}, { requestDelayMs: 2 * REBALANCE_MS }] },
    })
    await create(2)
    const one = join('one', { groupInstanceId: 'one' })
    await pass(900)
    expect(one.events).toEqual(['joining', 'assigned 0 1'])
    const two = join('two')
    await pass(5 * REBALANCE_MS)
    expect(one.events.slice(2)).toEqual(['joining', 'lost 0 1', 'assigned 0'])
    const told = two.events.filter((event) => event !== 'joining')
    expect(told).toEqual(['assigned 1', 'assigned'])
  })

  test('that restarts when it should have given something back lets others have it', async () => {
    const { clock, join, pass, create } = world()
    await create(2)
    const one = join('one', {
      groupInstanceId: 'one',
      during: { revoked: () => sleep(clock, 1_000) },
    })
    await pass(900)
    const two = join('two')
    await pass(600)
    expect(one.events.at(-1)).toMatch(/^revoked/)
    one.connection.kill()
    const again = join('one again', { groupInstanceId: 'one' })
    await pass(2 * REBALANCE_MS)
    expect(again.events.slice(0, 2)).toEqual(['joining', expect.stringMatching(/^assigned [01]$/)])
    expect(two.events.at(-1)).toMatch(/^assigned [01]$/)
  })
})
