import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { probeVideo, type ProbedVideo } from '../../video/probe.ts'
import type { TimeMap } from '../../video/time-map.ts'
import { VideoFile } from '../../video/video-file.ts'
import { readBytes } from '../../video/video-source.ts'
import {
  decodedFrames,
  ffmpeg,
  H264,
  md5,
  packets,
  PICTURE,
  shownFrames,
  SOUND,
  temporaryFolder,
  words,
} from './ffmpeg-clips.ts'

const QUEER_STEPS = "select='not(mod(n,3))+not(mod(n,7))',setpts=PTS+mod(N\\,5)*0.004/TB"

/** Name of a kind of file, and how ffmpeg makes one. `base` is a clip with reordered frames and sound. */
const KINDS: readonly [string, (base: string, out: string) => readonly (readonly string[])[]][] = [
  ['no reordered frames', (_, out) => [[...PICTURE, ...H264, '-bf', '0', out]]],
  ['reordered frames', (_, out) => [[...PICTURE, ...H264, '-bf', '3', out]]],
  [
    'picture and sound',
    (_, out) => [[...PICTURE, ...SOUND, ...H264, '-c:a', 'aac', '-shortest', out]],
  ],
  [
    'the header in front',
    (base, out) => [['-i', base, '-c', 'copy', '-movflags', '+faststart', out]],
  ],
  [
    'frames of varying length',
    (_, out) => [[...PICTURE, '-vf', QUEER_STEPS, ...H264, '-bf', '2', '-vsync', '2', out]],
  ],
  [
    'an edit list that begins after a keyframe',
    (base, out) => [['-ss', '1.3', '-i', base, '-c', 'copy', out]],
  ],
  [
    'an edit list that ends early',
    (base, out) => [['-ss', '0.7', '-t', '1.9', '-i', base, '-c', 'copy', out]],
  ],
  [
    'a pause before the first frame',
    (base, out) => [
      words(`-itsoffset 0.48 -i ${base} -i ${base} -map 0:v -map 1:a -c copy ${out}`),
    ],
  ],
  [
    'negative composition offsets',
    (base, out) => [['-i', base, '-c', 'copy', '-movflags', '+negative_cts_offsets', out]],
  ],
  ['MPEG-4 part 2', (_, out) => [[...PICTURE, '-c:v', 'mpeg4', '-bf', '2', '-q:v', '5', out]]],
  ['a strange time scale', (_, out) => [[...PICTURE, '-r', '30000/1001', ...H264, out]]],
  ['an mov file', (base, out) => [['-i', base, '-c', 'copy', '-f', 'mov', out]]],
  ['keyframes only', (_, out) => [[...PICTURE, '-c:v', 'mjpeg', '-q:v', '8', out]]],
  ['one frame', (_, out) => [[...PICTURE, '-frames:v', '1', ...H264, out]]],
]

let folder = ''
let base = ''
let remove = async (): Promise<void> => {}

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
  base = path.join(folder, 'base.mp4')
  await ffmpeg(...PICTURE, ...SOUND, ...H264, '-bf', '2', '-c:a', 'aac', '-shortest', base)
})
afterAll(() => remove())

/** The stream of a file, written out, for ffmpeg to read. */
async function streamOf(file: string): Promise<ProbedVideo & { times: TimeMap; bytes: Buffer }> {
  await using source = await VideoFile.open(file)
  const probed = await probeVideo(source)
  if (probed.times === null) throw new Error('an mp4 has times')
  const bytes = await readBytes(probed.stream, 0, probed.stream.sizeBytes)
  return { ...probed, times: probed.times, bytes }
}

describe('the byte-to-time map of an mp4', () => {
  test.each(KINDS)(
    'agrees with ffmpeg on every frame of a file with %s',
    async (name, commands) => {
      const file = path.join(folder, `${name.replaceAll(' ', '-')}.mp4`)
      for (const command of commands(base, file)) await ffmpeg(...command)
      const { times, layout, bytes } = await streamOf(file)
      const shown = await shownFrames(file)
      expect(shown.length).toBeGreaterThan(0)
      const mapped = [...times].toSorted((a, b) => a.startUs - b.startUs)
      // Where the header moved, every frame lies farther back by its length.
      const moved = (mapped[0]?.offset ?? 0) - (shown[0]?.offset ?? 0)
      expect(moved === 0).toBe(layout === 'asIs')
      expect(mapped.map(({ offset, startUs }) => ({ offset: offset - moved, startUs }))).toEqual(
        shown,
      )
      const hashes = new Map((await packets(file)).map(({ size, md5 }) => [md5, size]))
      for (const { offset, sizeBytes } of times) {
        expect(hashes.get(md5(bytes.subarray(offset, offset + sizeBytes)))).toBe(sizeBytes)
      }
    },
  )

  test('gives each frame to the chunk that holds its first byte, and leaves no gap', async () => {
    const { times, stream } = await streamOf(base)
    const frames = [...times]
    const chunkBytes = 4096
    let covered = 0
    for (let start = 0; start < stream.sizeBytes; start += chunkBytes) {
      const own = frames.filter((it) => it.offset >= start && it.offset < start + chunkBytes)
      const range = times.rangeOf(start, start + chunkBytes)
      if (own.length === 0) {
        expect(range).toBeNull()
        continue
      }
      expect(range?.startUs).toBe(Math.min(...own.map((it) => it.startUs)))
      expect(range?.endUs).toBe(Math.max(...own.map((it) => it.endUs)))
      expect(range?.startUs).toBeLessThanOrEqual(covered)
      covered = Math.max(covered, range?.endUs ?? 0)
    }
    expect(covered).toBe(times.durationUs)
    expect(times.durationUs).toBe(4_000_000)
    expect(times.frames).toBe(100)
    expect(times.constantFrameRate).toBe(true)
  })

  test('finds the frame that is on the screen at a time, and nothing outside', async () => {
    const { times } = await streamOf(base)
    for (const frame of times) {
      expect(times.frameAt(frame.startUs)).toEqual(frame)
      expect(times.frameAt(frame.endUs - 1)).toEqual(frame)
    }
    expect(times.frameAt(-1)).toBeUndefined()
    expect(times.frameAt(times.durationUs)).toBeUndefined()
    expect([...times].filter((it) => it.keyframe).length).toBe(4)
  })

  test('says that frames of varying length are no constant rate', async () => {
    const file = path.join(folder, 'varying.mp4')
    await ffmpeg(...PICTURE, '-vf', QUEER_STEPS, ...H264, '-vsync', '2', file)
    expect((await streamOf(file)).times.constantFrameRate).toBe(false)
  })
})

describe('a stream with its header moved to the front', () => {
  test('decodes to the same frames as the file, and is the same bytes at every attempt', async () => {
    const { bytes, layout } = await streamOf(base)
    expect(layout).toBe('moovFirst')
    const moved = path.join(folder, 'moved.mp4')
    await writeFile(moved, bytes)
    expect(await decodedFrames(moved)).toBe(await decodedFrames(base))
    expect((await streamOf(base)).bytes.equals(bytes)).toBe(true)
    expect((await streamOf(moved)).layout).toBe('asIs')
    expect(bytes.length).toBe((await readFile(base)).length)
  })
})
