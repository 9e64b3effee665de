import { describe, expect, it } from 'vitest'
import { compressSync } from 'snappy'
import {
  COMPRESSION_ID,
  compress,
  decompress,
  type Compression,
} from '../../../transport/kafka/codecs.ts'

const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'] as const satisfies readonly Compression[]
const SIZES = [1, 100, 32 * 1024, 32 * 1024 + 1, 300_000]

describe.each(CODECS)('the compression %s', (codec) => {
  it.each(SIZES)('gives %i bytes back as they were', async (sizeBytes) => {
    const records = Buffer.from(Array.from({ length: sizeBytes }, (_, index) => (index * 7) % 31))
    const compressed = await compress(codec, records)
    expect(decompress(COMPRESSION_ID[codec], compressed, sizeBytes).equals(records)).toBe(true)
  })

  it('makes alike bytes fewer', async () => {
    expect((await compress(codec, Buffer.alloc(100_000, 'abcd'))).length).toBeLessThan(20_000)
  })

  it('refuses more bytes than the reader has room for', async () => {
    const compressed = await compress(codec, Buffer.alloc(100_000, 'abcd'))
    expect(() => decompress(COMPRESSION_ID[codec], compressed, 99_999)).toThrow(RangeError)
  })
})

describe('snappy', () => {
  it('goes out in the framing that the readers of the JVM know', async () => {
    const compressed = await compress('snappy', Buffer.from('hello'))
    expect(compressed.subarray(0, 16).toString('hex')).toBe('82534e41505059000000000100000001')
    expect(compressed.readInt32BE(16)).toBe(compressed.length - 20)
  })

  it('is read as one bare block too', () => {
    const bare = compressSync(Buffer.from('hello hello hello'))
    expect(decompress(COMPRESSION_ID.snappy, bare, 100).toString()).toBe('hello hello hello')
  })

  it('with a block that ends behind its batch is an error', async () => {
    const compressed = await compress('snappy', Buffer.from('hello'))
    const cut = compressed.subarray(0, compressed.length - 1)
    expect(() => decompress(COMPRESSION_ID.snappy, cut, 100)).toThrow(RangeError)
  })
})

it('a compression that Kafka does not have is an error', () => {
  expect(() => decompress(5, Buffer.alloc(1), 1)).toThrow(RangeError)
})
