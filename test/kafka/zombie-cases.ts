/** A halted process and its heir, for every version of Kafka: one file a version registers it. */
import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import type { RecoveryProcess, Told } from './recovery-process.ts'
import { expectedOutputs, RecoveryStage } from './recovery-stage.ts'
import { until } from './until.ts'

const clock = systemClock()
const TRANSACTION_MS = 300_000
/** What a heir may need where the transaction of the departed does not hold it up. */
export const SOON_MS = 60_000

/** Of all members: a session is soon over, a transaction is not. */
export const LIMITS = {
  commitIntervalMs: 100,
  sessionTimeoutMs: 1_500,
  heartbeatIntervalMs: 300,
  transactionTimeoutMs: TRANSACTION_MS,
  offsetsPendingMs: TRANSACTION_MS + 10_000,
} as const
const GROUP = { kind: 'group' } as const
const HEIR = { limits: LIMITS, assignment: GROUP } as const

const isSettled = ({ kind }: Told): boolean => kind === 'unit-started'

/** Two members, of which the first has the only task. */
export async function startBoth(
  stage: RecoveryStage,
  first: Parameters<RecoveryStage['start']>[0],
): Promise<{ readonly owner: RecoveryProcess; readonly heir: RecoveryProcess }> {
  const owner = stage.start({ ...HEIR, ...first })
  await owner.runsTasks()
  const heir = stage.start(HEIR)
  const settled = await heir.says('it is a member', isSettled)
  expect(settled['tasks']).toEqual([])
  return { owner, heir }
}

/** Registers what must hold where a process sleeps for longer than its session. */
export function testHaltedOwner(brokers: () => readonly string[]): void {
  test('a halted owner of a group is replaced, and what it does when it wakes is rejected', async () => {
    await using stage = await RecoveryStage.open(brokers(), 'pairs')
    // It commits only when it is asked to: what it has sent is in an open transaction when it is halted.
    const { owner, heir } = await startBoth(stage, {
      limits: { ...LIMITS, commitIntervalMs: TRANSACTION_MS },
    })
    await stage.feed(100)
    await stage.untilOpen('paired')
    const before = heir.events.length
    const haltedMs = clock.monotonic()
    owner.halt()
    await heir.runsTasks(before)
    await stage.untilCommitted(100)
    expect(clock.monotonic() - haltedMs).toBeLessThan(SOON_MS)
    await stage.feed(100)
    await stage.untilCommitted(200)

    const asleep = owner.events.length
    owner.resume()
    const rejected = await owner.says('it begins anew', ({ kind }) => kind === 'restarting', asleep)
    expect(rejected['error']).toMatchObject({
      code: expect.stringMatching(
        /^MILLRACE_(GROUP_LOST|GROUP_FENCED|PRODUCER_FENCED|TRANSACTION_LOST)$/,
      ) as unknown,
    })
    await until(
      clock,
      () => `it is a member again:\n${owner.story}`,
      async () => {
        return (await stage.log.admin.describeGroup(stage.application)).length === 2
      },
    )
    await stage.feed(100)
    // Whoever has the task now gives it to the other one, which goes on where it was.
    expect(await heir.stop(), heir.story).toBe(0)
    await owner.runsTasks(asleep)
    await stage.feed(100)
    await stage.untilOpen('paired')
    expect(await owner.stop(), owner.story).toBe(0)
    // Its last commit is decided, and shows when the brokers have written what ends it.
    await stage.untilCommitted(400)
    expect(await stage.outputs()).toEqual(expectedOutputs('pairs', 400))
  })
}
