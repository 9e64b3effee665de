import { describe, expect, test } from 'vitest'
import { simulateGroup } from './group-simulation.ts'

const SEEDS = 50

describe('a group under faults', () => {
  test(`never has two owners of a partition, and comes to rest (${SEEDS} seeds)`, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { violations, trace } = await simulateGroup(seed)
      const told =
        violations.length === 0 ? [] : trace.filter((line) => !line.endsWith('heartbeat'))
      expect({ violations, told }, `seed ${seed}`).toEqual({ violations: [], told: [] })
    }
  })

  test('does the same for the same seed', async () => {
    const [first, second, other] = [
      await simulateGroup(7),
      await simulateGroup(7),
      await simulateGroup(8),
    ]
    expect(first.trace).toEqual(second.trace)
    expect(first.trace).not.toEqual(other.trace)
  })
})
