/** Processes that come back under their instance ids: with another topology, other numbers, or another disk. */
import { describe, expect, test } from 'vitest'
import type { GroupAssignment } from '../../runtime/assignment.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Transport } from '../../transport/transport.ts'
import { counting } from './counting.ts'
import { MemoryBench, type Life, type LifeOptions } from './memory-bench.ts'
import { gated } from './wrapped-transport.ts'

const PARTITIONS = 2
const BOTH = Array.from({ length: PARTITIONS }, (_, p) => ({
  key: `key-${p}`,
  value: 'x',
  partition: p,
}))
const SESSION_MS = 45_000

/** Counts what comes from two topics, where `counting` has one. */
const countingTwo = topology('app', ({ stream }) => {
  stream('in', { key: text, value: text })
    .merge(stream('more', { key: text, value: text }))
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .mapValues(String)
    .to('out', { value: text, partitionBy: (key) => key })
})
const passing = topology('app', ({ stream }) => {
  stream('in', { key: text, value: text }).to('out')
})

function as(instanceId: string, options: Partial<GroupAssignment> = {}): LifeOptions {
  return { machine: instanceId, assignment: { kind: 'group', instanceId, ...options } }
}

/** What a process runs, by its last word. */
function tasksOf({ events }: Life): readonly string[] {
  const last = events.findLast((event) => event.kind === 'unit-started')
  return last?.kind === 'unit-started' ? last.tasks : []
}

function out(bench: MemoryBench, partitions = PARTITIONS): readonly string[] {
  return Array.from({ length: partitions }, (_, p) => bench.texts('out', p))
    .flat()
    .toSorted()
}

/** Two processes of an application that have counted one record of each key. */
async function two(): Promise<{ bench: MemoryBench; a: Life; b: Life }> {
  const bench = await MemoryBench.with(['in', 'more', 'out'], PARTITIONS)
  const a = await bench.start(counting, as('a'))
  const b = await bench.start(counting, as('b'))
  await bench.until(() => tasksOf(a).length === 1 && tasksOf(b).length === 1)
  await bench.produce('in', BOTH)
  await bench.until(() => out(bench).length === PARTITIONS)
  return { bench, a, b }
}

describe('processes that come back under their instance ids with another topology', () => {
  test.each(['together', 'one after the other'])(
    'come up by themselves where all that ran the old one are stopped, %s',
    async (how) => {
      const { bench, ...old } = await two()
      for (const life of [old.a, old.b]) await life.close()
      await bench.pass(1_000)
      const [a, b] = [bench.life(countingTwo, as('a')), bench.life(countingTwo, as('b'))]
      const starting = a.app.start()
      if (how === 'one after the other') await bench.settle(starting)
      await bench.settle(Promise.all([starting, b.app.start()]))
      await bench.produce('in', BOTH)
      await bench.produce('more', BOTH)
      await bench.until(() => out(bench).length === 3 * PARTITIONS)
      expect(out(bench)).toEqual(['key-0=1', 'key-0=2', 'key-0=3', 'key-1=1', 'key-1=2', 'key-1=3'])
      await bench.until(() => tasksOf(a).length === 1 && tasksOf(b).length === 1)
      for (const life of [a, b]) {
        expect(life.events.filter(({ kind }) => kind === 'restarting')).toEqual([])
        await life.close()
      }
    },
  )

  test('come up without those that do not come back, though these count as members for longer than a rebalance takes', async () => {
    const bench = await MemoryBench.with(['in', 'more', 'out'], PARTITIONS)
    const patient = { limits: { sessionTimeoutMs: 300_000 } }
    const old = [
      await bench.start(counting, { ...as('a'), ...patient }),
      await bench.start(counting, { ...as('b'), ...patient }),
    ]
    await bench.until(() => old.every((life) => tasksOf(life).length === 1))
    for (const life of old) await life.close()
    const a = await bench.start(countingTwo, { ...as('a'), ...patient })
    expect(tasksOf(a)).toHaveLength(PARTITIONS)
    await a.close()
  })

  test('are refused and end while one of the old topology runs, which takes over, and the old one may come back', async () => {
    const { bench, a, b } = await two()
    await a.close()
    const other = bench.life(countingTwo, as('a'))
    other.app.start().catch(() => {})
    expect(await other.failure()).toMatchObject({ code: 'MILLRACE_GROUP_OTHER_TOPOLOGY' })
    expect(tasksOf(other)).toEqual([])
    await bench.produce('in', BOTH)
    await bench.pass(2 * SESSION_MS)
    expect(out(bench)).toEqual(['key-0=1', 'key-0=2', 'key-1=1', 'key-1=2'])
    const again = bench.life(countingTwo, as('a'))
    again.app.start().catch(() => {})
    expect(await again.failure()).toMatchObject({ code: 'MILLRACE_GROUP_OTHER_TOPOLOGY' })
    const back = await bench.start(counting, as('a'))
    await bench.until(() => tasksOf(back).length === 1 && tasksOf(b).length === 1)
    await bench.produce('in', BOTH)
    await bench.until(() => out(bench).length === 3 * PARTITIONS)
    for (const life of [back, b]) await life.close()
  })
})

describe('processes that come back under their instance ids with other numbers', () => {
  test('read partitions that were added meanwhile', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 4)
    let shown = 2
    const wrap = (log: Transport): Transport => {
      const describeTopics = log.admin.describeTopics.bind(log.admin)
      const admin = Object.assign(log.admin, {
        describeTopics: async (...args: Parameters<typeof describeTopics>) =>
          (await describeTopics(...args)).map((found) =>
            found.topic === 'in' ? { ...found, partitions: shown } : found,
          ),
      })
      return Object.assign(log, { admin })
    }
    const start = async (id: string) => await bench.start(passing, { ...as(id), wrap })
    const old = [await start('a'), await start('b')]
    await bench.until(() => old.every((life) => tasksOf(life).length === 1))
    shown = 4
    for (const life of old) {
      expect(await life.failure()).toMatchObject({ code: 'MILLRACE_PARTITIONS_ADDED' })
    }
    const lives = [await start('a'), await start('b')]
    await bench.produce(
      'in',
      [0, 1, 2, 3].map((p) => ({ key: `key-${p}`, value: 'x', partition: p })),
    )
    await bench.until(() => out(bench, 4).length === 4)
    for (const life of lives) await life.close()
  })

  test('get their copies', async () => {
    const { bench, a, b } = await two()
    for (const life of [a, b]) await life.close()
    const lives = [bench.life(counting, as('a', { standbys: 1 }))]
    lives.push(bench.life(counting, as('b', { standbys: 1 })))
    await bench.settle(Promise.all(lives.map(({ app }) => app.start())))
    // What lies here and is neither run nor copied is removed by then.
    await bench.pass(20 * 60_000)
    for (const disks of bench.disks.values())
      expect([...disks.keys()].toSorted()).toEqual(['0_0', '0_1'])
    for (const life of lives) await life.close()
  })

  test('move nothing, and ask nobody, where all is as it was', async () => {
    const { bench, a, b } = await two()
    await a.close()
    const before = b.events.length
    const back = await bench.start(counting, as('a'))
    await bench.pass(2 * SESSION_MS)
    expect(b.events.slice(before)).toEqual([])
    expect(back.events.filter(({ kind }) => kind === 'unit-started')).toHaveLength(1)
    for (const life of [back, b]) await life.close()
  })
})

describe('a process that comes back under its instance id with an empty disk', () => {
  test('goes on soon, however often it is killed in a transaction', async () => {
    const { bench, a, b } = await two()
    await a.close()
    let [isHeld, isMet] = [false, false]
    const beforeCommit = async (): Promise<void> => {
      if (!isHeld) return
      isMet = true
      await new Promise(() => {})
    }
    const comeBack = async (machine: string) =>
      await bench.start(counting, {
        ...as('a'),
        machine,
        wrap: (log) => gated(log, { beforeCommit }),
      })
    let life = await comeBack('a')
    for (let times = 1; times <= 3; times += 1) {
      await bench.pass(10_000)
      isHeld = true
      await bench.produce('in', BOTH)
      await bench.until(() => isMet)
      ;[isHeld, isMet] = [false, false]
      life.kill()
      const killedMs = bench.clock.monotonic()
      life = await comeBack(`empty-${times}`)
      await bench.until(() => out(bench).length === (times + 1) * PARTITIONS)
      expect(bench.clock.monotonic() - killedMs).toBeLessThan(10_000)
      expect(life.events.filter(({ kind }) => kind === 'restarting')).toEqual([])
    }
    for (const each of [life, b]) await each.close()
  })
})
