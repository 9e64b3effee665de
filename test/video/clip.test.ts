import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeClip } from '../../video/clip.ts'
import { cutFrames, DEMO_RECIPE } from '../../video/clip-scenes.ts'
import { findFfmpeg } from '../../video/ffmpeg.ts'
import { probeVideo } from '../../video/probe.ts'
import { VideoFile } from '../../video/video-file.ts'
import { grayFrames, temporaryFolder } from './ffmpeg-clips.ts'

let folder = ''
let remove = async (): Promise<void> => {}

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
})
afterAll(() => remove())

describe('makeClip', () => {
  test('makes the same bytes again, with every cut at the frame it promises and none between', async () => {
    const clip = await makeClip({ folder, size: 'small' })
    const again = await makeClip({ folder: path.join(folder, 'again'), size: 'small' })
    expect(await sha256(again.path)).toBe(await sha256(clip.path))

    await using file = await VideoFile.open(clip.path)
    const { times, layout } = await probeVideo(file)
    expect(layout).toBe('asIs')
    expect(times).toMatchObject({ frames: clip.frames, durationUs: clip.durationUs })

    const frames = await grayFrames(clip.path)
    expect(frames.length).toBe(clip.frames)
    const jumps = frames.map((frame, i) => difference(frames[i - 1] ?? frame, frame))
    const cuts = new Set(clip.cutFrames)
    const atCuts = jumps.filter((_, i) => cuts.has(i))
    const between = jumps.filter((_, i) => !cuts.has(i))
    expect(atCuts.length).toBe(7)
    expect(Math.min(...atCuts)).toBeGreaterThan(3 * Math.max(...between))
  })

  test('keeps what it made, and puts the header at the end where it is asked to', async () => {
    const clip = await makeClip({ folder, size: 'small', header: 'end' })
    const made = (await stat(clip.path)).mtimeMs
    // Nothing is made again: without an ffmpeg it still answers.
    const env = { FFMPEG_PATH: path.join(folder, 'none') }
    expect((await makeClip({ folder, size: 'small', header: 'end', env })).path).toBe(clip.path)
    expect((await stat(clip.path)).mtimeMs).toBe(made)
    await using file = await VideoFile.open(clip.path)
    expect((await probeVideo(file)).layout).toBe('moovFirst')
  })

  test('leaves no half clip when it is interrupted, and clears what a killed process left', async () => {
    const own = path.join(folder, 'interrupted')
    // No process can have this id: the kernel's ids end below it.
    const abandoned = path.join(own, '.making-4194999-abc')
    await mkdir(abandoned, { recursive: true })
    await writeFile(path.join(abandoned, 'clip.mp4'), 'half')
    const stop = new AbortController()
    const making = makeClip({ folder: own, signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(making).rejects.toThrow('enough')
    expect(await readdir(own)).toEqual([])
  })

  test('has at least 20 cuts in the demo, all of them different and in order', () => {
    const cuts = cutFrames(DEMO_RECIPE)
    expect(cuts.length).toBeGreaterThanOrEqual(20)
    expect([...new Set(cuts)].toSorted((a, b) => a - b)).toEqual(cuts)
  })
})

describe('findFfmpeg', () => {
  test('says what to do where FFMPEG_PATH names nothing that runs', async () => {
    await expect(findFfmpeg({ FFMPEG_PATH: path.join(folder, 'none') })).rejects.toMatchObject({
      code: 'MILLRACE_FFMPEG_MISSING',
    })
  })

  test('takes FFMPEG_PATH, else the first in PATH, else the embedded one', async () => {
    const fake = path.join(folder, 'bin', 'ffmpeg')
    await mkdir(path.dirname(fake))
    await writeFile(fake, '#!/bin/sh\n', { mode: 0o755 })
    expect(await findFfmpeg({ FFMPEG_PATH: fake })).toBe(fake)
    expect(await findFfmpeg({ PATH: `${folder}:${path.dirname(fake)}` })).toBe(fake)
    expect(await findFfmpeg({})).toContain('ffmpeg')
  })
})

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

function difference(a: Buffer, b: Buffer): number {
  let sum = 0
  for (let i = 0; i < a.length; i += 1) sum += Math.abs((a[i] ?? 0) - (b[i] ?? 0))
  return sum / a.length
}
