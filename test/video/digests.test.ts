import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { crc32c } from '../../model/crc32c.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { StreamDigests } from '../../video/digests.ts'
import { PiecewiseStream } from '../../video/piecewise-stream.ts'
import { slices } from '../../video/slicer.ts'
import { drawnSeed } from '../seed.ts'
import { inMemory, seededNumbers } from './memory-source.ts'

const SEED = drawnSeed(100_000)
const numbers = seededNumbers(SEED)

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

const bytes = Buffer.from(Array.from({ length: 300_000 }, () => numbers(256)))
const file = inMemory(bytes)
const end = bytes.length

/** As faststart makes it: the header from the end of the file, changed, between the file's first bytes and the others. */
const moved = new PiecewiseStream(file, [
  { kind: 'file', offset: 0, length: 40 },
  { kind: 'memory', bytes: Buffer.from('another header') },
  { kind: 'file', offset: 40, length: end - 40 - 5000 },
])
const whole = new PiecewiseStream(file, [{ kind: 'file', offset: 0, length: end }])

test.each([
  ['a whole file', whole],
  ['a stream with a moved header', moved],
])('the digests of %s are those of all its bytes', async (_, stream) => {
  const chunkBytes = 1024 + numbers(50_000)
  const context = `seed ${SEED}, chunks of ${chunkBytes} bytes`
  const digests = new StreamDigests(stream, file, systemClock())
  for await (const slice of slices({ stream, times: null }, chunkBytes)) {
    expect(await digests.update(slice.bytes), context).toBe(crc32c(slice.bytes))
  }
  const streamBytes = Buffer.alloc(stream.sizeBytes)
  await stream.read(0, streamBytes)
  expect(digests.prefixCrc32c, context).toBe(crc32c(streamBytes))
  expect(await digests.finish(), context).toEqual({
    sourceSha256: sha256(bytes),
    streamSha256: sha256(streamBytes),
  })
})

test('what cannot be read beside the stream fails the bytes that follow it', async () => {
  const broken = { ...file, read: async () => Promise.reject(new Error('the disk is away')) }
  const stream = new PiecewiseStream(file, [{ kind: 'file', offset: 100, length: 1000 }])
  const changed = new PiecewiseStream(file, [
    { kind: 'memory', bytes: Buffer.from('x') },
    ...stream.pieces,
  ])
  const digests = new StreamDigests(changed, broken, systemClock())
  await expect(digests.update(Buffer.alloc(1001))).rejects.toThrow('the disk is away')
})
