import { describe, expect, test } from 'vitest'
import { crc32c, crc32cOfJoined, crc32cOfPart } from '../../model/crc32c.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { drawnSeed } from '../seed.ts'

const seed = drawnSeed()

describe('CRC-32C', () => {
  test('is what RFC 3720 says, and goes on from what came before', () => {
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
    expect(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345')))).toBe(0xe3069283)
  })

  test(`of a part is told from the whole's, whatever lies around it (seed ${seed})`, () => {
    const random = new SeededRandom(seed)
    for (let round = 0; round < 300; round += 1) {
      const [before = Buffer.alloc(0), part = before, after = before] = [100, 70_000, 100].map(
        (most) => randomBytes(random, random.chance(0.1) ? 0 : random.below(most)),
      )
      const whole = crc32c(Buffer.concat([before, part, after]))
      const told = crc32cOfPart(whole, { before, sizeBytes: part.length, after })
      expect(told, `${before.length} + ${part.length} + ${after.length}`).toBe(crc32c(part))
    }
  })

  test('of a part is told where the lengths in bits do not fit into 31', () => {
    // 300 MiB of zeros: their CRC goes on from itself.
    const zeros = Buffer.alloc(1024 * 1024)
    const before = Buffer.from('before')
    let part = 0
    let whole = crc32c(before)
    for (let mebibytes = 0; mebibytes < 300; mebibytes += 1) {
      part = crc32c(zeros, part)
      whole = crc32c(zeros, whole)
    }
    const after = Buffer.alloc(3)
    whole = crc32c(after, whole)
    expect(crc32cOfPart(whole, { before, sizeBytes: 300 * zeros.length, after })).toBe(part)
  })

  test(`of two parts is told from theirs (seed ${seed})`, () => {
    const random = new SeededRandom(seed)
    for (let round = 0; round < 300; round += 1) {
      const [before = Buffer.alloc(0), behind = before] = [70_000, 70_000].map((most) =>
        randomBytes(random, random.chance(0.1) ? 0 : random.below(most)),
      )
      const part = { part: crc32c(behind), sizeBytes: behind.length }
      const told = crc32cOfJoined(crc32c(before), part)
      const whole = crc32c(Buffer.concat([before, behind]))
      expect(told, `${before.length} + ${behind.length}`).toBe(whole)
    }
  })

  test('of a part is another where the whole is another', () => {
    const part = Buffer.from('part')
    const around = { before: Buffer.from('a'), sizeBytes: part.length, after: Buffer.from('b') }
    const whole = crc32c(Buffer.from('apartb'))
    for (let bit = 0; bit < 32; bit += 1) {
      expect(crc32cOfPart((whole ^ (1 << bit)) >>> 0, around)).not.toBe(crc32c(part))
    }
  })
})

function randomBytes(random: SeededRandom, sizeBytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, () => random.below(256)))
}
