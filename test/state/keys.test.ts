import { describe, expect, test } from 'vitest'
import { decodeCheckpoint, encodeCheckpoint } from '../../state/checkpoint.ts'
import { asOffset } from '../../model/position.ts'
import {
  checkpointKey,
  endOfPrefix,
  readInt64,
  storePrefix,
  successorOf,
  writeInt64,
} from '../../state/keys.ts'

describe('whole numbers as bytes', () => {
  const numbers = [
    0,
    1,
    255,
    256,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    1_785_000_000_123,
    Number.MAX_SAFE_INTEGER,
  ]
  test.each([...numbers, -1, -(2 ** 32), -(2 ** 32) - 1, Number.MIN_SAFE_INTEGER])(
    '%d is written as Java writes a long, and read back',
    (n) => {
      const ours = Buffer.alloc(8)
      writeInt64(ours, n, 0)
      expect(ours.readBigInt64BE(0)).toBe(BigInt(n))
      expect(readInt64(ours, 0)).toBe(n)
    },
  )
  test('from 0 on, bytes sort as the numbers do', () => {
    const asBytes = numbers.map((n) => {
      const bytes = Buffer.alloc(8)
      writeInt64(bytes, n, 0)
      return bytes
    })
    expect(asBytes.toSorted((a, b) => a.compare(b))).toEqual(asBytes)
  })
})

describe('the stores of one database', () => {
  const names = ['a', 'a-b', 'ab', 'a.b', 'b', 'joined', 'joined-left', 'é']
  test('no prefix begins with another one, and none meets the checkpoints', () => {
    const prefixes = [
      ...names.map(storePrefix),
      ...names.map(checkpointKey).map((key) => key.subarray(0, 1)),
    ]
    for (const one of prefixes.slice(0, names.length)) {
      const inside = prefixes.filter((other) => other.subarray(0, one.length).equals(one))
      expect(inside).toHaveLength(1)
    }
  })
  test('names that would break that are refused', () => {
    expect(() => storePrefix('')).toThrow(TypeError)
    expect(() => storePrefix('a\0b')).toThrow(TypeError)
  })
  test.each([
    ['00', '01'],
    ['01ff', '02'],
    ['01feff', '01ff'],
    ['ffff', undefined],
    ['', undefined],
  ])('the keys that begin with %s end before %s', (prefix, end) => {
    expect(endOfPrefix(Buffer.from(prefix, 'hex'))?.toString('hex')).toBe(end)
  })
  test('nothing lies between a key and its successor', () => {
    expect(successorOf(Buffer.of(1, 2))).toEqual(Buffer.of(1, 2, 0))
  })
})

describe('a checkpoint', () => {
  const at = {
    offset: asOffset(2 ** 40),
    topicId: 'c3f5b0f2-0000-4000-8000-000000000001',
    writtenAtMs: 1_785_000_000_123,
  }
  test('is read back with and without a leader epoch', () => {
    expect(decodeCheckpoint(encodeCheckpoint(at), 's')).toEqual(at)
    expect(decodeCheckpoint(encodeCheckpoint({ ...at, leaderEpoch: 0 }), 's')).toEqual({
      ...at,
      leaderEpoch: 0,
    })
  })
  test.each([Buffer.alloc(0), Buffer.alloc(40, 9), encodeCheckpoint(at).subarray(0, 20)])(
    'that cannot be read is an error and no guess',
    (bytes) => {
      expect(() => decodeCheckpoint(bytes, 's')).toThrow(
        expect.objectContaining({ code: 'MILLRACE_STATE_CORRUPT' }),
      )
    },
  )
})
