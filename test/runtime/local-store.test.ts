import { describe, expect, test } from 'vitest'
import { int64, text } from '../../serdes/primitives.ts'
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
