/** joinOnce in whole apps over the memory log. */
import { describe, expect, test } from 'vitest'
import type { ExpiryPolicy, JoinOnceOptions } from '../../processors/join-once.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { MemoryBench, type Given } from '../runtime/memory-bench.ts'
import { HandService } from './hand-services.ts'

const joined = (
  options: Partial<JoinOnceOptions<string, string, string>> = {},
  join = (left: string, right: string) => `${left}+${right}`,
) =>
  topology('app', ({ stream }) => {
    const left = stream('left', { key: text, value: text })
    const right = stream('right', { key: text, value: text })
    left.joinOnce('meet', right, join, { expireAfter: 100, ...options, value: text }).to('out')
  })

const TOPICS = ['left', 'right', 'out']

/** A bench with an app that joins, and a function that feeds it record by record. */
async function running(
  options: Partial<JoinOnceOptions<string, string, string>> = {},
  join?: (left: string, right: string) => string,
  failures: { readonly processing?: 'skip' } = {},
) {
  const bench = await MemoryBench.with(TOPICS)
  const life = await bench.start(joined(options, join), { deadLetterTopic: 'dead', failures })
  const feed = async (topic: string, ...records: readonly Given[]): Promise<void> => {
    for (const record of records) {
      await bench.produce(topic, [record])
      await life.caughtUp()
    }
  }
  return { bench, life, feed }
}

/** Entries left in a store, by its changelog. */
function left(bench: MemoryBench, store: string): readonly string[] {
  const rows = new Map<string, boolean>()
  for (const { key, value } of bench.records(`app-${store}-changelog`)) {
    rows.set(String(key), value !== null)
  }
  return [...rows].filter(([, isThere]) => isThere).map(([key]) => key)
}

describe('joinOnce', () => {
  test.each([
    ['left', 'right', 'a=L+R'],
    ['right', 'left', 'a=L+R'],
  ])('joins whichever side comes first: %s', async (first, second, expected) => {
    const { bench, life, feed } = await running()
    const valueOf = (topic: string): string => (topic === 'left' ? 'L' : 'R')
    await feed(first, { key: 'a', value: valueOf(first), timestamp: 50 })
    expect(bench.texts('out')).toEqual([])
    await feed(second, { key: 'a', value: valueOf(second), timestamp: 40 })
    expect(bench.texts('out')).toEqual([expected])
    expect(bench.records('out')[0]?.timestamp).toBe(50)
    await life.close()
    expect([...left(bench, 'meet-left'), ...left(bench, 'meet-right')]).toEqual([])
  })

  test('lets a second record of a side replace the waiting one, and counts it', async () => {
    const { bench, life, feed } = await running()
    await feed('left', { key: 'a', value: '1' }, { key: 'a', value: '2' })
    await feed('right', { key: 'a', value: 'R' })
    expect(bench.texts('out')).toEqual(['a=2+R'])
    expect(life.count('replaced')).toBe(1)
    // What comes after the match waits anew.
    await feed('left', { key: 'a', value: '3' })
    await feed('right', { key: 'a', value: 'S' })
    expect(bench.texts('out')).toEqual(['a=2+R', 'a=3+S'])
    await life.close()
  })

  test.each<[string, Given]>([
    ['key', { key: null, value: 'x' }],
    ['value', { key: 'a', value: null }],
  ])('drops a record with a null %s, and counts it', async (_name, record) => {
    const { bench, life, feed } = await running()
    await feed('left', record)
    await feed('right', record)
    expect(life.count('dropped-records')).toBe(2)
    expect(bench.texts('out')).toEqual([])
    await life.close()
  })

  test('keeps a partner whose join failed where such records are skipped', async () => {
    const join = (l: string, r: string): string => {
      if (r === 'bad') throw new Error('bad')
      return l + r
    }
    const { bench, life, feed } = await running({}, join, { processing: 'skip' })
    await feed('left', { key: 'a', value: 'L' })
    await feed('right', { key: 'a', value: 'bad' }, { key: 'a', value: 'R' })
    expect(bench.texts('out')).toEqual(['a=LR'])
    await life.close()
  })
})

describe('a record whose partner never comes', () => {
  test('expires when the other side has passed its time, and not by its own side', async () => {
    const { bench, life, feed } = await running({ onExpire: { emit: (l, r) => `${l}/${r}` } })
    await feed('left', { key: 'a', value: 'L', timestamp: 1000 })
    await feed('left', { key: 'b', value: 'M', timestamp: 1050 })
    await feed('right', { key: 'x', value: 'R', timestamp: 1100 })
    expect(bench.texts('out')).toEqual([])
    await feed('right', { key: 'y', value: 'S', timestamp: 1101 })
    expect(bench.texts('out')).toEqual(['a=L/null'])
    expect(bench.records('out')[0]?.timestamp).toBe(1000)
    await life.close()
  })

  test.each<[string, ExpiryPolicy<string, string, string>, readonly string[], readonly string[]]>([
    ['drop', 'drop', [], []],
    ['dead-letter', 'dead-letter', [], ['a=L']],
    ['emit', { emit: (l, r) => `${l}/${r}` }, ['a=L/null'], []],
  ])('is handled by the policy %s', async (_name, onExpire, out, dead) => {
    const { bench, life, feed } = await running({ onExpire })
    await feed('left', { key: 'a', value: 'L', timestamp: 1000 })
    await feed('right', { key: 'x', value: 'R', timestamp: 2000 })
    expect(life.count('expired')).toBe(1)
    expect(bench.texts('out')).toEqual(out)
    expect(bench.texts('dead')).toEqual(dead)
    // Its partner comes too late, and waits anew.
    await feed('right', { key: 'a', value: 'late', timestamp: 2000 })
    expect(bench.texts('out')).toEqual(out)
    await life.close()
    expect(left(bench, 'meet-left')).toEqual([])
  })

  test('expires by times that outlive a crash', async () => {
    const { bench, life, feed } = await running()
    await feed('right', { key: 'x', value: 'R', timestamp: 5000 })
    life.kill()
    const next = await bench.start(joined({ onExpire: { emit: (l, r) => `${l}/${r}` } }))
    await bench.produce('left', [{ key: 'a', value: 'L', timestamp: 1000 }])
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=L/null'])
    await next.close()
  })

  test('waits after a crash, in memory and in the store', async () => {
    const { bench, life, feed } = await running()
    await feed(
      'left',
      { key: 'a', value: 'L', timestamp: 1000 },
      { key: 'b', value: 'M', timestamp: 1010 },
    )
    life.kill()
    bench.disks.clear()
    const next = await bench.start(joined({ onExpire: { emit: (l, r) => `${l}/${r}` } }))
    await bench.produce('right', [
      { key: 'b', value: 'R', timestamp: 1010 },
      { key: 'x', value: 'S', timestamp: 9000 },
    ])
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['b=M+R', 'a=L/null'])
    await next.close()
  })
})

describe('time in front of joinOnce', () => {
  test('is held at the oldest record that waits in an enrich step', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const service = new HandService()
    const held = topology('app', ({ stream }) => {
      const raw = stream('in', { key: text, value: text })
      const asked = raw.enrich('ask', service.enricher)
      raw
        .joinOnce('meet', asked, (l: string, r: string) => `${l}+${r}`, {
          expireAfter: 10,
          onExpire: { emit: (l: string | null, r: string | null) => `${l}/${r}` },
          value: text,
        })
        .to('out')
    })
    const life = await bench.start(held)
    await bench.produce('in', [
      { key: 'slow', value: 's', timestamp: 1000 },
      { key: 'b', value: 'b', timestamp: 5000 },
      { key: 'c', value: 'c', timestamp: 9000 },
    ])
    await bench.pass(200)
    service.waitingFor('c').answer()
    await bench.pass(200)
    expect(bench.texts('out')).toEqual(['c=c+C'])
    service.waitingFor('s').answer()
    await bench.pass(200)
    expect(bench.texts('out')).toEqual(['c=c+C', 'slow=s+S'])
    service.waitingFor('b').answer()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['c=c+C', 'slow=s+S', 'b=b+B'])
    await life.close()
  })
})
