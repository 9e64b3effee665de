import { describe, expect, test } from 'vitest'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { int64 } from '../../serdes/primitives.ts'

/** Where the ways of writing and reading meet, and the ends. */
const BORDERS = [0n, 2n ** 31n, 2n ** 32n, 2n ** 33n, 2n ** 52n, 2n ** 53n, 2n ** 54n, 2n ** 63n]
const VALUES = BORDERS.flatMap((border) =>
  [border, -border].flatMap((middle) => [-2n, -1n, 0n, 1n, 2n].map((by) => middle + by)),
).filter((value) => BigInt.asIntN(64, value) === value)

describe('int64', () => {
  test('writes and reads whatever has 64 bits as Java does', async () => {
    const serde = await int64.open({ topic: 't', role: 'value', registry: memoryRegistry() })
    for (const value of VALUES) {
      const expected = Buffer.alloc(8)
      expected.writeBigInt64BE(value)
      expect(serde.serialize(value).toString('hex')).toBe(expected.toString('hex'))
      expect(serde.deserialize(expected, 0, 8)).toBe(value)
    }
  })
})
