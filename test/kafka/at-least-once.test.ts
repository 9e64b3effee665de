/**
 * At-least-once on a real broker, where a process is killed on either side of its offsets: in front of
 * them its work is done again, behind them it is done; lost is nothing, and the state goes with it.
 */
import { expect, inject, test, vi } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import type { RecoveryPlace } from './recovery-pipeline.ts'
import type { RecoveryProcess } from './recovery-process.ts'
import { countsOf, expectedOutputs, RecoveryStage, type Grouped } from './recovery-stage.ts'
import { until } from './until.ts'

const brokers = inject('kafkaBrokers')
const clock = systemClock()
vi.setConfig({ testTimeout: 240_000 })

const MODE = {
  guarantee: 'at-least-once',
  limits: {
    commitIntervalMs: 100,
    flushIntervalMs: 50,
    sessionTimeoutMs: 1_500,
    heartbeatIntervalMs: 300,
  },
} as const

/** What is done needs only to be heard of. */
const SHOWN = { timeout: 10_000, interval: 20 }

async function untilOffsets(stage: RecoveryStage, numbers: number): Promise<void> {
  let committed: readonly number[] = []
  await until(
    clock,
    () => `offsets ${numbers} are committed, and not ${committed.join(' and ')}`,
    async () => {
      committed = await stage.committed()
      return committed.every((offset) => offset === numbers)
    },
  )
}

/** A process that has done 200 numbers, and is killed at a step of the commit of the next. */
async function startToDie(
  stage: RecoveryStage,
  place: Pick<RecoveryPlace, 'assignment' | 'killAt'>,
): Promise<RecoveryProcess> {
  await stage.feed(200)
  const owner = stage.start({ ...MODE, ...place })
  await untilOffsets(stage, 200)
  return owner
}

/** Each value that came, once, in the order in which they came first. */
function firstOf(grouped: Grouped | undefined): Grouped {
  const entries = Object.entries(grouped ?? {})
  return Object.fromEntries(entries.map(([key, values]) => [key, [...new Set(values)]]))
}

/** The last count that came out, key by key. */
function endsOf(grouped: Grouped | undefined): Record<string, number> {
  const entries = Object.entries(grouped ?? {})
  return Object.fromEntries(entries.map(([key, values]) => [key, Number(values.at(-1))]))
}

/** Resolves when the store has these counts: it shows them when the process has heard that its offsets are taken, and others may see those before. */
async function showsCounts(
  process: RecoveryProcess,
  expected: Readonly<Record<string, number>>,
): Promise<void> {
  await vi.waitFor(async () => expect(await process.counts()).toEqual(expected), SHOWN)
}

function sizeOf(grouped: Grouped | undefined): number {
  return Object.values(grouped ?? {}).flat().length
}

test('an owner of a group that is killed in front of its offsets loses nothing, and its heir does its work again', async () => {
  await using stage = await RecoveryStage.open(brokers, 'pairs')
  const assignment = { kind: 'group' } as const
  const owner = await startToDie(stage, { assignment, killAt: { step: 'flush', offset: 201 } })
  const heir = stage.start({ ...MODE, assignment })
  await heir.says('it is a member', ({ kind }) => kind === 'unit-started')
  const from = heir.events.length
  await stage.feed(200)
  expect(await owner.ended(), owner.story).toBe('SIGKILL')
  const done = sizeOf((await stage.outputs())['counted'])
  const [committed = 0] = await stage.committed()
  expect(done).toBeGreaterThan(committed)
  await heir.runsTasks(from)
  await untilOffsets(stage, 400)
  const { paired, counted } = await stage.outputs()
  await showsCounts(heir, endsOf(counted))
  expect(await heir.stop(), heir.story).toBe(0)
  const expected = expectedOutputs('pairs', 400)
  expect(firstOf(paired)).toEqual(expected['paired'])
  // What was counted in front of the offsets is counted again, on top of itself.
  expect(sizeOf(counted)).toBe(400 + done - committed)
  for (const [key, values] of Object.entries(counted ?? {})) {
    const last = endsOf(counted)[key] ?? 0
    expect(last).toBeGreaterThanOrEqual(expected['counted']?.[key]?.length ?? 0)
    expect(firstOf({ [key]: values })[key]).toEqual(
      Array.from({ length: last }, (_, n) => String(n + 1)),
    )
  }
})

test('a process alone that is killed behind its offsets, and in front of its state, has lost nothing', async () => {
  await using stage = await RecoveryStage.open(brokers, 'pairs')
  const killed = await startToDie(stage, { killAt: { step: 'commitOffsets', offset: 201 } })
  await stage.feed(200)
  expect(await killed.ended(), killed.story).toBe('SIGKILL')
  for (const offset of await stage.committed()) expect(offset).toBeGreaterThan(200)
  const last = stage.start(MODE)
  await stage.feed(100)
  await untilOffsets(stage, 500)
  await showsCounts(last, countsOf(500))
  expect(await last.stop(), last.story).toBe(0)
  expect(await stage.outputs()).toEqual(expectedOutputs('pairs', 500))
})
