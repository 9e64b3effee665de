import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { local } from '../../video/annotators/local.ts'
import { ingest } from '../../video/ingest.ts'
import { videoEnrichment } from '../../video/pipeline.ts'
import { Reassembly } from '../../video/reassemble.ts'
import { makeClip, type ClipOptions } from './annotators/clips.ts'
import { ffmpeg, temporaryFolder } from './ffmpeg-clips.ts'
import { Crash, crashing, rawChunks } from './log-world.ts'
import {
  cutsFound,
  ingestAll,
  openPipelineWorld,
  outputsOf,
  rightFor,
  runPipeline,
  verdictOn,
} from './pipeline-world.ts'

const LENGTHS = [30, 44, 27, 61, 33, 25, 29]
/** What clips.ts calls it, its ending, what it is found to be, and the unit of its slices. */
const FORMATS = [
  ['a fragmented mp4', 'fragmented-mp4', 'mp4', 1],
  ['an MPEG transport stream', 'mpegts', 'mpegts', 188],
] as const

let folder = ''
let remove = async (): Promise<void> => {}

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
})
afterAll(() => remove())

async function clipOf(format: NonNullable<ClipOptions['format']>) {
  const { bytes, shots, frameUs, durationUs } = await makeClip(LENGTHS, { format, bitrate: '900k' })
  const file = path.join(folder, `clip.${format}`)
  await writeFile(file, bytes)
  const cutsUs = shots.slice(1).map(({ startUs }) => startUs)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { file, bytes, cutsUs, frameRate: 1e6 / frameUs, durationUs, sha256 }
}

describe.each(FORMATS)('ingest of %s', (_, format, container, unit) => {
  test('puts its bytes into the log with their times, and each chunk is annotated with its shots', async () => {
    const clip = await clipOf(format)
    await using world = await openPipelineWorld()
    const [video] = await ingestAll(world, [clip.file])
    if (video === undefined) throw new TypeError('nothing was ingested')
    expect(video).toMatchObject({
      status: 'complete',
      container,
      layout: 'asIs',
      codec: 'avc1',
      frames: LENGTHS.reduce((sum, length) => sum + length, 0),
      durationUs: clip.durationUs,
      frameRate: 25,
      constantFrameRate: true,
      streamSha256: clip.sha256,
    })
    expect(video.chunkBytes % unit).toBe(0)
    const reassembly = new Reassembly(video.videoId)
    let coveredUs = 0
    for (const { chunk } of await rawChunks(world)) {
      reassembly.add(chunk)
      if (chunk.startUs === null) continue
      expect(chunk.startUs).toBeLessThanOrEqual(coveredUs)
      coveredUs = Math.max(coveredUs, chunk.endUs ?? 0)
    }
    expect(coveredUs).toBe(clip.durationUs)
    expect(reassembly.end(video).sha256).toBe(clip.sha256)

    await runPipeline(world, videoEnrichment(local()))
    const outputs = await outputsOf(world)
    expect(video.chunks).toBeGreaterThan(8)
    expect(verdictOn(video, outputs)).toEqual(rightFor(video))
    expect(cutsFound(video, outputs, clip)).toEqual({ missed: [], extra: [] })
    // A chunk in the middle knows its own shots alone; without times the last would carry them all.
    for (const { annotation } of outputs.enriched) {
      const { startUs, endUs, shots } = annotation ?? { startUs: null, endUs: null, shots: [] }
      if (startUs === null || endUs === null) expect(shots).toEqual([])
      else expect(shots.length).toBeGreaterThan(0)
      expect(shots.every((it) => it.startUs < (endUs ?? 0) && it.endUs >= (startUs ?? 0))).toBe(
        true,
      )
    }
  })

  test('goes on after a crash with the same slices and the same times', async () => {
    const { file } = await clipOf(format)
    await using straight = await openPipelineWorld('memory')
    await using broken = await openPipelineWorld('memory')
    const options = { path: file, chunkBytes: 20_000, transactionBytes: 60_000 }
    const { video } = await ingest({ ...straight, ...options })
    const transport = crashing(broken.transport, { call: 'commit', count: 4, moment: 'after' })
    await expect(ingest({ ...broken, ...options, transport })).rejects.toThrow(Crash)
    const again = await ingest({ ...broken, ...options })
    expect(again.outcome).toBe('resumed')
    const { durationUs, frames, frameRate, streamSha256, chunks } = video
    expect(again.video).toMatchObject({ durationUs, frames, frameRate, streamSha256, chunks })
    const facts = async (world: typeof broken) =>
      (await rawChunks(world)).map(({ chunk: { startUs, endUs, offset } }) => [
        offset,
        startUs,
        endUs,
      ])
    expect(await facts(broken)).toEqual(await facts(straight))
  })
})

describe('ingest of a container that says no times', () => {
  test('puts its bytes into the log without times, and the last chunk has all shots', async () => {
    const mkv = path.join(folder, 'clip.mkv')
    const { file, cutsUs, frameRate } = await clipOf('mpegts')
    await ffmpeg('-i', file, '-c', 'copy', mkv)
    await using world = await openPipelineWorld('memory')
    const [video] = await ingestAll(world, [mkv])
    if (video === undefined) throw new TypeError('nothing was ingested')
    expect(video).toMatchObject({ container: 'matroska', durationUs: null, frames: null })
    await runPipeline(world, videoEnrichment(local()))
    const outputs = await outputsOf(world)
    expect(verdictOn(video, outputs)).toEqual(rightFor(video))
    expect(cutsFound(video, outputs, { cutsUs, frameRate })).toEqual({ missed: [], extra: [] })
    const withShots = outputs.enriched.filter(({ annotation }) => annotation?.shots.length !== 0)
    expect(withShots.map(({ annotation }) => annotation?.last)).toEqual([true])
  })
})
