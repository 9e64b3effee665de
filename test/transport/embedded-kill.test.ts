import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { asOffset, asPartition } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'
import { drawnSeed } from '../seed.ts'
import { GROUP, INPUT, PARTITIONS, randomFrom, TOPIC } from './embedded-writer-shape.ts'
import { liveAndDie } from '../killed-program.ts'

const KILLS_PER_LOG = 25
const LONGEST_LIFE_MS = 150
const LEAST_LINES = 6
const WRITER = fileURLToPath(new URL('./embedded-writer.ts', import.meta.url))

const root = await mkdtemp(join(tmpdir(), 'millrace-kill-'))
afterAll(() => rm(root, { recursive: true, force: true }))

const seed = drawnSeed()

for (const lane of [1, 2]) {
  it.concurrent(
    `a log whose writer is killed ${KILLS_PER_LOG} times has every acknowledged transaction whole and none half (lane ${lane}, seed ${seed})`,
    { timeout: KILLS_PER_LOG * 5_000 },
    async () => {
      const random = randomFrom(seed + lane)
      const folder = join(root, `lane-${lane}`)
      const written = new Written()
      for (let kill = 0; kill < KILLS_PER_LOG; kill += 1) {
        const life = {
          leastLines: Math.floor(random() * LEAST_LINES),
          longerMs: random() * LONGEST_LIFE_MS,
        }
        const writerSeed = String(seed + lane * 1_000 + kill)
        const lines = await liveAndDie(WRITER, [folder, writerSeed], life)
        for (const line of lines) written.acknowledge(line)
        await using log = await openEmbeddedLog({ folder, clock: systemClock() })
        if ((await log.admin.describeTopics([TOPIC])).length === 0) continue
        for (const key of await readOn(log, written.positions)) written.see(key)
        await written.check(log, `after kill ${kill} of seed ${seed}, lane ${lane}`)
      }
      // The rounds would prove nothing if no writer had come to write.
      expect(written.acknowledged.size).toBeGreaterThan(KILLS_PER_LOG / 5)
    },
  )
}

/** What a writer said, and what the log shows. */
class Written {
  /** By transaction: the records it was acknowledged with. */
  readonly acknowledged = new Map<number, number>()
  /** By transaction: the records it has, and how many it says it has. */
  readonly seen = new Map<number, { records: number; readonly count: number }>()
  readonly positions = Array.from({ length: PARTITIONS }, () => 0)
  #plainAcknowledged = 0
  #plainSeen = 0

  acknowledge(line: string): void {
    const [word, transaction, count] = line.split(' ')
    if (word === 'plain') this.#plainAcknowledged += 1
    if (word === 'committed') this.acknowledged.set(Number(transaction), Number(count))
  }

  see(key: string): void {
    expect(key).not.toBe('aborted')
    if (key === 'plain') {
      this.#plainSeen += 1
      return
    }
    const [transaction, , count] = key.split(' ').map(Number)
    const seen = this.seen.get(transaction ?? 0) ?? { records: 0, count: count ?? 0 }
    seen.records += 1
    this.seen.set(transaction ?? 0, seen)
  }

  async check(log: Transport, place: string): Promise<void> {
    for (const [transaction, { records, count }] of this.seen) {
      expect(records, `records of transaction ${transaction} ${place}`).toBe(count)
    }
    for (const [transaction, count] of this.acknowledged) {
      const seen = this.seen.get(transaction)
      expect(seen?.count, `acknowledged transaction ${transaction} ${place}`).toBe(count)
    }
    expect(this.#plainSeen, place).toBeGreaterThanOrEqual(this.#plainAcknowledged)
    const last = Math.max(0, ...this.seen.keys())
    expect(this.seen.size, `transactions ${place}`).toBe(last)
    const [committed] = await log.admin.committedOffsets(GROUP, [INPUT])
    expect(committed?.offset ?? 0, `the group's offset ${place}`).toBe(last)
    if (last > 0) expect(committed?.metadata, place).toBe(String(this.seen.get(last)?.count))
  }
}

/** The keys of the committed records from `positions` on, which move to the ends. */
async function readOn(log: Transport, positions: number[]): Promise<readonly string[]> {
  const partitions = positions.map((_, number) => ({
    topic: TOPIC,
    partition: asPartition(number),
  }))
  const ends = await log.admin.offsets(partitions, 'latest', 'read_uncommitted')
  // Nothing of the dead writer is open any more, though no heir came.
  expect(await log.admin.offsets(partitions, 'latest', 'read_committed')).toEqual(ends)
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
  const keys: string[] = []
  for (const at of partitions) {
    const cursor = reader.open({ ...at, offset: asOffset(positions[at.partition] ?? 0) })
    while (cursor.position < (ends[at.partition] ?? 0)) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready()
      for (const { key, value } of batch?.records ?? []) {
        const text = key?.toString() ?? ''
        keys.push(text)
        expect(value?.equals(Buffer.alloc(value.length, text))).toBe(true)
      }
    }
    expect(cursor.position).toBe(ends[at.partition])
    positions[at.partition] = cursor.position
  }
  return keys
}
