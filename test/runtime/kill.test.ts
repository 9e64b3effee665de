import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Guarantee } from '../../runtime/config.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { liveAndDie } from '../killed-program.ts'
import { drawnSeed } from '../seed.ts'
import { Bench } from './fixtures.ts'
import { killable, PARTITIONS } from './kill-app.ts'

const CHILD = fileURLToPath(new URL('./kill-app.ts', import.meta.url))
const RECORDS = 2000
const KEYS = 50
const KILLS = 4
const LEAST_LINES = 4
const LONGEST_LIFE_MS = 150
const seed = drawnSeed()

const input = Array.from({ length: RECORDS }, (_, i) => ({
  key: `k${i % KEYS}`,
  value: `value ${i}`,
}))

/** Values of each key, in order. */
async function byKey(bench: Bench, topic: string): Promise<Map<string, string[]>> {
  const values = new Map<string, string[]>()
  for (const line of await bench.texts(topic)) {
    const [key = '', value = ''] = line.split('=')
    const before = values.get(key)
    if (before === undefined) values.set(key, [value])
    else before.push(value)
  }
  return values
}

/** How many different results are committed in a log that nobody has open. */
async function resultsIn(folder: string): Promise<number> {
  await using log = await openEmbeddedLog({ folder: `${folder}/log`, clock: systemClock() })
  return new Set(await new Bench(folder, log).texts('called')).size
}

test.concurrent.each<Guarantee>(['exactly-once', 'at-least-once'])(
  `an app that is killed ${KILLS} times at random moments keeps its guarantee: %s (seed ${seed})`,
  async (guarantee) => {
    const random = new SeededRandom(seed)
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'counted', 'called'], PARTITIONS)
    await bench.produce('in', input, PARTITIONS)
    await bench.transport[Symbol.asyncDispose]()
    const results: number[] = []
    for (let kill = 0; kill < KILLS; kill += 1) {
      // The first one in the middle of the work, which goes on for some fifty commits.
      const [leastLines, longerMs] =
        kill === 0 ? [LEAST_LINES, 0] : [random.below(LEAST_LINES), random.below(LONGEST_LIFE_MS)]
      await liveAndDie(CHILD, [bench.folder, guarantee], { leastLines, longerMs })
      results.push(await resultsIn(bench.folder))
    }
    // The rounds would prove nothing if all of them came before the work, or after it.
    expect(Math.min(...results.filter((count) => count > 0))).toBeLessThan(RECORDS)
    await using transport = await openEmbeddedLog({
      folder: `${bench.folder}/log`,
      clock: systemClock(),
    })
    const app = killable(bench.folder, transport, guarantee)
    await app.start()
    await app.caughtUp()
    await app.close()
    const reopened = new Bench(bench.folder, transport)
    const [counted, called] = [await byKey(reopened, 'counted'), await byKey(reopened, 'called')]
    for (let k = 0; k < KEYS; k += 1) {
      const key = `k${k}`
      const values = input.filter((record) => record.key === key).map(({ value }) => value)
      const counts = values.map((_, i) => String(i + 1))
      const results = values.map((value) => value.toUpperCase())
      if (guarantee === 'exactly-once') {
        expect(counted.get(key), key).toEqual(counts)
        expect(called.get(key), key).toEqual(results)
      } else {
        expect(counted.get(key), key).toEqual(expect.arrayContaining(counts.slice(-1)))
        expect(called.get(key), key).toEqual(expect.arrayContaining(results))
      }
    }
  },
)
