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
import { endWithTest } from '../end-with-tests.ts'
import { drawnSeed } from '../seed.ts'
import { Bench } from './fixtures.ts'
import { PARTITIONS, TOPICS } from './rebalance-app.ts'

const CHILD = fileURLToPath(new URL('./rebalance-app.ts', import.meta.url))
const PROCESSES = 3
const CHANGES = Number(process.env['MILLRACE_REBALANCES'] ?? 20)
const KEYS = 12
/** Until what was fed last has been counted and joined. */
const CAUGHT_UP_MS = 30_000
const seed = drawnSeed()

/** A process of the group. */
class Member {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #errors: string[] = []
  readonly #seen = new Set<string>()
  #onSeen: () => void = () => {}

  constructor(folder: string) {
    this.#child = endWithTest(
      spawn(process.execPath, [CHILD, folder], { stdio: ['ignore', 'pipe', 'pipe'] }),
    )
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

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}

/** Feeds both sides, a round after the other, until it ends. */
class Churn {
  rounds = 0
  readonly #end = new AbortController()
  readonly #producing: Promise<void>

  constructor(bench: Bench) {
    this.#producing = this.#produce(bench)
    // Told by `end`, whenever that is.
    this.#producing.catch(() => {})
  }

  async end(): Promise<void> {
    this.#end.abort()
    await this.#producing
  }

  async #produce(bench: Bench): Promise<void> {
    while (!this.#end.signal.aborted) {
      const round = this.rounds
      const records = (side: string) =>
        Array.from({ length: KEYS }, (_, k) => ({
          key: `k${k}`,
          value: `${side}${round}`,
          timestamp: 1_000 + 10 * round,
        }))
      await bench.produce('left', records('l'), PARTITIONS)
      await bench.produce('right', records('r'), PARTITIONS)
      this.rounds += 1
      await sleep(bench.clock, 40)
    }
  }
}

/** Waits until both outputs have so many records; where they never do, what they lack is for the test to tell. */
async function caughtUp(bench: Bench, all: number): Promise<void> {
  const end = bench.clock.monotonic() + CAUGHT_UP_MS
  while (bench.clock.monotonic() < end) {
    const [counted, joined] = [await bench.read('counted'), await bench.read('joined')]
    if (counted.length >= all && joined.length >= all) return
    await sleep(bench.clock, 100)
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

    const churn = new Churn(bench)
    const members: Member[] = []
    const add = async (): Promise<void> => {
      const member = new Member(folder)
      members.push(member)
      await member.running()
    }
    try {
      for (let i = 0; i < PROCESSES; i += 1) await add()
      for (let change = 0; change < CHANGES; change += 1) {
        const [victim] = members.splice(random.below(members.length), 1)
        await sleep(clock, random.below(100))
        await victim?.end(random.chance(0.8) ? 'SIGKILL' : 'SIGTERM')
        await add()
      }
      await churn.end()
      await caughtUp(bench, churn.rounds * KEYS)
      for (const member of members.splice(0)) await member.end('SIGTERM')
    } finally {
      // A failure leaves them at work, on a log that is closed next.
      for (const member of members) await member.kill()
      await churn.end()
    }
    const { rounds } = churn
    const [counted, joined] = [await byKey(bench, 'counted'), await byKey(bench, 'joined')]
    for (let k = 0; k < KEYS; k += 1) {
      const key = `k${k}`
      expect(counted.get(key), key).toEqual(Array.from({ length: rounds }, (_, i) => String(i + 1)))
      const pairs = Array.from({ length: rounds }, (_, i) => `l${i}+r${i}`)
      expect([...(joined.get(key) ?? [])].toSorted(), key).toEqual(pairs.toSorted())
    }
  },
)
