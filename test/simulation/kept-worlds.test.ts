import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { FROM, TIMEOUT_MS } from './expect-seeds.ts'
import type { Scenario } from './scenario.ts'
import { runSeed } from './world.ts'
import { words } from './scenarios/words.ts'

const clock = systemClock()
const WORLDS = 12
/** Collections until what is garbage is gone: what a finalizer lets go of is found by the next one. */
const COLLECTIONS = 20

describe('a world that is over', () => {
  test(
    'is not kept by anything, nor are the apps that were killed in it',
    { timeout: TIMEOUT_MS },
    async () => {
      const clocks: WeakRef<object>[] = []
      const watched: Scenario = {
        ...words,
        declare: (builder, services) => {
          clocks.push(new WeakRef(services.clock))
          words.declare(builder, services)
        },
      }
      for (let seed = FROM; seed < FROM + WORLDS; seed += 1) {
        for (const mode of ['static', 'group'] as const) {
          const { problems } = await runSeed(seed, { scenarios: [watched], mode })
          expect(problems, `seed ${seed}`).toEqual([])
        }
      }
      expect(clocks.length).toBeGreaterThan(2 * WORLDS)
      expect(await kept(clocks)).toBe(0)
    },
  )
})

/** How many of these are still there once all garbage was collected. */
async function kept(references: readonly WeakRef<object>[]): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let left = references.length
  for (let i = 0; i < COLLECTIONS && left > 0; i += 1) {
    // A WeakRef holds what it was asked for until the present turn of the event loop is over.
    await clock.yield()
    collect()
    left = references.filter((reference) => reference.deref() !== undefined).length
  }
  return left
}
