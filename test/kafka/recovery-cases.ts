/** Recovery from a death at a step of a commit, for every version of Kafka: one file a version registers it. */
import { expect, test } from 'vitest'
import type { Topic } from '../../model/position.ts'
import { countsOf, expectedOutputs, RecoveryStage } from './recovery-stage.ts'

/** One transaction at a time holds all that is fed, and what is committed is in LevelDB at once. */
export const LIMITS = { commitIntervalMs: 2_000, flushIntervalMs: 50 } as const

/** When a process ends, behind which step that is, and whether it leaves its transaction open. */
const DEATHS = [
  ['its outputs and its changelogs are in the log', 'flush', true],
  ['its offsets are in the transaction too', 'sendOffsets', true],
  ['the transaction is committed, and its state is not written', 'commitTransaction', false],
] as const

/** Registers what must hold where a process ended at a step of its commit; `steps` are those that are tried. */
export function testKilledCommits(
  brokers: () => readonly string[],
  steps: readonly (typeof DEATHS)[number][1][] = DEATHS.map(([, step]) => step),
): void {
  const deaths = DEATHS.filter(([, step]) => steps.includes(step))
  test.each(deaths)(
    'a process that is killed when %s doubles and loses nothing',
    async (_, step, leavesOpen) => {
      await using stage = await RecoveryStage.open(brokers(), 'pairs')
      await cleanRun(stage)
      await stage.feed(200)
      const killed = stage.start({ limits: LIMITS, killAt: { step, offset: 201 } })
      expect(await killed.ended(), killed.story).toBe('SIGKILL')
      if (leavesOpen) {
        for (const topic of await changelogsOf(stage)) {
          const name = topic.slice(stage.application.length + 1)
          expect({ name, isOpen: await stage.isOpen(name) }).toEqual({ name, isOpen: true })
        }
        expect(await stage.isOpen('paired')).toBe(true)
      }
      await expectOnce(stage)
    },
  )
}

/** The changelogs of a stage. */
export async function changelogsOf({ log, application }: RecoveryStage): Promise<readonly Topic[]> {
  const topics = await log.admin.describeTopics()
  return topics
    .map(({ topic }) => topic)
    .filter((topic) => topic.startsWith(application) && topic.endsWith('-changelog'))
}

/** A run that processed 200 numbers and stopped cleanly: its checkpoint is where its changelogs end. */
export async function cleanRun(stage: RecoveryStage): Promise<void> {
  await stage.feed(200)
  const first = stage.start({ limits: { ...LIMITS, commitIntervalMs: 100 } })
  await stage.untilCommitted(200)
  expect(await first.stop(), first.story).toBe(0)
}

/** Runs to the end of 500 numbers; every output, every row and every change is there once. */
export async function expectOnce(stage: RecoveryStage): Promise<void> {
  await stage.feed(500 - stage.fed)
  const last = stage.start({ limits: { ...LIMITS, commitIntervalMs: 100 } })
  await stage.untilCommitted(500)
  expect(await last.counts()).toEqual(countsOf(500))
  expect(await last.stop(), last.story).toBe(0)
  expect(await stage.outputs()).toEqual(expectedOutputs('pairs', 500))
  // A row of a join is written once: a change that was committed twice would be seen here.
  const joins = (await changelogsOf(stage)).filter((topic) => !topic.includes('-counts-'))
  expect(joins).toHaveLength(2)
  for (const topic of joins) {
    const changes = await stage.read(topic.slice(stage.application.length + 1))
    expect({ topic, changes: changes.length }).toEqual({ topic, changes: 500 })
  }
}
