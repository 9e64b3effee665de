import { describe, expect, test } from 'vitest'
import type { Change } from '../../processors/change.ts'
import { filter, filterNot } from '../../processors/filter.ts'
import { flatMap, flatMapValues } from '../../processors/flat-map.ts'
import { mapValues } from '../../processors/map-values.ts'
import { map } from '../../processors/map.ts'
import { merge } from '../../processors/merge.ts'
import { foreach, peek } from '../../processors/peek.ts'
import { selectKey } from '../../processors/select-key.ts'
import { tableFilter } from '../../processors/table-filter.ts'
import { tableMapValues } from '../../processors/table-map-values.ts'
import { toStream } from '../../processors/to-stream.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { runOperator } from './operator.ts'

const HEADERS = [{ key: 'trace', value: Buffer.from('1') }]

describe('filter', () => {
  test('forwards the very record it was given, and only where the answer is true', async () => {
    const run = await runOperator(filter<string, number>('f', ({ value }) => value > 1))
    run.send('a', 1)
    run.send('b', 2, 7)
    expect(run.taken()).toEqual([['b', 2, 7]])
  })

  test('turned around forwards where the answer is false', async () => {
    const run = await runOperator(filterNot<string, number>('f', ({ value }) => value > 1))
    run.send('a', 1)
    run.send('b', 2)
    expect(run.taken()).toEqual([['a', 1, 0]])
  })

  test('shows a null key and a null value to the predicate, as Kafka Streams does', async () => {
    const run = await runOperator(
      filter<string | null, string | null>('f', ({ key, value }) => key === null && value === null),
    )
    run.send(null, null, 3)
    expect(run.taken()).toEqual([[null, null, 3]])
    expect(run.counters.size).toBe(0)
  })
})

describe('the mapping steps', () => {
  test.each([
    ['map', map<string, number, number, string>('m', ({ key, value }) => [value, key])],
    ['flatMap', flatMap<string, number, number, string>('m', ({ key, value }) => [[value, key]])],
  ])('%s gives another key and value, and keeps timestamp and headers', async (_, spec) => {
    const run = await runOperator(spec)
    run.send('a', 1, 9, HEADERS)
    expect(run.forwarded[0]?.headers).toBe(HEADERS)
    expect(run.taken()).toEqual([[1, 'a', 9]])
  })

  test.each([
    ['mapValues', mapValues<string, number, string>('m', (value, { key }) => `${key}${value}`)],
    [
      'flatMapValues',
      flatMapValues<string, number, string>('m', (value, { key }) => [`${key}${value}`]),
    ],
  ])('%s gives another value and keeps the rest', async (_, spec) => {
    const run = await runOperator(spec)
    run.send('a', 1, 9, HEADERS)
    expect(run.forwarded[0]?.headers).toBe(HEADERS)
    expect(run.taken()).toEqual([['a', 'a1', 9]])
  })

  test('selectKey gives another key and keeps the rest', async () => {
    const run = await runOperator(selectKey<string, number, number>('k', ({ value }) => value))
    run.send('a', 1, 9, HEADERS)
    expect(run.forwarded[0]?.headers).toBe(HEADERS)
    expect(run.taken()).toEqual([[1, 1, 9]])
  })

  test('the flat ones forward none or many, in the order of the answer', async () => {
    const pairs = await runOperator(
      flatMap<string, number, number, string>('m', ({ key, value }) =>
        Array.from({ length: value }, (_, at) => [at, key] as const),
      ),
    )
    const values = await runOperator(
      flatMapValues<string, number, number>('m', function* (value) {
        for (let at = 0; at < value; at += 1) yield at
      }),
    )
    for (const run of [pairs, values]) run.send('a', 0)
    expect([pairs.taken(), values.taken()]).toEqual([[], []])
    for (const run of [pairs, values]) run.send('a', 2, 5)
    expect(pairs.taken()).toEqual([
      [0, 'a', 5],
      [1, 'a', 5],
    ])
    expect(values.taken()).toEqual([
      ['a', 0, 5],
      ['a', 1, 5],
    ])
  })

  test('mapValues shows null values to its mapper, as Kafka Streams does', async () => {
    const run = await runOperator(
      mapValues<string, string | null, string>('m', (value) => value ?? 'none'),
    )
    run.send('a', null)
    expect(run.taken()).toEqual([['a', 'none', 0]])
  })
})

describe('the looking steps', () => {
  test('peek looks first and forwards the very record', async () => {
    const seen: string[] = []
    const run = await runOperator(peek<string, number>('p', ({ key }) => void seen.push(key)))
    run.send('a', 1)
    expect(seen).toEqual(['a'])
    expect(run.taken()).toEqual([['a', 1, 0]])
  })

  test('foreach forwards nothing', async () => {
    const seen: string[] = []
    const run = await runOperator(foreach<string, number>('p', ({ key }) => void seen.push(key)))
    run.send('a', 1)
    expect(seen).toEqual(['a'])
    expect(run.taken()).toEqual([])
  })

  test('merge forwards what it gets', async () => {
    const run = await runOperator(merge<string, number>('m'))
    run.send('a', 1, 2, NO_HEADERS)
    expect(run.taken()).toEqual([['a', 1, 2]])
  })
})

describe('the steps of tables', () => {
  const change = (newValue: number | null, oldValue: number | null = null): Change<number> => ({
    newValue,
    oldValue,
  })

  test('filter turns an update to a refused row into a removal, also where nothing was there', async () => {
    const run = await runOperator(
      tableFilter<string, number>('f', (value) => value > 1, { hasOld: false }),
    )
    run.send('a', change(2))
    run.send('b', change(1))
    run.send('c', change(null))
    expect(run.taken().map(([key, { newValue }]) => [key, newValue])).toEqual([
      ['a', 2],
      ['b', null],
      ['c', null],
    ])
  })

  test('mapValues never shows a removal to its mapper, and calls it once for a row', async () => {
    let calls = 0
    const run = await runOperator(
      tableMapValues<string, number, string>(
        'm',
        (value, key) => {
          calls += 1
          return `${key}${value}`
        },
        { hasOld: false },
      ),
    )
    run.send('a', change(2, 1))
    run.send('a', change(null, 2))
    expect(run.taken().map(([, { newValue }]) => newValue)).toEqual(['a2', null])
    expect(calls).toBe(1)
  })

  test('toStream forwards new values, and removals as null', async () => {
    const run = await runOperator(toStream<string, number>('s'))
    run.send('a', change(2, 1), 4)
    run.send('a', change(null, 2), 5)
    expect(run.taken()).toEqual([
      ['a', 2, 4],
      ['a', null, 5],
    ])
  })
})
