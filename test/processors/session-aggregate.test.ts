import { describe, expect, test } from 'vitest'
import type { Change } from '../../processors/change.ts'
import {
  sessionAggregate,
  sessionCount,
  sessionReduce,
} from '../../processors/session-aggregate.ts'
import { sessions, type SessionWindows } from '../../processors/session-windows.ts'
import { int64, text } from '../../serdes/primitives.ts'
import type { Serde } from '../../serdes/serde.ts'
import { describeWindowed, type Windowed } from '../../serdes/windowed.ts'
import type { SessionStoreSpec } from '../../state/store.ts'
import { runOperator, type RunningOperator } from './operator.ts'

function rowsOf<V>(
  value: Serde<V>,
  { gapMs, graceMs }: SessionWindows,
): SessionStoreSpec<string, V> {
  const kept = { persistent: true, logged: true, retentionMs: gapMs + graceMs }
  return { kind: 'session', name: 'rows', key: text, value, ...kept }
}

const counting = (windows: SessionWindows) =>
  runOperator<string, string | null, Windowed<string>, Change<bigint>>(
    sessionCount({ name: 'count', windows, rows: rowsOf(int64, windows) }),
  )

/** What was forwarded since the last call: `[key@start/end]: old -> new @timestamp`. */
function taken<K, V, W>(operator: RunningOperator<K, V, Windowed<string>, Change<W>>): string[] {
  return operator
    .taken()
    .map(
      ([session, { oldValue, newValue }, timestamp]) =>
        `${describeWindowed(session)}: ${String(oldValue)} -> ${String(newValue)} @${timestamp}`,
    )
}

describe('a count of sessions', () => {
  test('removes what a record makes longer, and puts the longer one', async () => {
    const count = await counting(sessions(5))
    count.send('a', 'x', 10)
    count.send('a', 'x', 15)
    count.send('a', 'x', 21)
    expect(taken(count)).toEqual([
      '[a@10/10]: null -> 1 @10',
      '[a@10/10]: 1 -> null @10',
      '[a@10/15]: null -> 2 @15',
      '[a@21/21]: null -> 1 @21',
    ])
  })

  test('makes one of the sessions that a record comes between', async () => {
    const count = await counting(sessions(5, { graceMs: 10 }))
    count.send('a', 'x', 10)
    count.send('a', 'x', 20)
    count.send('b', 'x', 15)
    taken(count)
    count.send('a', 'x', 15)
    expect(taken(count)).toEqual([
      '[a@10/10]: 1 -> null @10',
      '[a@20/20]: 1 -> null @20',
      '[a@10/20]: null -> 3 @20',
    ])
  })

  test('removes and puts again a session that a record falls into, but not one of that very time', async () => {
    const count = await counting(sessions(5, { graceMs: 10 }))
    for (const timestamp of [10, 10, 14, 12]) count.send('a', null, timestamp)
    expect(taken(count)).toEqual([
      '[a@10/10]: null -> 1 @10',
      '[a@10/10]: null -> 2 @10',
      '[a@10/10]: 2 -> null @10',
      '[a@10/14]: null -> 3 @14',
      '[a@10/14]: 3 -> null @14',
      '[a@10/14]: null -> 4 @14',
    ])
  })

  test('takes a late record until time has passed its gap and grace, and no longer', async () => {
    const count = await counting(sessions(5, { graceMs: 3 }))
    count.send('b', 'x', 18)
    count.send('a', 'x', 10)
    count.send('b', 'x', 19)
    count.send('c', 'x', 10)
    count.send(null as unknown as string, 'x', 100)
    count.send('c', 'x', 11)
    expect(taken(count).filter((line) => !line.startsWith('[b'))).toEqual([
      '[a@10/10]: null -> 1 @10',
      '[c@11/11]: null -> 1 @11',
    ])
    expect(count.counters.get('dropped-records')).toBe(2)
  })

  test('closes no session while older records are held upstream', async () => {
    const count = await counting(sessions(5))
    count.time.heldMs = 4
    count.send('a', 'x', 100)
    count.send('a', 'x', 4)
    count.time.heldMs = Infinity
    count.send('a', 'x', 100)
    count.send('a', 'x', 5)
    expect(taken(count)).toEqual([
      '[a@100/100]: null -> 1 @100',
      '[a@4/4]: null -> 1 @4',
      '[a@100/100]: null -> 2 @100',
    ])
  })
})

test('a reduction of sessions takes the oldest first, then the record', async () => {
  const windows = sessions(5, { graceMs: 50 })
  const step = { name: 'reduce', windows, rows: rowsOf(text, windows) }
  const reduce = await runOperator<string, string, Windowed<string>, Change<string>>(
    sessionReduce(step, (sum, value) => sum + value),
  )
  reduce.send('a', '2', 20)
  reduce.send('a', '1', 10)
  taken(reduce)
  reduce.send('a', '3', 15)
  expect(taken(reduce).at(-1)).toBe('[a@10/20]: null -> 123 @20')
})

test('an aggregate of sessions merges from the initial value, and stays as it was where its author throws', async () => {
  const windows = sessions(5)
  const aggregate = await runOperator<string, string, Windowed<string>, Change<string>>(
    sessionAggregate(
      { name: 'aggregate', windows, rows: rowsOf(text, windows) },
      {
        initial: () => '<',
        add: (sum, value) => {
          if (value === 'bad') throw new Error('no such value')
          return value === 'end' ? null : sum + value
        },
        merge: (sum, session) => `${sum}(${session})`,
      },
    ),
  )
  aggregate.send('a', 'x', 10)
  expect(() => aggregate.send('a', 'bad', 11)).toThrow('no such value')
  aggregate.send('a', 'y', 12)
  aggregate.send('a', 'end', 13)
  aggregate.send('a', 'z', 13)
  expect(taken(aggregate)).toEqual([
    '[a@10/10]: null -> <x @10',
    '[a@10/10]: <x -> null @10',
    '[a@10/12]: null -> <(<x)y @12',
    '[a@10/12]: <(<x)y -> null @12',
    '[a@10/13]: null -> null @13',
    '[a@13/13]: null -> <z @13',
  ])
})

test.each([
  ['a gap of none', () => sessions(0)],
  ['a grace below none', () => sessions(10, { graceMs: -1 })],
])('sessions refuse %s', (_, make) => {
  expect(make).toThrow(RangeError)
})
