import { describe, test } from 'vitest'
import { expectSeeds, FROM, TIMEOUT_MS } from './expect-seeds.ts'

const SEEDS = 200
/** Behind the seeds of test/simulation/simulation.test.ts. */
const AFTER = 200

describe('more simulated worlds', () => {
  test(
    `give each output once and in order (${SEEDS})`,
    { timeout: TIMEOUT_MS },
    async () => await expectSeeds({ from: FROM + AFTER, count: SEEDS }, 'exactly-once'),
  )

  test(
    `lose nothing under at-least-once (${SEEDS / 4})`,
    { timeout: TIMEOUT_MS },
    async () => await expectSeeds({ from: FROM + AFTER, count: SEEDS / 4 }, 'at-least-once'),
  )
})
