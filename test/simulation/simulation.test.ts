import { describe, expect, test } from 'vitest'
import { PLANTED } from './planted.ts'
import { runSeed } from './world.ts'

/** Another start than 1 can be tried with MILLRACE_SIMULATE_FROM; a failing seed is printed. */
const FROM = Number(process.env['MILLRACE_SIMULATE_FROM'] ?? 1)
const SEEDS = 50
/** Within how many seeds a planted bug must show. */
const PLANTED_LIMIT = 1000

const seedsFrom = (from: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => from + i)

describe('the simulation', () => {
  test(`finds nothing wrong in ${SEEDS} seeds under exactly-once`, async () => {
    for (const seed of seedsFrom(FROM, SEEDS)) {
      const { problems } = await runSeed(seed)
      expect(problems, `seed ${seed}: npm run simulate -- --from ${seed} --seeds 1`).toEqual([])
    }
  })

  test(`loses nothing in ${SEEDS} seeds under at-least-once`, async () => {
    for (const seed of seedsFrom(FROM, SEEDS)) {
      const { problems } = await runSeed(seed, { guarantee: 'at-least-once' })
      expect(problems, `seed ${seed}, at least once`).toEqual([])
    }
  })

  test('does the same twice from the same seed', async () => {
    const [first, second] = [await runSeed(FROM + 6), await runSeed(FROM + 6)]
    expect(second.trace).toEqual(first.trace)
    expect(first.trace.length).toBeGreaterThan(0)
  })

  test.each(Object.entries(PLANTED))('finds the planted bug: %s', async (_, commit) => {
    for (const seed of seedsFrom(FROM, PLANTED_LIMIT)) {
      const { problems } = await runSeed(seed, { commit })
      if (problems.length > 0) return
    }
    expect.fail(`not found within ${PLANTED_LIMIT} seeds`)
  })
})
