import { describe, expect, test } from 'vitest'
import { count } from '../../processors/count.ts'
import { process } from '../../processors/process.ts'
import { tableSource } from '../../processors/table-source.ts'
import { int64, text } from '../../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../../state/store.ts'
import { runOperator } from './operator.ts'

const COUNTS: KeyValueStoreSpec<string, bigint> = {
  kind: 'key-value',
  name: 'counts',
  key: text,
  value: int64,
  persistent: true,
  logged: true,
}
const ROWS: KeyValueStoreSpec<string, string> = { ...COUNTS, name: 'rows', value: text }

describe('count', () => {
  test('forwards the new and the old count of each key', async () => {
    const run = await runOperator(count<string, number>('c', COUNTS))
    run.send('a', 1)
    run.send('b', 1)
    run.send('a', 1)
    expect(run.taken()).toEqual([
      ['a', { newValue: 1n, oldValue: null }, 0],
      ['b', { newValue: 1n, oldValue: null }, 0],
      ['a', { newValue: 2n, oldValue: 1n }, 0],
    ])
    expect(run.store(COUNTS).getWithTimestamp('a')).toEqual({ value: 2n, timestamp: 0 })
  })

  test('takes the larger of the record and the row as the timestamp', async () => {
    const run = await runOperator(count<string, number>('c', COUNTS))
    for (const timestamp of [10, 5, 12]) run.send('a', 1, timestamp)
    expect(run.taken().map(([, , timestamp]) => timestamp)).toEqual([10, 10, 12])
    expect(run.store(COUNTS).getWithTimestamp('a')).toEqual({ value: 3n, timestamp: 12 })
  })

  test('drops a record without key or value, and counts what it dropped', async () => {
    const run = await runOperator(count<string | null, number | null>('c', COUNTS as never))
    run.send(null, 1)
    run.send('a', null)
    expect(run.taken()).toEqual([])
    expect(run.counters.get('dropped-records')).toBe(2)
    expect(run.store(COUNTS).get('a')).toBeUndefined()
  })
})

describe('a table source', () => {
  test('replaces the row of each key and forwards what it replaced', async () => {
    const run = await runOperator(tableSource<string, string>('t', ROWS))
    run.send('a', 'x', 1)
    run.send('a', 'y', 2)
    expect(run.taken()).toEqual([
      ['a', { newValue: 'x', oldValue: null }, 1],
      ['a', { newValue: 'y', oldValue: 'x' }, 2],
    ])
    expect(run.store(ROWS).getWithTimestamp('a')).toEqual({ value: 'y', timestamp: 2 })
  })

  test('removes the row at a null value, and forwards a removal also where there was none', async () => {
    const run = await runOperator(tableSource<string, string | null>('t', ROWS as never))
    run.send('a', 'x')
    run.send('a', null)
    run.send('b', null)
    expect(run.taken().slice(1)).toEqual([
      ['a', { newValue: null, oldValue: 'x' }, 0],
      ['b', { newValue: null, oldValue: null }, 0],
    ])
    expect(run.store(ROWS).get('a')).toBeUndefined()
  })

  test('applies an update that is older than the row, whose timestamp then goes back', async () => {
    const run = await runOperator(tableSource<string, string>('t', ROWS))
    run.send('a', 'new', 10)
    run.send('a', 'old', 5)
    expect(run.store(ROWS).getWithTimestamp('a')).toEqual({ value: 'old', timestamp: 5 })
    expect(run.taken()[1]).toEqual(['a', { newValue: 'old', oldValue: 'new' }, 5])
    expect(run.counters.get('out-of-order-updates')).toBe(1)
  })

  test.each([
    ['with a store', ROWS],
    ['without a store', undefined],
  ])('%s drops a record without key', async (_, rows) => {
    const run = await runOperator(tableSource<string | null, string>('t', rows as never))
    run.send(null, 'x')
    expect(run.taken()).toEqual([])
    expect(run.counters.get('dropped-records')).toBe(1)
  })

  test('without a store forwards updates and cannot know what they replaced', async () => {
    const run = await runOperator(tableSource<string, string>('t', undefined))
    run.send('a', 'x')
    run.send('a', 'y')
    expect(run.taken().map(([, change]) => change)).toEqual([
      { newValue: 'x', oldValue: null },
      { newValue: 'y', oldValue: null },
    ])
  })
})

describe('process', () => {
  test('gives the author stores and forwards what the author forwards', async () => {
    const spec = process<string, string, string, string>('last', {
      stores: [ROWS],
      create: (context) => {
        const rows = context.store(ROWS)
        return (record) => {
          const { key, value, timestamp } = record
          const last = rows.get(key)
          rows.put(key, value, timestamp)
          if (last !== undefined) context.forward(record.withValue(`${last} then ${value}`))
        }
      },
    })
    const run = await runOperator(spec)
    run.send('a', 'x')
    run.send('a', 'y')
    expect(run.taken()).toEqual([['a', 'x then y', 0]])
    expect(spec.stores).toEqual([ROWS])
  })
})
