import { readFile, truncate, writeFile, open } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MAX_SAMPLES } from '../../video/mp4-sample-places.ts'
import { boxesIn } from '../../video/mp4-boxes.ts'
import { probeVideo } from '../../video/probe.ts'
import { TimeMap, type PlacedFrame } from '../../video/time-map.ts'
import { VideoFile } from '../../video/video-file.ts'
import { readBytes } from '../../video/video-source.ts'
import { drawnSeed } from '../seed.ts'
import { ffmpeg, H264, PICTURE, shownFrames, SOUND, temporaryFolder } from './ffmpeg-clips.ts'
import { box, craft, u32, u64, type Rewrite } from './mp4-crafting.ts'

let folder = ''
let base = Buffer.alloc(0)
let remove = async (): Promise<void> => {}

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
  const file = path.join(folder, 'base.mp4')
  await ffmpeg(...PICTURE, ...SOUND, ...H264, '-bf', '2', '-c:a', 'aac', '-shortest', file)
  base = await readFile(file)
})
afterAll(() => remove())

async function frames(file: string): Promise<readonly PlacedFrame[]> {
  await using source = await VideoFile.open(file)
  const { times } = await probeVideo(source)
  expect(times).toBeInstanceOf(TimeMap)
  return [...(times ?? [])].toSorted((a, b) => a.startUs - b.startUs)
}

async function written(name: string, bytes: Buffer): Promise<string> {
  const file = path.join(folder, `${name.replaceAll(/[^a-z0-9]/gi, '-')}.mp4`)
  await writeFile(file, bytes)
  return file
}

function sizesAs(bits: 16, body: Buffer): Buffer {
  const count = body.readUInt32BE(8)
  const sizes = Buffer.alloc(count * 2)
  for (let i = 0; i < count; i += 1) sizes.writeUInt16BE(body.readUInt32BE(12 + i * 4), i * 2)
  return box('stz2', u32(0, bits, count), sizes)
}

function wideOffsets(body: Buffer): Buffer {
  const offsets = Array.from({ length: body.readUInt32BE(4) }, (_, i) =>
    body.readUInt32BE(8 + i * 4),
  )
  return box('co64', u32(0, offsets.length), u64(...offsets))
}

/** Another writing of the same header. */
const WRITINGS: readonly [string, Rewrite][] = [
  ['co64', (type, body) => (type === 'stco' ? wideOffsets(body) : undefined)],
  ['stz2 of 16 bits', (type, body) => (type === 'stsz' ? sizesAs(16, body) : undefined)],
  [
    'mdhd of version 1',
    (type, body) =>
      type === 'mdhd'
        ? box('mdhd', u32(1 << 24), u64(0, 0), body.subarray(12, 16), u64(51200), body.subarray(20))
        : undefined,
  ],
  [
    'elst of version 1',
    (type, body, track) =>
      type === 'elst' && track === 0
        ? box('elst', u32(1 << 24, 1), u64(4000, body.readUInt32BE(12)), u32(0x10000))
        : undefined,
  ],
  [
    'ctts of version 1',
    (type, body) => (type === 'ctts' ? box('ctts', u32(1 << 24), body.subarray(4)) : undefined),
  ],
]

/** Another edit list for the picture, whose movie counts 1000 a second and whose media counts 12800. */
const EDITS: readonly [string, readonly (readonly [number, number])[]][] = [
  ['none', []],
  [
    'one that leaves out a middle',
    [
      [1000, 1024],
      [1000, 26624],
    ],
  ],
  [
    'one that turns the halves round',
    [
      [1000, 26624],
      [1000, 1024],
    ],
  ],
  [
    'a pause, then a part',
    [
      [700, -1],
      [1500, 13824],
    ],
  ],
  ['one that begins between two frames', [[1500, 13900]]],
]

describe('the header of an mp4', () => {
  test.each(WRITINGS)('means the same when written with %s', async (name, rewrite) => {
    const crafted = await written(name, craft(base, rewrite))
    const original = await written('original', base)
    const own = await frames(original)
    const moved = (frame: PlacedFrame, by: number): object => ({
      ...frame,
      offset: frame.offset + by,
    })
    const found = await frames(crafted)
    const by = (found[0]?.offset ?? 0) - (own[0]?.offset ?? 0)
    expect(found).toEqual(own.map((frame) => moved(frame, by)))
    expect((await shownFrames(crafted)).length).toBe(100)
  })

  test.each(EDITS)('is shown as ffmpeg shows it with this edit list: %s', async (name, edits) => {
    const list = box(
      'elst',
      u32(0, edits.length),
      ...edits.map(([duration, time]) => u32(duration, time, 0x10000)),
    )
    const file = await written(
      name,
      craft(base, (type, _, track) => {
        if (type === 'edts' && edits.length === 0) return null
        return type === 'elst' && track === 0 ? list : undefined
      }),
    )
    const shown = await shownFrames(file)
    const mapped = await frames(file)
    const by = (mapped[0]?.offset ?? 0) - (shown[0]?.offset ?? 0)
    expect(mapped.map((it) => ({ startUs: it.startUs, offset: it.offset - by }))).toEqual(shown)
  })

  test.each<[string, Rewrite, string]>([
    ['no track', (type) => (type === 'trak' ? null : undefined), 'MILLRACE_NO_VIDEO_TRACK'],
    [
      'sound alone',
      (type, _, track) => (type === 'trak' && track === 0 ? null : undefined),
      'MILLRACE_NO_VIDEO_TRACK',
    ],
    ['no sizes', (type) => (type === 'stsz' ? null : undefined), 'MILLRACE_VIDEO_CORRUPT'],
    ['no offsets', (type) => (type === 'stco' ? null : undefined), 'MILLRACE_VIDEO_CORRUPT'],
    ['no times', (type) => (type === 'stts' ? null : undefined), 'MILLRACE_VIDEO_CORRUPT'],
    [
      'more frames than anybody has',
      (type) => (type === 'stsz' ? box('stsz', u32(0, 1, MAX_SAMPLES + 1)) : undefined),
      'MILLRACE_VIDEO_CORRUPT',
    ],
    [
      'a table longer than its box',
      (type) => (type === 'stco' ? box('stco', u32(0, 2 ** 31), u32(48)) : undefined),
      'MILLRACE_VIDEO_CORRUPT',
    ],
    [
      'media beyond the end of the file',
      (type) => (type === 'stco' ? box('stco', u32(0, 1), u32(0x7fffffff)) : undefined),
      'MILLRACE_VIDEO_CORRUPT|MILLRACE_VIDEO_TRUNCATED',
    ],
    [
      'fragments to come',
      (type, body) =>
        type === 'mvhd' ? Buffer.concat([box('mvhd', body), box('mvex')]) : undefined,
      'MILLRACE_VIDEO_FRAGMENTED',
    ],
    [
      'a compressed header',
      (type) => (type === 'mvhd' ? box('cmov') : undefined),
      'MILLRACE_VIDEO_UNSUPPORTED',
    ],
    [
      'an encrypted picture',
      (type, body) =>
        type === 'stsd'
          ? box('stsd', Buffer.from(body.toString('latin1').replace('avc1', 'encv'), 'latin1'))
          : undefined,
      'MILLRACE_VIDEO_UNSUPPORTED',
    ],
  ])('is refused with %s', async (name, rewrite, code) => {
    const file = await written(name, craft(base, rewrite))
    await using source = await VideoFile.open(file)
    const error = await probeVideo(source).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: expect.stringMatching(`^(${code})$`), place: file })
  })

  test('is never believed: no damaged byte in it makes anything but a clear error or a map', async () => {
    const seed = drawnSeed(1e6)
    let state = seed
    const random = (below: number): number => {
      state = (state * 1103515245 + 12345) % 2 ** 31
      return state % below
    }
    const moov = boxesIn({ bytes: base, place: '' }, 0, base.length).find(
      (it) => it.type === 'moov',
    )
    const start = moov?.start ?? 0
    let refused = 0
    for (let round = 0; round < 400; round += 1) {
      const damaged = Buffer.from(base)
      for (let i = 0; i < 3; i += 1) damaged[start + random(base.length - start)] = random(256)
      const error = await probeVideo(inMemory(damaged)).catch((thrown: unknown) => thrown)
      if (!(error instanceof Error)) continue
      refused += 1
      expect(error, `seed ${seed}, round ${round}`).toHaveProperty(
        'code',
        expect.stringMatching(/^MILLRACE_/),
      )
    }
    expect(refused).toBeGreaterThan(0)
  })

  test('gets offsets of 64 bits where the stream is longer than 4 GiB', async () => {
    const file = path.join(folder, 'huge.mp4')
    const boxes = boxesIn({ bytes: base, place: '' }, 0, base.length)
    const mdat = boxes.find((it) => it.type === 'mdat')
    const moov = boxes.find((it) => it.type === 'moov')
    if (mdat === undefined || moov === undefined) throw new Error('the clip has both')
    // The media box gets a header of 16 bytes, over the one of the empty `free` in front of it, and a hole at its end.
    const hugeEnd = 2 ** 32 + 1_000_000
    await writeFile(file, base.subarray(0, moov.start))
    const handle = await open(file, 'r+')
    const head = Buffer.concat([u32(1), Buffer.from('mdat'), u64(hugeEnd - (mdat.start - 8))])
    await handle.write(head, 0, 16, mdat.start - 8)
    await handle.close()
    await truncate(file, hugeEnd)
    await writeFile(file, base.subarray(moov.start), { flag: 'a' })
    await using source = await VideoFile.open(file)
    const { stream, times, layout } = await probeVideo(source)
    expect(layout).toBe('moovFirst')
    const [memory] = stream.pieces.filter((piece) => piece.kind === 'memory')
    expect(memory?.bytes.includes('co64')).toBe(true)
    expect(memory?.bytes.includes('stco')).toBe(false)
    const original = await frames(await written('small', base))
    const found = [...(times ?? [])].toSorted((a, b) => a.startUs - b.startUs)
    expect(found.map((it) => it.startUs)).toEqual(original.map((it) => it.startUs))
    const small = await VideoFile.open(path.join(folder, 'small.mp4'))
    const { stream: smallStream } = await probeVideo(small)
    for (const [i, frame] of found.entries()) {
      const expected = await readBytes(smallStream, original[i]?.offset ?? 0, frame.sizeBytes)
      expect((await readBytes(stream, frame.offset, frame.sizeBytes)).equals(expected)).toBe(true)
    }
    await small[Symbol.asyncDispose]()
  })
})

function inMemory(bytes: Buffer): {
  sizeBytes: number
  place: string
  read: (offset: number, target: Buffer) => Promise<void>
} {
  return {
    sizeBytes: bytes.length,
    place: 'damaged.mp4',
    read: async (offset, target) => void bytes.copy(target, 0, offset, offset + target.length),
  }
}
