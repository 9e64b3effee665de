import { describe, expect, test } from 'vitest'
import { stopAtEveryAwait } from './every-await.ts'
import { TIMEOUT_MS } from './expect-seeds.ts'
import { SCENARIOS, type Mode } from './shape.ts'

const MODES: readonly Mode[] = ['static', 'group']
/** Every touch is tried by `npm run simulate -- --every-await`; here some hundred of them. */
const STEP = 89

describe('a process that is killed at one of its awaits', () => {
  const cases = SCENARIOS.flatMap((scenario) => MODES.map((mode) => ({ scenario, mode })))

  test.each(cases.map((one, i) => ({ ...one, name: one.scenario.name, from: 1 + i * 7 })))(
    'leaves nothing undone and nothing doubled: $name, $mode',
    { timeout: TIMEOUT_MS },
    async ({ scenario, mode, from }) => {
      let tried = 0
      const failed = await stopAtEveryAwait(
        { scenario, mode, seed: 5, from, step: STEP },
        () => (tried += 1),
      )
      expect(failed?.report.problems, `touch ${failed?.touch}`).toBeUndefined()
      expect(tried).toBeGreaterThan(1)
    },
  )
})
