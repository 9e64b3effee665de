import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { boxesIn, type Box } from '../../video/mp4-boxes.ts'
import { probeVideo } from '../../video/probe.ts'
import { drawnSeed } from '../seed.ts'
import {
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
import { byTime, inMemory, mapOf, seededNumbers, slicedTimes } from './memory-source.ts'
import { box, craft } from './mp4-crafting.ts'

/** Name of a kind of file, and how ffmpeg makes one of a clip with reordered frames and sound. */
const KINDS: readonly [string, string][] = [
  ['places counted from the fragment', '-movflags +frag_keyframe+empty_moov+default_base_moof'],
  ['places counted in the file', '-movflags +frag_keyframe+empty_moov'],
  ['places counted from the track before', '-movflags +frag_keyframe+empty_moov+omit_tfhd_offset'],
  ['an edit list', '-movflags +frag_keyframe+delay_moov'],
  ['the first frames in the header', '-movflags +frag_keyframe'],
  ['a fragment for each frame', '-movflags +frag_every_frame+empty_moov+default_base_moof'],
  ['a fragment for each track', '-movflags +separate_moof+frag_keyframe+empty_moov'],
  ['an index of its fragments', '-movflags +dash+delay_moov+global_sidx+frag_keyframe'],
  [
    'negative composition offsets',
    '-movflags +negative_cts_offsets+frag_keyframe+empty_moov+default_base_moof',
  ],
  ['smooth streaming', '-f ismv'],
  ['QuickTime', '-movflags +frag_keyframe+empty_moov -f mov'],
]

let folder = ''
let base = ''
let remove = async (): Promise<void> => {}
/** The first of the kinds. */
let plain = Buffer.alloc(0)

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
  base = path.join(folder, 'base.mp4')
  await ffmpeg(...PICTURE, ...SOUND, ...H264, '-bf', '2', '-c:a', 'aac', '-shortest', base)
  plain = await readFile(await fragmented('plain', words(KINDS[0]?.[1] ?? '')))
})
afterAll(() => remove())

async function fragmented(
  name: string,
  options: readonly string[],
  from: readonly string[] = ['-i', base],
): Promise<string> {
  const file = path.join(folder, `${name.replaceAll(' ', '-')}.mp4`)
  await ffmpeg(...from, '-c', 'copy', ...options, file)
  return file
}

function boxesOf(bytes: Buffer, type: string): readonly Box[] {
  return boxesIn({ bytes, place: 'test' }, 0, bytes.length).filter((it) => it.type === type)
}

/** The file with every box of one name renamed, so that nobody finds it. */
function without(bytes: Buffer, type: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(type, 'free'), 'latin1')
}

describe('the byte-to-time map of a fragmented mp4', () => {
  test.each(KINDS)('agrees with ffmpeg on every frame of a file with %s', async (name, options) => {
    const file = await fragmented(name, words(options))
    const bytes = await readFile(file)
    const map = await mapOf(bytes)
    const shown = await shownFrames(file)
    expect(shown.length).toBe(100)
    expect(byTime(map).map(({ offset, startUs }) => ({ offset, startUs }))).toEqual(shown)
    const hashes = new Map((await packets(file)).map(({ size, md5 }) => [md5, size]))
    for (const { offset, sizeBytes } of map) {
      expect(hashes.get(md5(bytes.subarray(offset, offset + sizeBytes)))).toBe(sizeBytes)
    }
    expect(byTime(map).filter(({ keyframe }) => keyframe).length).toBe(4)
  })

  test.each([
    ['a cut behind a keyframe, with an edit list', '+frag_keyframe+delay_moov'],
    ['a cut behind a keyframe, with frames in the header', '+frag_keyframe'],
    ['a cut behind a keyframe, without one', '+frag_keyframe+empty_moov+default_base_moof'],
  ])('agrees with ffmpeg on %s', async (name, flags) => {
    const file = await fragmented(name, ['-movflags', flags], ['-ss', '1.3', '-i', base])
    const shown = await shownFrames(file)
    const mapped = byTime(await mapOf(await readFile(file)))
    expect(mapped.map(({ offset, startUs }) => ({ offset, startUs }))).toEqual(shown)
  })

  test('goes on from the fragment before where a fragment does not say its time', async () => {
    const timeless = without(plain, 'tfdt')
    expect([...(await mapOf(timeless))]).toEqual([...(await mapOf(plain))])
  })

  test('gives each slice the time of the frames that begin in it, over many fragments and within one', async () => {
    const video = await probeVideo(inMemory(plain))
    const frames = [...(await mapOf(plain))]
    for (const chunkBytes of [4096, 30_000]) {
      const { ranges, walk } = await slicedTimes(video, chunkBytes)
      for (const [i, range] of ranges.entries()) {
        const own = frames.filter(({ offset }) => Math.floor(offset / chunkBytes) === i)
        expect(range?.startUs).toBe(
          own.length ? Math.min(...own.map((it) => it.startUs)) : undefined,
        )
        expect(range?.endUs).toBe(own.length ? Math.max(...own.map((it) => it.endUs)) : undefined)
      }
      expect(walk).toMatchObject({ frames: 100, durationUs: 4_000_000, constantFrameRate: true })
    }
  })

  test('finds in which bytes a time is', async () => {
    const map = await mapOf(plain)
    for (const frame of map) expect(map.frameAt(frame.startUs + 20_000)).toEqual(frame)
    expect(map.frameAt(map.durationUs)).toBeUndefined()
  })
})

describe('a fragmented mp4', () => {
  const REFUSED: readonly [string, (bytes: Buffer) => Buffer, string][] = [
    ['no fragment', (it) => without(it, 'moof'), 'MILLRACE_NO_VIDEO_TRACK'],
    ['fragments of sound alone', (it) => without(it, 'vide'), 'MILLRACE_NO_VIDEO_TRACK'],
    [
      'its last fragment cut off',
      (it) => it.subarray(0, (boxesOf(it, 'mdat').at(-1)?.end ?? 0) - 10),
      'MILLRACE_VIDEO_TRUNCATED',
    ],
    [
      'a list that ends in its middle',
      (it) => changed(it, 'trun', (bytes, at) => bytes.writeUInt32BE(1000, at + 8)),
      'MILLRACE_VIDEO_CORRUPT',
    ],
    [
      'more frames than anybody has',
      (it) =>
        changed(it, 'trun', (bytes, at) => {
          bytes.writeUInt32BE(0, at + 4)
          bytes.writeUInt32BE(2 ** 31, at + 8)
        }),
      'MILLRACE_VIDEO_CORRUPT',
    ],
    [
      'media beyond its end',
      (it) => changed(it, 'trun', (bytes, at) => bytes.writeUInt32BE(2 ** 30, at + 12)),
      'MILLRACE_VIDEO_TRUNCATED',
    ],
    [
      'media before its beginning',
      (it) => changed(it, 'trun', (bytes, at) => bytes.writeInt32BE(-(2 ** 30), at + 12)),
      'MILLRACE_VIDEO_CORRUPT',
    ],
    ['an encrypted picture', (it) => renamed(it, 'avc1', 'encv'), 'MILLRACE_VIDEO_UNSUPPORTED'],
  ]

  test.each(REFUSED)('is refused with %s', async (_, damage, code) => {
    const error = await probeVideo(inMemory(damage(plain))).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, place: 'memory' })
  })

  test('is refused where its header lies behind its media', async () => {
    const whole = await readFile(base)
    const bytes = craft(whole, (type, body) =>
      type === 'mvhd' ? Buffer.concat([box('mvhd', body), box('mvex')]) : undefined,
    )
    const error = await probeVideo(inMemory(bytes)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'MILLRACE_VIDEO_FRAGMENTED',
      message: expect.stringContaining('ffmpeg -i in.mp4 -c copy out.mp4'),
    })
  })

  test('is never believed: damaged bytes in its lists make a clear error or a map, nothing else', async () => {
    const seed = drawnSeed(1e6)
    const random = seededNumbers(seed)
    const lists = [...boxesOf(plain, 'moov'), ...boxesOf(plain, 'moof')]
    let refused = 0
    for (let round = 0; round < 400; round += 1) {
      const damaged = Buffer.from(plain)
      for (let i = 0; i < 2; i += 1) {
        const list = lists[random(lists.length)]
        if (list === undefined) throw new TypeError('there are lists')
        damaged[list.start + random(list.end - list.start)] = random(256)
      }
      const error = await probeVideo(inMemory(damaged)).catch((thrown: unknown) => thrown)
      if (!(error instanceof Error)) continue
      refused += 1
      const message = `seed ${seed}, round ${round}`
      expect(error, message).toHaveProperty('code', expect.stringMatching(/^MILLRACE_/))
    }
    expect(refused).toBeGreaterThan(0)
  })
})

/** The file with its first box of one name changed; `at` is where its name stands. */
function changed(bytes: Buffer, type: string, change: (bytes: Buffer, at: number) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy, copy.indexOf(type))
  return copy
}

function renamed(bytes: Buffer, from: string, to: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1')
}
