/** What one seed does to a group. */
import { sleep } from '../../model/clock.ts'
import { asPartition } from '../../model/position.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { evenly } from '../../transport/conformance-group-world.ts'
import type { Assignor } from '../../transport/membership.ts'
import {
  FaultyGroup,
  Participant,
  SESSION_MS,
  TOPIC,
  type WayToCoordinator,
} from './group-world.ts'

const ACTIONS = 50
const MEMBERS_MAX = 5
const INSTANCES = ['a', 'b', 'c']
/** Long enough for every session, wait and retry to be over. */
const SETTLE_MS = 30_000

/** Whenever anybody comes or goes, much of it moves. */
const inTurns: Assignor = {
  name: 'in-turns',
  assign: ({ members, partitionsOf }) => {
    const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
    return sorted.map(({ memberId }, index) => ({
      memberId,
      userData: Buffer.alloc(0),
      partitions: Array.from({ length: partitionsOf(TOPIC) }, (_, number) => number)
        .filter((number) => number % sorted.length === index)
        .map((number) => ({ topic: TOPIC, partition: asPartition(number) })),
    }))
  },
}

async function act(group: FaultyGroup, number: number): Promise<void> {
  const { random64: random } = group.clock
  const { living } = group
  const kind = random.below(10)
  if (living.length < 2 || (kind < 3 && living.length < MEMBERS_MAX)) {
    const instance = random.chance(0.4) ? random.pick(INSTANCES) : undefined
    void new Participant(`m${number}${instance ?? ''}`, group, instance)
  } else if (kind < 5) {
    random.pick(living).kill()
  } else if (kind < 7) {
    random.pick(living).leave()
  } else if (kind < 9) {
    random.pick(living).cutOffUntilMs = group.clock.monotonic() + random.below(2 * SESSION_MS)
  } else {
    random.pick(living).membership.requestRebalance()
  }
  await sleep(group.clock, random.below(random.chance(0.3) ? SESSION_MS : 400))
}

/** Lets a seed do its worst to a group, and then lets it rest; resolves with what was seen. */
export async function simulateGroup(
  seed: number,
  wayOf?: (clock: SimulatedClock, isRough: () => boolean) => WayToCoordinator,
): Promise<FaultyGroup> {
  const clock = new SimulatedClock(seed)
  const partitions = 1 + clock.random64.below(8)
  const assignor = clock.random64.pick([evenly, inTurns])
  const way = wayOf?.(clock, () => group.isRough)
  const group: FaultyGroup = new FaultyGroup(clock, {
    partitions,
    assignor,
    ...(way === undefined ? {} : { way }),
  })
  const run = async (): Promise<void> => {
    for (let number = 0; number < ACTIONS; number += 1) await act(group, number)
    group.isRough = false
    // Who was replaced under his instance id finds out before it is looked who is left.
    await sleep(clock, 3 * SESSION_MS)
    if (group.living.length === 0) void new Participant('last', group, undefined)
    await sleep(clock, SETTLE_MS)
    if (!group.isSettled) group.fault('it does not come to rest with everything owned')
    const asked = group.trace.length
    await sleep(clock, 2 * SESSION_MS)
    const after = group.trace.slice(asked).filter((line) => !line.includes('heartbeat'))
    if (after.length > 0) group.fault(`something happens without a cause: ${after[0]}`)
    for (const one of group.living) one.leave()
  }
  let isOver = false
  const over = run().finally(() => (isOver = true))
  await clock.runUntil(() => isOver, 3_600_000)
  await over
  return group
}
