import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import type { Annotator } from '../../video/annotators/annotator.ts'
import { google } from '../../video/annotators/google.ts'
import { serveAnnotator, type AnnotatorServer } from '../../video/annotators/local-server.ts'
import { local } from '../../video/annotators/local.ts'
import { makeClip, type Clip } from '../../video/clip.ts'
import { readVideos } from './all-videos.ts'
import { Reassembly } from '../../video/reassemble.ts'
import { videoEnrichmentWithBytes } from '../../video/pipeline-with-bytes.ts'
import { videoEnrichment } from '../../video/pipeline.ts'
import { makeClip as makeTestPictures } from './annotators/clips.ts'
import { rawChunks } from './log-world.ts'
import {
  cutsFound,
  ingestAll,
  openPipelineWorld,
  outputsOf,
  rightFor,
  runPipeline,
  verdictOn,
  type PipelineWorld,
} from './pipeline-world.ts'

let folder = ''
let server: AnnotatorServer
/** The same pictures with the header in front and at the end, and other pictures. */
let clips: { readonly front: Clip; readonly end: Clip; readonly other: KnownClip }

type KnownClip = Pick<Clip, 'path' | 'cutsUs' | 'frameRate'>

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-pipeline-clips-'))
  server = await serveAnnotator({ clock: systemClock() })
  const front = await makeClip({ folder, size: 'small' })
  const end = await makeClip({ folder, size: 'small', header: 'end' })
  clips = { front, end, other: await otherClip() }
})

afterAll(async () => {
  await server.close(0)
  await rm(folder, { recursive: true, force: true })
})

async function otherClip(): Promise<KnownClip> {
  const { bytes, shots, frameUs } = await makeTestPictures([25, 30, 26, 40, 33], {
    bitrate: '900k',
  })
  const file = path.join(folder, 'other.mp4')
  await writeFile(file, bytes)
  const cutsUs = shots.slice(1).map(({ startUs }) => startUs)
  return { path: file, cutsUs, frameRate: 1e6 / frameUs }
}

const ANNOTATORS: Readonly<Record<string, () => Annotator>> = {
  'the local annotator': () => local(),
  'the real Google client against the local server': () =>
    google({ feature: 'shots', endpoint: server.endpoint, insecure: true }),
}

const VARIANTS = {
  references: videoEnrichment,
  bytes: videoEnrichmentWithBytes,
} as const

describe.each(['memory', 'embedded'] as const)('the video pipeline over the %s log', (log) => {
  describe.each(['references', 'bytes'] as const)('with %s', (joinedAs) => {
    test.each(Object.keys(ANNOTATORS))(
      'joins every chunk once with its annotation and finds every cut: %s',
      async (name) => {
        await using world = await openPipelineWorld(log)
        const [video] = await ingestAll(world, [clips.front.path])
        if (video === undefined) throw new TypeError('nothing was ingested')
        const annotator = ANNOTATORS[name]?.() ?? local()
        const counters = await runPipeline(world, VARIANTS[joinedAs](annotator))
        const outputs = await outputsOf(world, joinedAs)
        expect(video.chunks).toBeGreaterThan(30)
        expect(verdictOn(video, outputs)).toEqual(rightFor(video))
        expect(cutsFound(video, outputs, clips.front)).toEqual({ missed: [], extra: [] })
        expect(outputs.joined.length).toBe(video.chunks)
        expect(outputs.enriched.length).toBe(video.chunks)
        expect(counters.get('sessions')).toBe(1)
        await expectBytesOf(world, [video.videoId])
      },
    )
  })
})

describe('several videos at once', () => {
  test.each([1, 3])('come out whole, each by itself, with %d sessions', async (sessions) => {
    await using world = await openPipelineWorld('embedded')
    const files = [clips.front, clips.end, clips.other]
    const videos = await ingestAll(
      world,
      files.map(({ path: file }) => file),
    )
    const order = (await rawChunks(world)).map(({ key }) => key.videoId)
    expect(switches(order), 'the chunks lie between each other').toBeGreaterThan(6)
    const topology = videoEnrichment(local({ threads: 1 }), { sessions })
    const counters = await runPipeline(world, topology)
    const outputs = await outputsOf(world)
    for (const [i, video] of videos.entries()) {
      expect(verdictOn(video, outputs)).toEqual(rightFor(video))
      const clip = files[i] ?? clips.front
      expect(cutsFound(video, outputs, clip)).toEqual({ missed: [], extra: [] })
    }
    expect(outputs.joined.length).toBe(videos.reduce((sum, { chunks }) => sum + chunks, 0))
    expect(counters.get('retries') ?? 0).toBe(0)
    await expectBytesOf(
      world,
      videos.map(({ videoId }) => videoId),
    )
  })

  test('each keep the partition of their id in every topic', async () => {
    await using world = await openPipelineWorld('memory', { partitions: 3 })
    const files = [clips.front, clips.end, clips.other].map(({ path: file }) => file)
    const videos = await ingestAll(world, files)
    await runPipeline(world, videoEnrichment(local({ threads: 1 })))
    const partitionOf = new Map(
      (await rawChunks(world)).map(({ key, partition }) => [key.videoId, partition]),
    )
    const { enriched, joined } = await outputsOf(world)
    for (const { key, partition } of [...enriched, ...joined]) {
      expect(partition).toBe(partitionOf.get(key.videoId))
    }
    expect(joined.length).toBe(videos.reduce((sum, { chunks }) => sum + chunks, 0))
  })
})

describe('a file whose header is at its end', () => {
  test('comes out as the stream that was sliced, with the same cuts at the same times', async () => {
    await using world = await openPipelineWorld('memory')
    const videos = await ingestAll(world, [clips.end.path])
    await runPipeline(world, videoEnrichment(local()))
    const outputs = await outputsOf(world)
    for (const video of videos) {
      expect(video.layout).toBe('moovFirst')
      expect(video.streamSha256).not.toBe(video.sourceSha256)
      expect(verdictOn(video, outputs)).toEqual(rightFor(video))
      expect(cutsFound(video, outputs, clips.end)).toEqual({ missed: [], extra: [] })
    }
    await expectBytesOf(
      world,
      videos.map(({ videoId }) => videoId),
    )
  })
})

/** Puts the raw chunks together, which `verdictOn` has compared with the joined ones, and compares SHA-256 with the video's row. */
async function expectBytesOf(world: PipelineWorld, videoIds: readonly string[]): Promise<void> {
  const rows = await readVideos(world, 1)
  const chunks = await rawChunks(world)
  for (const videoId of videoIds) {
    const reassembly = new Reassembly(videoId)
    for (const { chunk } of chunks) if (chunk.videoId === videoId) reassembly.add(chunk)
    const row = rows.get(videoId)
    if (row === undefined) throw new TypeError(`${videoId} has no row`)
    expect(reassembly.end(row)).toMatchObject({ sha256: row.streamSha256, chunks: row.chunks })
  }
}

function switches(order: readonly string[]): number {
  return order.filter((videoId, i) => i > 0 && videoId !== order[i - 1]).length
}
