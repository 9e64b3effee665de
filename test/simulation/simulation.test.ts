import { describe, expect, test } from 'vitest'
import { expectSeeds, FROM, TIMEOUT_MS } from './expect-seeds.ts'
import { shrink } from './shrink.ts'
import { PLANTED } from './planted.ts'
import { runSeed } from './world.ts'

/** The other half is in test/simulation/more-seeds.test.ts, which runs beside this one. */
const SEEDS = 200

describe('a simulated application', () => {
  test(
    `gives each output once and in order, in ${SEEDS} worlds`,
    { timeout: TIMEOUT_MS },
    async () => await expectSeeds({ from: FROM, count: SEEDS }, 'exactly-once'),
  )

  test(
    `loses nothing under at-least-once, in ${SEEDS / 4} worlds`,
    { timeout: TIMEOUT_MS },
    async () => await expectSeeds({ from: FROM, count: SEEDS / 4 }, 'at-least-once'),
  )

  test('lives the same life twice from one seed', async () => {
    const [first, second] = [await runSeed(FROM + 6), await runSeed(FROM + 6)]
    expect(second.trace).toEqual(first.trace)
    expect(second.faults).toEqual(first.faults)
    expect(first.trace.length).toBeGreaterThan(0)
  })

  test('lives the same life when only the faults that happened may happen', async () => {
    const first = await runSeed(FROM + 6)
    const again = await runSeed(FROM + 6, { only: first.faults.map(({ name }) => name) })
    expect(again.trace).toEqual(first.trace)
  })
})

describe('a failing seed', () => {
  test('is shrunk to a few faults that fail again', async () => {
    const bug = PLANTED['offsets before outputs']
    const failing = await runSeed(bug?.knownSeed ?? 1, bug)
    expect(failing.problems).not.toEqual([])
    const { faults, report } = await shrink(failing, bug)
    expect(faults.length).toBeLessThan(failing.faults.length)
    const only = faults.map(({ name }) => name)
    const again = await runSeed(failing.seed, { ...bug, only })
    expect(again.problems).toEqual(report.problems)
    expect(again.trace).toEqual(report.trace)
  })
})
