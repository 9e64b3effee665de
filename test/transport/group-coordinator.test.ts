import { describe, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { GroupCoordinator } from '../../transport/group-coordinator.ts'
import type { Joined, JoinAnswer, JoinRequest } from '../../transport/group-requests.ts'

const SESSION_MS = 10_000
const REBALANCE_MS = 3_000
const GATHER_MS = 20

/** A coordinator on a simulated clock, asked directly. */
function world() {
  const clock = new SimulatedClock(1)
  const coordinator = new GroupCoordinator(clock, { initialRebalanceDelayMs: GATHER_MS })
  const run = async <T>(work: Promise<T>): Promise<T> => {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    work.then(settle, settle)
    await clock.runUntil(() => isSettled, 3_600_000)
    return await work
  }
  const pass = async (ms: number): Promise<void> => await run(sleep(clock, ms))
  /** Joins under the name that a newcomer gets. */
  const enter = async (rest: Partial<JoinRequest> = {}): Promise<JoinAnswer> => {
    const answer = await coordinator.join(request(rest))
    if (answer.kind !== 'named') return answer
    return await coordinator.join(request({ ...rest, memberId: answer.memberId }))
  }
  /** Two members that join at once; the first assigns. */
  const enterBoth = async (): Promise<[Joined, Joined]> => {
    const [first, second] = await run(Promise.all([enter(), enter()]))
    return [joined(first), joined(second)]
  }
  return { clock, coordinator, run, pass, enter, enterBoth }
}

function request(rest: Partial<JoinRequest> = {}): JoinRequest {
  return {
    groupId: 'group',
    memberId: '',
    sessionTimeoutMs: SESSION_MS,
    rebalanceTimeoutMs: REBALANCE_MS,
    protocol: 'evenly',
    subscription: Buffer.from('x'),
    ...rest,
  }
}

function joined(answer: JoinAnswer): Joined {
  if (answer.kind !== 'joined') throw new Error(JSON.stringify(answer))
  return answer
}

/** A request of a member in the generation it joined. */
function of({ memberId, generation }: Joined, rest: object = {}) {
  return { groupId: 'group', memberId, generation, ...rest }
}

const REFUSED = (why: string) => ({ kind: 'refused', why })

describe('a coordinator', () => {
  test('waits a moment for others to start with the first, and has one of them assign', async () => {
    const { coordinator, run, enter, pass } = world()
    const earlier = enter()
    await pass(GATHER_MS / 2)
    const later = enter()
    const [first, second] = [joined(await run(earlier)), joined(await run(later))]
    expect([first.generation, second.generation]).toEqual([1, 1])
    expect([first.assigns, second.assigns]).toEqual([true, false])
    expect(first.members.map(({ memberId }) => memberId)).toEqual([first.memberId, second.memberId])
    expect(second.members).toEqual([])
    const waiting = coordinator.sync({ ...of(second), assignments: [] })
    const assignments = [first, second].map(({ memberId }, index) => ({
      memberId,
      assignment: Buffer.of(index),
    }))
    expect(await coordinator.sync({ ...of(first), assignments })).toEqual({
      kind: 'synced',
      assignment: Buffer.of(0),
    })
    expect(await waiting).toEqual({ kind: 'synced', assignment: Buffer.of(1) })
    expect(coordinator.describe('group').map(({ assignment }) => assignment[0])).toEqual([0, 1])
  })

  test('refuses what is of no member, of another generation, or of another instance', async () => {
    const { coordinator, run, enter } = world()
    const one = joined(await run(enter({ groupInstanceId: 'i' })))
    const instance = { groupInstanceId: 'i' }
    const cases = [
      [of(one, instance), { kind: 'alive' }],
      [of(one), REFUSED('unknown-member')],
      [of({ ...one, memberId: 'x' }), REFUSED('unknown-member')],
      [of({ ...one, memberId: 'x' }, instance), REFUSED('fenced-instance')],
      [of({ ...one, generation: 0 }, instance), REFUSED('illegal-generation')],
      [{ ...of(one, instance), groupId: 'none' }, REFUSED('unknown-member')],
    ] as const
    for (const [asked, answer] of cases) {
      expect(coordinator.heartbeat(asked)).toEqual(answer)
      const synced = await coordinator.sync({ ...asked, assignments: [] })
      if (answer.kind === 'refused') expect(synced).toEqual(answer)
    }
    expect(await coordinator.join(request({ memberId: 'x' }))).toEqual(REFUSED('unknown-member'))
    expect(await coordinator.join(request({ protocol: 'other' }))).toEqual({
      ...REFUSED('other-protocol'),
      protocol: 'evenly',
    })
  })

  test('answers a repeated join alike, and takes a new one as a call to all', async () => {
    const { coordinator, enterBoth } = world()
    const [first, second] = await enterBoth()
    const again = (one: Joined, subscription = 'x') =>
      coordinator.join(request({ memberId: one.memberId, subscription: Buffer.from(subscription) }))
    expect(await again(first)).toEqual(first)
    expect(await again(second)).toEqual(second)
    await coordinator.sync({ ...of(first), assignments: [] })
    expect(await again(second)).toEqual(second)
    expect(coordinator.heartbeat(of(first))).toEqual({ kind: 'alive' })
    const next = again(second, 'changed')
    expect(coordinator.heartbeat(of(first))).toEqual(REFUSED('rebalancing'))
    expect(await coordinator.sync({ ...of(first), assignments: [] })).toEqual(
      REFUSED('rebalancing'),
    )
    expect(joined(await again(first)).generation).toBe(2)
    expect(joined(await next).generation).toBe(2)
  })

  test('puts out who joined and never asked for its share, and calls all others', async () => {
    const { coordinator, pass, enterBoth } = world()
    const [first, second] = await enterBoth()
    const waiting = coordinator.sync({ ...of(second), assignments: [] })
    await pass(REBALANCE_MS + 1)
    expect(await waiting).toEqual(REFUSED('rebalancing'))
    expect(coordinator.heartbeat(of(first))).toEqual(REFUSED('unknown-member'))
    const rest = { memberId: second.memberId, subscription: Buffer.from('y') }
    const alone = joined(await coordinator.join(request(rest)))
    expect([alone.generation, alone.assigns]).toEqual([2, true])
  })

  test('forgets names that nobody joined with, and says nothing of a member to its group', async () => {
    const { coordinator, pass } = world()
    const named = await coordinator.join(request())
    if (named.kind !== 'named') throw new Error('a newcomer is named')
    expect(coordinator.describe('group')).toEqual([])
    await pass(SESSION_MS + 1)
    expect(await coordinator.join(request({ memberId: named.memberId }))).toEqual(
      REFUSED('unknown-member'),
    )
  })

  test('has another assign where the one that did has left', async () => {
    const { coordinator, enterBoth } = world()
    const [first, second] = await enterBoth()
    const waiting = coordinator.sync({ ...of(second), assignments: [] })
    coordinator.leave(of(first))
    expect(await waiting).toEqual(REFUSED('rebalancing'))
    const subscription = Buffer.from('y')
    const next = joined(
      await coordinator.join(request({ memberId: second.memberId, subscription })),
    )
    expect([next.generation, next.assigns, next.members.length]).toEqual([2, true, 1])
  })

  test('waits for static members that are all restarting', async () => {
    const { coordinator, run, enter, pass } = world()
    const one = joined(await run(enter({ groupInstanceId: 'i' })))
    await coordinator.sync({ ...of(one, { groupInstanceId: 'i' }), assignments: [] })
    const other = joined(await run(enter({ groupInstanceId: 'j' })))
    expect(other.generation).toBe(2)
    coordinator.leave({ ...of(other), groupInstanceId: 'j' })
    await pass(REBALANCE_MS + 1)
    expect(coordinator.describe('group')).toHaveLength(1)
    const again = joined(await run(enter({ groupInstanceId: 'i' })))
    expect([again.generation, again.assigns]).toEqual([3, true])
  })

  test('ends with every wait rejected, and no timer left', async () => {
    const { clock, coordinator, run, enter } = world()
    const first = joined(await run(enter()))
    await coordinator.sync({ ...of(first), assignments: [] })
    const waiting = enter()
    const reason = new Error('closed')
    const ended = expect(waiting).rejects.toBe(reason)
    await Promise.resolve()
    await Promise.resolve()
    coordinator.close(reason)
    await ended
    await expect(clock.runUntil(() => false, SESSION_MS)).rejects.toThrow('no timer is left')
  })
})
