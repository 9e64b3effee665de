import { describe, expect, test } from 'vitest'
import { murmur2, partitionForKey } from '../../model/murmur2.ts'

describe('murmur2', () => {
  // The vectors of Apache Kafka's own UtilsTest.
  test.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
  ])('hashes %j as Java does', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash)
  })

  test('hashes a view without looking at the bytes around it', () => {
    expect(murmur2(Buffer.from('xxfoobarxx').subarray(2, 8))).toBe(-790_332_482)
  })

  test('clears the sign before it takes the remainder, so that partitions are never negative', () => {
    expect(partitionForKey(Buffer.from('foobar'), 7)).toBe((-790_332_482 & 0x7fffffff) % 7)
    for (let i = 0; i < 1000; i += 1) {
      const partition = partitionForKey(Buffer.from(`key-${i}`), 6)
      expect(partition).toBeGreaterThanOrEqual(0)
      expect(partition).toBeLessThan(6)
    }
  })
})
