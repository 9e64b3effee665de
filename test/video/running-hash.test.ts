import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { HashThread, hashesHere, type RunningHashes } from '../../video/running-hash.ts'

function sha256(...parts: readonly Buffer[]): string {
  return parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex')
}

function shared(bytes: Buffer): Buffer {
  const copy = Buffer.from(new SharedArrayBuffer(bytes.length))
  bytes.copy(copy)
  return copy
}

const kinds: readonly (readonly [string, (count: number) => RunningHashes])[] = [
  ['here', (count) => hashesHere(count, systemClock())],
  ['on a thread', (count) => new HashThread(count)],
]

describe.each(kinds)('hashes %s', (_, open) => {
  test('are those of all bytes in their order, in shared memory or not', async () => {
    await using hashes = open(2)
    const bytes = randomBytes(3 * 2 ** 20 + 17)
    const small = Buffer.from('of the pool of small buffers')
    await hashes.update(0, shared(bytes))
    await hashes.update(1, small)
    await hashes.update(0, small.subarray(3, 11))
    await hashes.update(0, shared(bytes).subarray(5, 2 ** 20))
    expect(await hashes.digest(0)).toBe(
      sha256(bytes, small.subarray(3, 11), bytes.subarray(5, 2 ** 20)),
    )
    expect(await hashes.digest(1)).toBe(sha256(small))
  })

  test('of nothing are those of no bytes', async () => {
    await using hashes = open(1)
    expect(await hashes.digest(0)).toBe(sha256())
  })

  test('are done with bytes when they say so', async () => {
    await using hashes = open(1)
    const room = shared(Buffer.alloc(2 ** 20))
    const parts = [1, 2, 3, 4].map((value) => Buffer.alloc(room.length, value))
    for (const part of parts) {
      part.copy(room)
      await hashes.update(0, room)
    }
    expect(await hashes.digest(0)).toBe(sha256(...parts))
  })
})

describe('a thread that hashes', () => {
  test('answers each of many questions, in order', async () => {
    await using hashes = new HashThread(1)
    const parts = Array.from({ length: 200 }, (_, index) => Buffer.from(`part ${index}`))
    await Promise.all(parts.map((part) => hashes.update(0, part)))
    expect(await hashes.digest(0)).toBe(sha256(...parts))
  })

  test('says that it failed to who waits and to who comes later', async () => {
    await using hashes = new HashThread(1)
    const failed = { code: 'MILLRACE_HASH_THREAD_ENDED' }
    const first = hashes.update(7, Buffer.from('there is no such hash'))
    const waiting = hashes.digest(0)
    await expect(first).rejects.toMatchObject(failed)
    await expect(waiting).rejects.toMatchObject(failed)
    await expect(hashes.update(0, Buffer.from('later'))).rejects.toMatchObject(failed)
  })

  test('ends in the middle of its work, and nobody waits on', async () => {
    const hashes = new HashThread(1)
    const waiting = hashes.update(0, shared(Buffer.alloc(32 * 2 ** 20)))
    waiting.catch(() => undefined)
    await hashes[Symbol.asyncDispose]()
    await hashes[Symbol.asyncDispose]()
    await expect(hashes.digest(0)).rejects.toMatchObject({ code: 'MILLRACE_HASH_THREAD_ENDED' })
    // What was under way was answered before the end or refused by it; it does not hang.
    await waiting.catch((error: unknown) =>
      expect(error).toMatchObject({ code: 'MILLRACE_HASH_THREAD_ENDED' }),
    )
  })
})
