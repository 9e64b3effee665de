import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { asOffset, type TopicPartition } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'
import { drawnSeed } from '../seed.ts'
import { GROUP, HISTORY, RESTLESS, TABLE, writesOf } from './cleaning-writer-shape.ts'
import { liveAndDie } from '../killed-program.ts'

const KILLS = 25
const LONGEST_LIFE_MS = 200
const LEAST_LINES = 8
const WRITER = fileURLToPath(new URL('./cleaning-writer.ts', import.meta.url))

const root = await mkdtemp(join(tmpdir(), 'millrace-cleaning-kill-'))
afterAll(() => rm(root, { recursive: true, force: true }))

const seed = drawnSeed(2 ** 20)

it(
  `a log that is killed ${KILLS} times while it is compacted, cut and deleted from has the last record of each key and no other state (seed ${seed})`,
  { timeout: KILLS * 5_000 },
  async () => {
    const random = new SeededRandom(seed)
    const folder = join(root, 'log')
    let acknowledged = 0
    let deleted = 0
    let rewritten = 0
    for (let kill = 0; kill < KILLS; kill += 1) {
      const life = {
        leastLines: Math.floor(random.next() * LEAST_LINES),
        longerMs: random.next() * LONGEST_LIFE_MS,
      }
      for (const line of await liveAndDie(WRITER, [folder, String(seed)], life)) {
        const [what, number] = line.split(' ')
        if (what === 'committed') acknowledged = Number(number)
        if (what === 'deleted') deleted = Math.max(deleted, Number(number))
      }
      await using log = await openEmbeddedLog({ folder, clock: systemClock(), ...RESTLESS })
      if ((await log.admin.describeTopics([HISTORY.topic])).length === 0) continue
      const place = `after kill ${kill} of seed ${seed}`
      const [committed] = await log.admin.committedOffsets(GROUP, [TABLE])
      const last = committed?.offset ?? 0
      expect(last, place).toBeGreaterThanOrEqual(acknowledged)
      expect(await stateOf(log), place).toEqual(stateAfter(last))
      const history = await read(log, HISTORY)
      const numbers = history.map(({ value }) => Number(value))
      expect(numbers, place).toEqual(numbers.map((_, index) => last - numbers.length + 1 + index))
      const [start = 0] = await log.admin.offsets([HISTORY], 'earliest', 'read_committed')
      expect(start, place).toBeGreaterThanOrEqual(deleted)
      // A partition has no folder before its first record.
      if (last === 0) continue
      const names = await readdir(join(folder, 'topics', TABLE.topic, '0'))
      rewritten += names.filter((name) => name.includes('-')).length
    }
    // The rounds would prove nothing if no writer had come to write, or no cleaner to clean.
    expect(acknowledged).toBeGreaterThan(KILLS)
    expect(rewritten).toBeGreaterThan(KILLS / 5)
  },
)

async function stateOf(log: Transport): Promise<ReadonlyMap<string, string>> {
  const state = new Map<string, string>()
  for (const { key, value } of await read(log, TABLE)) {
    if (value === null) state.delete(key)
    else state.set(key, value)
  }
  return state
}

function stateAfter(last: number): ReadonlyMap<string, string> {
  const state = new Map<string, string>()
  for (let number = 1; number <= last; number += 1) {
    for (const [key, value] of writesOf(seed, number)) {
      if (value === null) state.delete(key)
      else state.set(key, value)
    }
  }
  return state
}

/** All committed records that are left. The cleaner may move the start meanwhile: then it begins again. */
async function read(log: Transport, at: TopicPartition) {
  for (;;) {
    const [start = asOffset(0)] = await log.admin.offsets([at], 'earliest', 'read_committed')
    const [end = 0] = await log.admin.offsets([at], 'latest', 'read_committed')
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 10_000 })
    const cursor = reader.open({ ...at, offset: start })
    const records: { readonly key: string; readonly value: string | null }[] = []
    try {
      while (cursor.position < end) {
        const batch = cursor.take()
        if (batch === undefined) await reader.ready()
        for (const { key, value } of batch?.records ?? []) {
          records.push({ key: String(key), value: value === null ? null : String(value) })
        }
      }
      expect(cursor.position).toBe(end)
      return records
    } catch (error) {
      if (!String(error).includes('is outside the log')) throw error
    }
  }
}
