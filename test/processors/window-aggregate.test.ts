import { describe, expect, test } from 'vitest'
import { hopping, tumbling, type TimeWindows } from '../../processors/time-windows.ts'
import { windowAggregate, windowCount, windowReduce } from '../../processors/window-aggregate.ts'
import { int64, text } from '../../serdes/primitives.ts'
import type { Serde } from '../../serdes/serde.ts'
import { describeWindowed, type Windowed } from '../../serdes/windowed.ts'
import type { WindowStoreSpec } from '../../state/store.ts'
import type { Change } from '../../processors/change.ts'
import { runOperator, type RunningOperator } from './operator.ts'

function rowsOf<V>(value: Serde<V>, { sizeMs, graceMs }: TimeWindows): WindowStoreSpec<string, V> {
  const kept = { persistent: true, logged: true, retentionMs: sizeMs + graceMs }
  return { kind: 'window', name: 'rows', key: text, value, sizeMs, ...kept }
}

const counting = (windows: TimeWindows) =>
  runOperator<string, string | null, Windowed<string>, Change<bigint>>(
    windowCount({ name: 'count', windows, rows: rowsOf(int64, windows) }),
  )

/** What was forwarded since the last call: `[key@start/end]: old -> new @timestamp`. */
function taken<K, V, W>(operator: RunningOperator<K, V, Windowed<string>, Change<W>>): string[] {
  return operator
    .taken()
    .map(
      ([window, { oldValue, newValue }, timestamp]) =>
        `${describeWindowed(window)}: ${String(oldValue)} -> ${String(newValue)} @${timestamp}`,
    )
}

describe('a windowed count', () => {
  test('counts the records of each key and window, and tells what it replaced', async () => {
    const count = await counting(tumbling(10))
    count.send('a', 'x', 3)
    count.send('b', 'x', 4)
    count.send('a', 'x', 9)
    count.send('a', 'x', 10)
    expect(taken(count)).toEqual([
      '[a@0/10]: null -> 1 @3',
      '[b@0/10]: null -> 1 @4',
      '[a@0/10]: 1 -> 2 @9',
      '[a@10/20]: null -> 1 @10',
    ])
  })

  test('takes a late record as long as the window is within its grace, and no longer', async () => {
    const count = await counting(tumbling(10, { graceMs: 5 }))
    count.send('a', 'x', 8)
    count.send('b', 'x', 14)
    count.send('a', 'x', 2)
    count.send('b', 'x', 15)
    count.send('a', 'x', 9)
    expect(taken(count)).toEqual([
      '[a@0/10]: null -> 1 @8',
      '[b@10/20]: null -> 1 @14',
      '[a@0/10]: 1 -> 2 @8',
      '[b@10/20]: 1 -> 2 @15',
    ])
    expect(count.counters.get('dropped-records')).toBe(1)
  })

  test('drops a record that is late for some of its windows for these alone', async () => {
    const count = await counting(hopping(10, 4))
    count.send('a', 'x', 14)
    expect(taken(count)).toEqual(['[a@8/18]: null -> 1 @14', '[a@12/22]: null -> 1 @14'])
    count.send('a', 'x', 9)
    expect(taken(count)).toEqual(['[a@8/18]: 1 -> 2 @14'])
    // Those from 0 and from 4.
    expect(count.counters.get('dropped-records')).toBe(2)
  })

  test('begins no window before 1970', async () => {
    const count = await counting(hopping(10, 4))
    count.send('a', 'x', 5)
    expect(taken(count)).toEqual(['[a@0/10]: null -> 1 @5', '[a@4/14]: null -> 1 @5'])
  })

  test('counts a record without a value, and drops one without a key, which moves no time', async () => {
    const count = await counting(tumbling(10))
    count.send('a', null, 3)
    count.send(null as unknown as string, 'x', 100)
    count.send('a', 'x', 4)
    expect(taken(count)).toEqual(['[a@0/10]: null -> 1 @3', '[a@0/10]: 1 -> 2 @4'])
    expect(count.counters.get('dropped-records')).toBe(1)
  })

  test('closes no window while older records are held upstream, and opens none again', async () => {
    const count = await counting(tumbling(10))
    count.time.heldMs = 5
    count.send('a', 'x', 100)
    count.send('a', 'x', 5)
    count.time.heldMs = Infinity
    count.send('a', 'x', 101)
    count.time.heldMs = 6
    count.send('a', 'x', 6)
    expect(taken(count)).toEqual([
      '[a@100/110]: null -> 1 @100',
      '[a@0/10]: null -> 1 @5',
      '[a@100/110]: 1 -> 2 @101',
    ])
  })
})

describe('a windowed reduction', () => {
  const windows = tumbling(10)
  const reducing = () =>
    runOperator<string, string, Windowed<string>, Change<string>>(
      windowReduce({ name: 'reduce', windows, rows: rowsOf(text, windows) }, (sum, value) =>
        sum.length > 1 ? null : sum + value,
      ),
    )

  test('begins a window with its first value, removes it with null, and begins anew with its own time', async () => {
    const reduce = await reducing()
    for (const timestamp of [5, 7, 6, 4]) reduce.send('a', 'x', timestamp)
    reduce.send('a', 'y', 12)
    expect(taken(reduce)).toEqual([
      '[a@0/10]: null -> x @5',
      '[a@0/10]: x -> xx @7',
      '[a@0/10]: xx -> null @7',
      '[a@0/10]: null -> x @4',
      '[a@10/20]: null -> y @12',
    ])
  })

  test('forwards a removal where the first record of a window has no value', async () => {
    const reduce = await reducing()
    reduce.send('a', null as unknown as string, 5)
    reduce.send('a', 'x', 3)
    expect(taken(reduce)).toEqual(['[a@0/10]: null -> null @5', '[a@0/10]: null -> x @3'])
  })
})

test('a windowed aggregate begins each window with the initial value', async () => {
  const windows = tumbling(10)
  const step = { name: 'aggregate', windows, rows: rowsOf(text, windows) }
  const aggregate = await runOperator<string, string, Windowed<string>, Change<string>>(
    windowAggregate(step, { initial: () => '<', add: (sum, value, key) => sum + key + value }),
  )
  for (const timestamp of [1, 2, 11]) aggregate.send('k', 'v', timestamp)
  expect(taken(aggregate)).toEqual([
    '[k@0/10]: null -> <kv @1',
    '[k@0/10]: <kv -> <kvkv @2',
    '[k@10/20]: null -> <kv @11',
  ])
})

test.each([
  ['a size of none', () => tumbling(0)],
  ['a size that is not whole', () => tumbling(1.5)],
  ['an advance of none', () => hopping(10, 0)],
  ['an advance that leaves gaps', () => hopping(10, 11)],
  ['a grace below none', () => tumbling(10, { graceMs: -1 })],
])('windows refuse %s', (_, make) => {
  expect(make).toThrow(RangeError)
})
