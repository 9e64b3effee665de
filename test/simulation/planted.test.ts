import { describe, expect, test } from 'vitest'
import { TIMEOUT_MS } from './expect-seeds.ts'
import { hunt } from './hunt.ts'
import { PLANTED } from './planted.ts'

/** Within how many seeds a planted bug must show. */
const LIMIT = 1000

describe('the simulation', () => {
  test.each(Object.entries(PLANTED))(
    'finds a planted bug: %s',
    { timeout: TIMEOUT_MS },
    async (_, bug) => {
      const known = await hunt({ from: bug.knownSeed, count: 1 }, bug)
      if (known !== undefined) return
      // What the runtime does has changed, and so has what happens in a seed.
      const found = await hunt({ from: 1, count: LIMIT }, bug)
      expect(found, `not found within ${LIMIT} seeds`).toBeDefined()
    },
  )
})
