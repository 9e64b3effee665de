/** Tasks that begin with what a kill kept from the database in their layers, and are killed again before a flush. */
import { describe, expect, test } from 'vitest'
import { tumbling } from '../../processors/time-windows.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { MemoryBench, type Given, type Life, type LifeOptions } from './memory-bench.ts'

const SERDES = { key: text, value: text }

const counting = () =>
  topology('app', ({ stream }) => {
    stream('in', SERDES)
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String)
      .to('out', { value: text })
  })

/** What a row was matters to what comes out, and a null takes it away. */
const table = () =>
  topology('app', ({ table: tableOf }) => {
    tableOf('in', { ...SERDES, store: 'rows' })
      .groupBy((key) => [key.slice(0, 1), key], SERDES)
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String)
      .to('out', { value: text })
  })

/** Windows that expire while what they hold waits for a flush. */
const windowed = () =>
  topology('app', ({ stream }) => {
    stream('in', SERDES)
      .groupByKey()
      .windowedBy(tumbling(10, { graceMs: 5 }))
      .count({ store: 'counts' })
      .toStream()
      .map(({ key, value }) => [`${key.key}@${key.startMs}`, String(value)], SERDES)
      .to('out')
  })

const records = (...given: readonly (readonly [key: string, at: number, value?: null])[]) =>
  given.map(([key, timestamp, value = 'x']): Given => ({ key, value, timestamp }))

const ROUNDS = [
  records(['a1', 1], ['b1', 2], ['a2', 3]),
  records(['a1', 4, null], ['b2', 11], ['c1', 12]),
  records(['a1', 3], ['c1', 13, null], ['a3', 14]),
  records(['a2', 40, null], ['b1', 12], ['d1', 41]),
  records(['d1', 42], ['d1', 43, null], ['b1', 27]),
]

const NEVER_FLUSHED: LifeOptions['limits'] = { flushIntervalMs: Infinity }

/** What comes out of all rounds, each by a process that is killed behind it where `kills` says so. */
async function run(make: () => Topology, kills?: { readonly replayBytes: number }) {
  const bench = await MemoryBench.with(['in', 'out'])
  let life = await bench.start(make())
  const replayed: number[] = []
  for (const [round, given] of ROUNDS.entries()) {
    await bench.produce('in', given)
    await life.caughtUp()
    if (kills === undefined) continue
    // The first life leaves a checkpoint behind, the others nothing of their own.
    if (round === 0) await bench.pass(3_000)
    life.kill()
    life = await bench.start(make(), { limits: { ...NEVER_FLUSHED, ...kills } })
    replayed.push(restored(life))
  }
  await life.close()
  return { texts: bench.texts('out'), replayed, bench }
}

function restored({ events }: Life): number {
  return events.reduce(
    (sum, event) =>
      event.kind === 'restoring' && event.remaining === 0 ? sum + event.restored : sum,
    0,
  )
}

describe.each([
  ['counts', counting],
  ['a table and its groups', table],
  ['windows that expire', windowed],
])('%s', (_title, make) => {
  test('give the same when each process is killed before it has flushed its replay', async () => {
    const whole = await run(make)
    const killed = await run(make, { replayBytes: 2 ** 20 })
    expect(killed.texts).toEqual(whole.texts)
    // Nothing of a replay is in the database: the next one begins where it began.
    expect(killed.replayed.slice(1)).toEqual(killed.replayed.slice(1).toSorted((a, b) => a - b))
    expect(killed.replayed.at(-1)).toBeGreaterThan(killed.replayed[1] ?? NaN)
  })

  test('give the same when each replay is too long for the layers', async () => {
    const whole = await run(make)
    const killed = await run(make, { replayBytes: 1 })
    expect(killed.texts).toEqual(whole.texts)
    const again = await killed.bench.start(make())
    expect(restored(again)).toBe(0)
    await again.close()
  })
})

test('a copy that was behind takes over with a replay, and is killed before it has flushed it', async () => {
  const bench = await MemoryBench.with(['in', 'out'])
  const join = async (machine: string, limits: LifeOptions['limits'] = {}): Promise<Life> =>
    await bench.start(counting(), {
      machine,
      assignment: { kind: 'group', standbys: 1 },
      limits: {
        standbyIntervalMs: 600_000,
        sessionTimeoutMs: 2_000,
        heartbeatIntervalMs: 500,
        ...limits,
      },
    })
  const owner = await join('one')
  await bench.produce('in', records(['a', 1], ['b', 2], ['a', 3]))
  await owner.caughtUp()
  const copy = await join('two', NEVER_FLUSHED)
  await bench.until(() => restored(copy) > 0)
  await bench.produce('in', records(['a', 4], ['c', 5]))
  await bench.until(() => bench.texts('out').length === 5)
  const before = restored(copy)
  owner.kill()
  await bench.produce('in', records(['c', 6], ['a', 7]))
  await bench.until(() => bench.texts('out').length === 7)
  expect(restored(copy) - before).toBe(2)
  copy.kill()
  await bench.produce('in', records(['b', 8]))
  const last = await join('two')
  await bench.until(() => bench.texts('out').length === 8)
  expect(bench.texts('out')).toEqual(['a=1', 'b=1', 'a=2', 'a=3', 'c=1', 'c=2', 'a=4', 'b=2'])
  await last.close()
})
