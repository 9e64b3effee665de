import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Guarantee } from '../../runtime/config.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { Bench } from './fixtures.ts'
import { killable, PARTITIONS } from './kill-app.ts'

const CHILD = fileURLToPath(new URL('./kill-app.ts', import.meta.url))
const RECORDS = 2000
const KEYS = 50
const KILLS = 4
const seed = Number(process.env['MILLRACE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

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

/** Runs the app as a process of its own and kills it a while after it began to run. */
async function liveAndDie(folder: string, guarantee: Guarantee, lifeMs: number): Promise<void> {
  const child = spawn(process.execPath, [CHILD, folder, guarantee], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), exited])
  // A kill at any moment will do: the clock decides which.
  const timer = systemClock().timer(lifeMs, () => child.kill('SIGKILL'))
  const [code, signal] = (await exited) as [number | null, string | null]
  timer.cancel()
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' })
}

test.concurrent.each<Guarantee>(['exactly-once', 'at-least-once'])(
  `an app that is killed ${KILLS} times at random moments keeps its guarantee: %s (seed ${seed})`,
  async (guarantee) => {
    const random = new SeededRandom(seed)
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'counted', 'called'], PARTITIONS)
    await bench.produce('in', input, PARTITIONS)
    await bench.transport[Symbol.asyncDispose]()
    for (let kill = 0; kill < KILLS; kill += 1) {
      await liveAndDie(bench.folder, guarantee, random.below(150))
    }
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
