import { describe, expect, test } from 'vitest'
import {
  unjoinedKey,
  unjoinedValues,
  type TimeMark,
  type UnjoinedKey,
} from '../../processors/unjoined-serde.ts'
import { SerdeError } from '../../serdes/errors.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { int64, text } from '../../serdes/primitives.ts'

const context = { topic: 'joins', registry: memoryRegistry() }
const keys = await unjoinedKey(text).open({ ...context, role: 'key' })
const both = await unjoinedValues({ left: text, right: int64 }).open({ ...context, role: 'value' })
const lefts = await unjoinedValues({ left: text, right: undefined }).open({
  ...context,
  role: 'value',
})

describe('the serde of what waits for a partner', () => {
  // In the bytes of Kafka Streams 4.1.0, but for the time.
  test.each<[string, UnjoinedKey<string> | TimeMark, string]>([
    ['a left record', { timestamp: 7, isLeft: true, key: 'k' }, '0000000000000007016b'],
    ['a right record', { timestamp: 8, isLeft: false, key: 'z' }, '0000000000000008007a'],
    ['a record with an empty key', { timestamp: 1, isLeft: false, key: '' }, '000000000000000100'],
    ['a time', { timestamp: 500, isMark: true }, '00000000000001f402'],
  ])('writes and reads the place of %s', (_what, place, hex) => {
    const bytes = keys.serialize(place)
    expect(bytes.toString('hex')).toBe(hex)
    const read = keys.deserialize(bytes, 0, bytes.length)
    expect(read).toMatchObject(place)
    expect(keys.serialize(read)).toEqual(bytes)
  })

  test('sorts places by time, and at one time the right side first', () => {
    const places: UnjoinedKey<string>[] = [
      { timestamp: 300, isLeft: false, key: 'a' },
      { timestamp: 2, isLeft: true, key: 'a' },
      { timestamp: 2, isLeft: false, key: 'b' },
      { timestamp: 2, isLeft: false, key: 'a' },
    ]
    const sorted = places.toSorted((a, b) => keys.serialize(a).compare(keys.serialize(b)))
    expect(sorted.map(({ timestamp, isLeft, key }) => [timestamp, isLeft, key])).toEqual([
      [2, false, 'a'],
      [2, false, 'b'],
      [2, true, 'a'],
      [300, false, 'a'],
    ])
  })

  test('writes and reads values of either side, and none', () => {
    const left = { isLeft: true, values: ['A', 'BC'] } as const
    const bytes = both.serialize(left)
    expect(bytes.toString('hex')).toBe('010000000200000002014100000003014243')
    expect(both.deserialize(bytes, 0, bytes.length)).toEqual(left)
    const right = { isLeft: false, values: [3n] } as const
    const other = both.serialize(right)
    expect(both.deserialize(other, 0, other.length)).toEqual(right)
    const none = both.serialize({ isLeft: true, values: [] })
    expect(none.toString('hex')).toBe('0100000000')
    expect(both.deserialize(none, 0, none.length)).toEqual({ isLeft: true, values: [] })
  })

  test.each([
    ['a key that is too short', () => keys.deserialize(Buffer.alloc(8), 0, 8)],
    ['no list', () => both.deserialize(Buffer.from('0000000001', 'hex'), 0, 5)],
    ['a list that ends early', () => both.deserialize(Buffer.from('010000000100', 'hex'), 0, 6)],
    [
      'a value that ends early',
      () => both.deserialize(Buffer.from('0100000001000000090141', 'hex'), 0, 11),
    ],
    [
      'a value of a side that never waits',
      () => lefts.deserialize(Buffer.from('0100000001000000020041', 'hex'), 0, 11),
    ],
  ])('refuses %s', (_what, read) => {
    expect(read).toThrow(SerdeError)
  })
})
