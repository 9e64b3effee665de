/**
 * What a process leaves behind that ended at a bad moment, on a real broker: killed in the middle of a
 * transaction that has outputs and changelog in the log already, in front of a clean checkpoint, which
 * is where Kafka Streams 4.1.0 commits duplicates; and state that its changelog does not reach any more.
 */
import { expect, inject, test, vi } from 'vitest'
import { asOffset, asPartition, type Topic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { changelogsOf, cleanRun, expectOnce, LIMITS, testKilledCommits } from './recovery-cases.ts'
import type { RecoveryProcess } from './recovery-process.ts'
import { countsOf, expectedOutputs, RecoveryStage } from './recovery-stage.ts'
import { until } from './until.ts'

const brokers = inject('kafkaBrokers')
const clock = systemClock()
// Each starts several processes, one after the other.
vi.setConfig({ testTimeout: 240_000 })
/** Commits only when it is asked to stop. */
const OPEN_END = { ...LIMITS, commitIntervalMs: 300_000, transactionTimeoutMs: 300_000 } as const

/** Resolves when the copies have every change that is committed; what each run of a restore did is told at its end. */
async function untilFollowed(stage: RecoveryStage, copy: RecoveryProcess): Promise<void> {
  const changelogs = await changelogsOf(stage)
  expect(changelogs).toHaveLength(3)
  for (const topic of changelogs) {
    const name = topic.slice(stage.application.length + 1)
    const changes = (await stage.read(name)).length
    const restored = (): number =>
      copy
        .told('restoring')
        .filter(({ store, remaining }) => `${String(store)}-changelog` === name && remaining === 0)
        .reduce((sum, event) => sum + Number(event['restored']), 0)
    const what = (): string => `the copy of ${name} has ${changes} changes, it has ${restored()}`
    await until(clock, what, async () => restored() >= changes)
  }
}

testKilledCommits(() => brokers)

test('a process that is killed between two commits doubles and loses nothing', async () => {
  await using stage = await RecoveryStage.open(brokers, 'pairs')
  await cleanRun(stage)
  const killed = stage.start({ limits: OPEN_END })
  await killed.runsTasks()
  await stage.feed(200)
  await stage.untilOpen('paired')
  await killed.kill()
  expect(await stage.isOpen('paired')).toBe(true)
  await expectOnce(stage)
})

test('state that its changelog does not reach back to is restored in full, and that is said', async () => {
  await using stage = await RecoveryStage.open(brokers, 'windows')
  const changelog = 'windows-changelog'
  await stage.feed(100)
  const first = stage.start({ limits: { ...LIMITS, commitIntervalMs: 100 } })
  await stage.untilCommitted(100)
  expect(await first.stop(), first.story).toBe(0)
  // Commits to the log, and does not write it to LevelDB before it is killed.
  const second = stage.start({
    limits: { ...LIMITS, commitIntervalMs: 100, flushIntervalMs: 3_600_000 },
  })
  await second.runsTasks()
  await stage.feed(100)
  await stage.untilCommitted(200)
  const purged = await stage.end(changelog, 'read_uncommitted')
  await stage.feed(100)
  await stage.untilCommitted(300)
  await second.kill()
  const [topic] = await changelogsOf(stage)
  expect(topic).toBe(`${stage.application}-${changelog}`)
  const place = { topic: topic as Topic, partition: asPartition(0) }
  await stage.log.admin.deleteRecords([{ ...place, offset: asOffset(purged) }])

  await stage.feed(100)
  const third = stage.start({ limits: { ...LIMITS, commitIntervalMs: 100 } })
  await stage.untilCommitted(400)
  const notices = third.told('notice').map(({ message }) => message)
  expect(notices.join()).toMatch(
    /store windows is restored in full .*: the log does not go back to what the state here reflects/,
  )
  expect(await third.stop(), third.story).toBe(0)
  expect(await stage.outputs()).toEqual(expectedOutputs('windows', 400))
})

test('a copy of the state takes over without a restore when its owner is killed', async () => {
  await using stage = await RecoveryStage.open(brokers, 'pairs')
  const limits = {
    ...LIMITS,
    commitIntervalMs: 100,
    standbyIntervalMs: 100,
    sessionTimeoutMs: 1_500,
    heartbeatIntervalMs: 300,
  }
  const member = { limits, assignment: { kind: 'group', standbys: 1 } } as const
  const owner = stage.start(member)
  await owner.runsTasks()
  const copy = stage.start(member)
  await copy.says('it has no tasks', ({ kind }) => kind === 'unit-started')
  await stage.feed(300)
  await stage.untilCommitted(300)
  await untilFollowed(stage, copy)
  const from = copy.events.length
  await owner.kill()
  await copy.runsTasks(from)
  const restored = copy.told('restoring', from).map((event) => Number(event['restored']))
  expect(Math.max(0, ...restored)).toBe(0)
  await stage.feed(100)
  await stage.untilCommitted(400)
  expect(await copy.counts()).toEqual(countsOf(400))
  expect(await copy.stop(), copy.story).toBe(0)
  expect(await stage.outputs()).toEqual(expectedOutputs('pairs', 400))
})
