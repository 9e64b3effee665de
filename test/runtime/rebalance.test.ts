import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { Bench } from './fixtures.ts'
import { PARTITIONS, TOPICS } from './rebalance-app.ts'

const CHILD = fileURLToPath(new URL('./rebalance-app.ts', import.meta.url))
const PROCESSES = 3
const CHANGES = Number(process.env['MILLRACE_REBALANCES'] ?? 20)
const KEYS = 12
const seed = Number(process.env['MILLRACE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** A process of the group. */
class Member {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #errors: string[] = []
  readonly #seen = new Set<string>()
  #onSeen: () => void = () => {}

  constructor(folder: string) {
    this.#child = spawn(process.execPath, [CHILD, folder], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#exited = once(this.#child, 'exit')
    this.#child.stderr?.on('data', (text: Buffer) => this.#errors.push(text.toString()))
    if (this.#child.stdout === null) throw new TypeError('the process has no output')
    createInterface(this.#child.stdout).on('line', (line) => {
      this.#seen.add((JSON.parse(line) as { kind: string }).kind)
      this.#onSeen()
    })
  }

  /** Resolves when the process has its first tasks. */
  async running(): Promise<void> {
    const ended = this.#exited.then(() => {
      throw new Error(`a process ended before it ran: ${this.#errors.join('')}`)
    })
    while (!this.#seen.has('unit-started')) {
      await Promise.race([new Promise<void>((resolve) => (this.#onSeen = resolve)), ended])
    }
    ended.catch(() => {})
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child.kill(signal)
    await this.#exited
    expect(this.#errors.join('')).toBe('')
  }
}

/** Values of each key. */
async function byKey(bench: Bench, topic: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const values = new Map<string, string[]>()
  for (const line of await bench.texts(topic)) {
    const [key = '', value = ''] = line.split('=')
    const before = values.get(key)
    if (before === undefined) values.set(key, [value])
    else before.push(value)
  }
  return values
}

test(
  `${PROCESSES} processes count and join exactly once while one is killed and one added ${CHANGES} times (seed ${seed})`,
  { timeout: 180_000 },
  async () => {
    const random = new SeededRandom(seed)
    const clock = systemClock()
    await using owner = await Bench.open()
    const { folder } = owner
    await owner.transport[Symbol.asyncDispose]()
    await using transport = await openEmbeddedLog({
      folder: join(folder, 'log'),
      clock,
      share: true,
    })
    const bench = new Bench(folder, transport)
    await bench.createTopics(TOPICS, PARTITIONS)

    const churn = new AbortController()
    let rounds = 0
    const producing = (async () => {
      while (!churn.signal.aborted) {
        const timestamp = 1_000 + 10 * rounds
        const records = (side: string) =>
          Array.from({ length: KEYS }, (_, k) => ({
            key: `k${k}`,
            value: `${side}${rounds}`,
            timestamp,
          }))
        await bench.produce('left', records('l'), PARTITIONS)
        await bench.produce('right', records('r'), PARTITIONS)
        rounds += 1
        await sleep(clock, 40)
      }
    })()

    const members: Member[] = []
    const add = async (): Promise<void> => {
      const member = new Member(folder)
      members.push(member)
      await member.running()
    }
    for (let i = 0; i < PROCESSES; i += 1) await add()
    for (let change = 0; change < CHANGES; change += 1) {
      const [victim] = members.splice(random.below(members.length), 1)
      await sleep(clock, random.below(100))
      await victim?.end(random.chance(0.8) ? 'SIGKILL' : 'SIGTERM')
      await add()
    }
    churn.abort()
    await producing

    const all = rounds * KEYS
    for (;;) {
      const [counted, joined] = [await bench.read('counted'), await bench.read('joined')]
      if (counted.length >= all && joined.length >= all) break
      await sleep(clock, 100)
    }
    for (const member of members) await member.end('SIGTERM')
    const [counted, joined] = [await byKey(bench, 'counted'), await byKey(bench, 'joined')]
    for (let k = 0; k < KEYS; k += 1) {
      const key = `k${k}`
      expect(counted.get(key), key).toEqual(Array.from({ length: rounds }, (_, i) => String(i + 1)))
      const pairs = Array.from({ length: rounds }, (_, i) => `l${i}+r${i}`)
      expect([...(joined.get(key) ?? [])].toSorted(), key).toEqual(pairs.toSorted())
    }
  },
)
