import { createHash } from 'node:crypto'
import { copyFile, readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { crc32c } from '../../model/crc32c.ts'
import { murmur2 } from '../../model/murmur2.ts'
import { makeClip } from '../../video/clip.ts'
import { ingest, type IngestOptions } from '../../video/ingest.ts'
import { Reassembly } from '../../video/reassemble.ts'
import { RAW_TOPIC, VIDEOS_TOPIC } from '../../video/topics.ts'
import { readVideo } from '../../video/videos-table.ts'
import { readVideos } from './all-videos.ts'
import { temporaryFolder } from './ffmpeg-clips.ts'
import { logEnd, openWorld, rawChunks, videoRows, type LogWorld } from './log-world.ts'

const CHUNK_BYTES = 65_536

let folder = ''
let remove = async (): Promise<void> => {}
/** The small clip, header in front, and the same with the header at the end. */
let front = ''
let end = ''

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
  front = (await makeClip({ folder, size: 'small' })).path
  end = (await makeClip({ folder, size: 'small', header: 'end' })).path
})
afterAll(() => remove())

function options(world: LogWorld, file: string, more: Partial<IngestOptions> = {}): IngestOptions {
  const { transport, registry, clock } = world
  return { transport, registry, clock, path: file, chunkBytes: CHUNK_BYTES, ...more }
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

describe('ingest', () => {
  test('puts a file into the log as chunks that make up its bytes again', async () => {
    await using world = await openWorld()
    const { outcome, video, chunksWritten } = await ingest(options(world, front))
    const bytes = await readFile(front)
    expect(outcome).toBe('ingested')
    expect(video).toMatchObject({
      name: path.basename(front),
      status: 'complete',
      container: 'mp4',
      layout: 'asIs',
      sourceBytes: bytes.length,
      streamBytes: bytes.length,
      chunks: Math.ceil(bytes.length / CHUNK_BYTES),
      codec: 'avc1',
      width: 320,
      height: 180,
      frameRate: 25,
      constantFrameRate: true,
      sourceSha256: await sha256(front),
      streamSha256: await sha256(front),
      prefixCrc32c: crc32c(bytes),
    })
    const chunks = await rawChunks(world)
    expect(chunks.length).toBe(video.chunks)
    expect(chunksWritten).toBe(video.chunks)
    const reassembly = new Reassembly(video.videoId)
    let coveredUs = 0
    for (const { key, chunk } of chunks) {
      reassembly.add(chunk)
      expect(key).toEqual({ videoId: video.videoId, offset: chunk.offset })
      expect(
        chunk.bytes.equals(bytes.subarray(chunk.offset, chunk.offset + chunk.bytes.length)),
      ).toBe(true)
      if (chunk.startUs === null) continue
      expect(chunk.startUs).toBeLessThanOrEqual(coveredUs)
      coveredUs = Math.max(coveredUs, chunk.endUs ?? 0)
    }
    expect(coveredUs).toBe(video.durationUs)
    expect(reassembly.end(video).sha256).toBe(await sha256(front))
    expect(chunks.filter(({ chunk }) => chunk.last).map(({ chunk }) => chunk.index)).toEqual([
      video.chunks - 1,
    ])
  })

  test('moves a header at the end to the front, and knows both hashes', async () => {
    await using world = await openWorld()
    const { video } = await ingest(options(world, end))
    expect(video.layout).toBe('moovFirst')
    expect(video.sourceSha256).toBe(await sha256(end))
    expect(video.streamSha256).not.toBe(video.sourceSha256)
    const reassembly = new Reassembly(video.videoId)
    for (const { chunk } of await rawChunks(world)) reassembly.add(chunk)
    reassembly.end(video)
  })

  test('writes a video to the partition of its id by murmur2, in both topics', async () => {
    await using world = await openWorld()
    for (const id of ['a', 'b', 'c', 'd'])
      await ingest(options(world, front, { id, partitions: 3 }))
    const found = new Map((await rawChunks(world)).map((it) => [it.key.videoId, it.partition]))
    for (const id of ['a', 'b', 'c', 'd']) {
      expect(found.get(id)).toBe((murmur2(Buffer.from(id)) & 0x7fffffff) % 3)
    }
    expect([...(await readVideos(world, 3)).keys()].toSorted()).toEqual(['a', 'b', 'c', 'd'])
    expect((await readVideo(world, 'c', 3))?.status).toBe('complete')
    expect(await readVideo(world, 'e', 3)).toBeUndefined()
  })

  test('lets timestamps never go back, whatever the wall clock does', async () => {
    await using world = await openWorld()
    let now = 1_000_000
    const clock = { ...world.clock, now: () => (now -= 1000) }
    await ingest(options(world, front, { clock }))
    const times = (await rawChunks(world)).map(({ timestamp }) => timestamp)
    expect(new Set(times).size).toBe(1)
  })

  test('adds nothing when the same file comes again', async () => {
    await using world = await openWorld()
    const first = await ingest(options(world, front))
    const ends = [await logEnd(world, RAW_TOPIC), await logEnd(world, VIDEOS_TOPIC)]
    // Another name and another chunk size are no other video.
    const copy = path.join(folder, 'copy.mp4')
    await copyFile(front, copy)
    const again = await ingest(options(world, copy, { chunkBytes: 100_000 }))
    expect(again).toEqual({ outcome: 'already complete', video: first.video, chunksWritten: 0 })
    expect([await logEnd(world, RAW_TOPIC), await logEnd(world, VIDEOS_TOPIC)]).toEqual(ends)
  })

  test('reports the bytes that are committed, up to all of them', async () => {
    await using world = await openWorld()
    const frontBytes = (await readFile(front)).length
    const seen: number[] = []
    const { video } = await ingest(
      options(world, front, {
        transactionBytes: 4 * CHUNK_BYTES,
        onProgress: ({ phase, bytes, totalBytes }) => {
          expect([phase, totalBytes]).toEqual(['writing', frontBytes])
          seen.push(bytes)
        },
      }),
    )
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(seen.at(-1)).toBe(video.streamBytes)
    expect(seen.length).toBe((await videoRows(world)).length)
  })
})
