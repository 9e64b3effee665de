import { describe, expect, test } from 'vitest'
import { sessions } from '../../processors/session-windows.ts'
import { tumbling } from '../../processors/time-windows.ts'
import { int64, text } from '../../serdes/primitives.ts'
import { describeWindowed } from '../../serdes/windowed.ts'
import type { WindowEntry } from '../../state/store.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import { Bench } from './fixtures.ts'

const PARTITIONS = 3

const counting = () =>
  topology('counting', ({ stream }) => {
    stream('in', { key: text, value: text })
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .to('out', { value: int64 })
  })

describe('a local store', () => {
  test('answers for the tasks of the process, and rejects before and after', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'], PARTITIONS)
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    const records = [...keys, ...keys].map((key) => ({ key, value: '1' }))
    await bench.produce('in', records, PARTITIONS)
    await using app = bench.app(counting())
    const counts = app.store<string, bigint>('counts')
    await expect(counts.get('a')).rejects.toMatchObject({ code: 'MILLRACE_STORE_UNAVAILABLE' })
    await app.start()
    await app.caughtUp()

    for (const key of keys) expect(await counts.get(key)).toBe(2n)
    expect(await counts.getWithTimestamp('f')).toEqual({ value: 2n, timestamp: 1011 })
    expect(await counts.get('none')).toBeUndefined()
    const all = (await Array.fromAsync(counts.all())).map(([key]) => key)
    expect(all.toSorted()).toEqual(keys)
    const some = (await Array.fromAsync(counts.range('b', 'd'))).map(([key]) => key)
    expect(some.toSorted()).toEqual(['b', 'c', 'd'])

    await app.close()
    await expect(counts.get('a')).rejects.toMatchObject({ code: 'MILLRACE_STORE_UNAVAILABLE' })
  })

  test('is refused where the topology has none of that name', async () => {
    await using bench = await Bench.open()
    expect(() => bench.app(counting()).store('count')).toThrow('no store count; it has counts')
  })
})

describe('a local store of windows', () => {
  const windows = () =>
    topology('windows', ({ stream }) => {
      stream('in', { key: text, value: text })
        .groupByKey()
        .windowedBy(tumbling(10, { graceMs: 20 }))
        .count({ store: 'counts' })
        .toStream()
        .to('out')
    })
  const shown = async (found: AsyncIterable<WindowEntry<string, bigint>>) =>
    (await Array.fromAsync(found)).map(([key, { value }]) => `${describeWindowed(key)}=${value}`)

  test('finds the windows of a key, those of a time, and none that has expired', async () => {
    await using driver = await topologyTestDriver(windows(), { partitions: PARTITIONS })
    const input = driver.input('in', { key: text, value: text })
    for (const [key, timestampMs] of [
      ['a', 3],
      ['a', 4],
      ['b', 11],
      ['a', 15],
      ['a', 29],
    ] as const)
      await input.pipe(key, 'x', { timestampMs })
    const counts = driver.windowStore<string, bigint>('counts')
    expect(await counts.fetch('a', 0)).toEqual({ value: 2n, timestamp: 4 })
    expect(await counts.fetch('a', 5)).toBeUndefined()
    expect(await counts.fetch('c', 0)).toBeUndefined()
    const range = ['[a@0/10]=2', '[a@10/20]=1', '[a@20/30]=1']
    expect(await shown(counts.fetchRange('a', 0, 100))).toEqual(range)
    const all = await shown(counts.fetchAll(10, 20))
    expect(all.toSorted()).toEqual(['[a@10/20]=1', '[a@20/30]=1', '[b@10/20]=1'])
    await input.pipe('a', 'x', { timestampMs: 30 })
    expect(await counts.fetch('a', 0)).toBeUndefined()
    expect(await shown(counts.fetchRange('a', 0, 100))).toEqual([...range.slice(1), '[a@30/40]=1'])
  })

  test('is read by a call of its own, and the other call says so', async () => {
    await using bench = await Bench.open()
    const app = bench.app(windows())
    expect(() => app.store('counts')).toThrow('keeps windows: read it with windowStore(name)')
    expect(() => app.windowStore('count')).toThrow('no store count; it has counts')
    const rows = bench.app(counting())
    expect(() => rows.windowStore('counts')).toThrow('rows by key: read it with store(name)')
  })
})

describe('a local store of sessions', () => {
  test('finds the sessions of a key, and none that was joined by another', async () => {
    const pipeline = topology('sessions', ({ stream }) => {
      stream('in', { key: text, value: text })
        .groupByKey()
        .windowedBy(sessions(5, { graceMs: 100 }))
        .count({ store: 'counts' })
        .toStream()
        .to('out')
    })
    await using driver = await topologyTestDriver(pipeline, { partitions: PARTITIONS })
    const input = driver.input('in', { key: text, value: text })
    for (const [key, timestampMs] of [
      ['a', 10],
      ['b', 12],
      ['a', 13],
      ['a', 30],
    ] as const)
      await input.pipe(key, 'x', { timestampMs })
    const counts = driver.sessionStore<string, bigint>('counts')
    const longer = { startMs: 10, endMs: 13, value: 2n, timestamp: 13 }
    expect(await counts.fetch('a', 10, 13)).toEqual(longer)
    expect(await counts.fetch('a', 10, 10)).toBeUndefined()
    expect(await counts.find('a', 11, 20)).toEqual([longer])
    expect((await counts.find('a')).map(({ startMs }) => startMs)).toEqual([10, 30])
    expect(await counts.find('c')).toEqual([])
    const all = (await Array.fromAsync(counts.all())).map(([key]) => describeWindowed(key))
    expect(all.toSorted()).toEqual(['[a@10/13]', '[a@30/30]', '[b@12/12]'])
    expect(() => driver.windowStore('counts')).toThrow('sessions: read it with sessionStore(name)')
  })
})
