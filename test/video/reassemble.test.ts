import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../model/crc32c.ts'
import { Reassembly } from '../../video/reassemble.ts'
import type { Chunk } from '../../video/schemas.ts'

const BYTES = Buffer.from('the quick brown fox jumps over the lazy dog')

function chunks(): readonly Chunk[] {
  return [0, 1, 2].map((index) => {
    const bytes = BYTES.subarray(index * 16, index * 16 + 16)
    return {
      videoId: 'v',
      offset: index * 16,
      index,
      last: index === 2,
      startUs: null,
      endUs: null,
      container: 'mp4',
      crc32c: crc32c(bytes),
      bytes,
    }
  })
}

function put(parts: readonly (Chunk | undefined)[]): () => void {
  return () => {
    const reassembly = new Reassembly('v')
    for (const part of parts) if (part !== undefined) reassembly.add(part)
    reassembly.end()
  }
}

describe('a video put together from its chunks', () => {
  const [a, b, c] = chunks()
  const streamSha256 = createHash('sha256').update(BYTES).digest('hex')

  test('has the bytes and the hash of what was sliced', () => {
    const reassembly = new Reassembly('v')
    for (const chunk of chunks()) reassembly.add(chunk)
    expect(reassembly.end({ streamBytes: BYTES.length, streamSha256 })).toEqual({
      bytes: BYTES.length,
      chunks: 3,
      sha256: streamSha256,
    })
  })

  test.each<[string, readonly (Chunk | undefined)[], RegExp]>([
    ['a chunk is missing', [a, c], /chunk 1 at byte 16 should come, chunk 2/],
    ['the last is missing', [a, b], /the last chunk has not come, only 2/],
    ['a chunk comes twice', [a, b, b, c], /chunk 2 at byte 32 should come, chunk 1/],
    ['chunks change places', [b, a, c], /chunk 0 at byte 0 should come, chunk 1/],
    ['one follows the last', [a, b, c, a], /after the last one/],
    ['one is another video’s', [a, b && { ...b, videoId: 'w' }], /a chunk of w came/],
    ['bytes are damaged', [a, b && { ...b, bytes: Buffer.alloc(16) }], /chunk 1 is damaged/],
  ])('is refused when %s', (_, parts, says) => {
    expect(put(parts)).toThrow(says)
    expect(put(parts)).toThrow(expect.objectContaining({ code: 'MILLRACE_REASSEMBLY_FAILED' }))
  })

  test('is refused when its row has another hash', () => {
    const reassembly = new Reassembly('v')
    for (const chunk of chunks()) reassembly.add(chunk)
    expect(() => reassembly.end({ streamBytes: BYTES.length, streamSha256: 'other' })).toThrow(
      /with other/,
    )
  })
})
