import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FrameStream, openDecoder } from '../../video/annotators/frames.ts'
import { findFfmpeg } from '../../video/ffmpeg.ts'
import { crc32Mpeg } from '../../video/mpegts-sections.ts'
import { probeVideo } from '../../video/probe.ts'
import { wholePackets } from '../../video/slicer.ts'
import { drawnSeed } from '../seed.ts'
import {
  ffmpeg,
  H264,
  PICTURE,
  shownFrames,
  SOUND,
  temporaryFolder,
  words,
} from './ffmpeg-clips.ts'
import { byTime, inMemory, mapOf, seededNumbers, slicedTimes } from './memory-source.ts'

const PACKET = 188
const QUEER_STEPS = "select='not(mod(n,3))+not(mod(n,7))',setpts=PTS+mod(N\\,5)*0.004/TB"

/** Name of a kind of stream, and how ffmpeg makes it. `base` is an mp4 with reordered frames and sound. */
const KINDS: readonly [string, (base: string) => readonly string[]][] = [
  ['reordered frames and sound', (base) => ['-i', base, '-c', 'copy']],
  ['no reordered frames', () => [...PICTURE, ...H264, '-bf', '0']],
  ['a picture of MPEG-2', () => [...PICTURE, ...words('-c:v mpeg2video -bf 2 -g 12')]],
  ['a picture of MPEG-4 part 2', () => [...PICTURE, ...words('-c:v mpeg4 -bf 2')]],
  [
    'a picture of HEVC',
    () => [...PICTURE, ...words('-c:v libx265 -preset ultrafast -x265-params log-level=error')],
  ],
  [
    'frames of varying length',
    () => [...PICTURE, '-vf', QUEER_STEPS, ...H264, '-bf', '2', '-vsync', '2'],
  ],
  [
    'times that come round within it',
    (base) => words(`-i ${base} -c copy -output_ts_offset 95441`),
  ],
  [
    'times that come round before it',
    (base) => words(`-i ${base} -c copy -output_ts_offset 95442.5`),
  ],
  ['a constant rate of packets', (base) => words(`-i ${base} -c copy -muxrate 2M`)],
  ['a time in front of each packet', (base) => words(`-i ${base} -c copy -mpegts_m2ts_mode 1`)],
  [
    'two programs',
    (base) =>
      words(
        `-i ${base} -i ${base} -map 0 -map 1 -c copy -program title=a:st=2:st=3 -program title=b:st=0:st=1`,
      ),
  ],
  ['one frame', () => [...PICTURE, '-frames:v', '1', ...H264]],
]

let folder = ''
let base = ''
let remove = async (): Promise<void> => {}
let plain = Buffer.alloc(0)

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
  base = path.join(folder, 'base.mp4')
  await ffmpeg(...PICTURE, ...SOUND, ...H264, '-bf', '2', '-c:a', 'aac', '-shortest', base)
  plain = await readFile(await made('plain', ['-i', base, '-c', 'copy']))
})
afterAll(() => remove())

async function made(name: string, options: readonly string[]): Promise<string> {
  const file = path.join(folder, `${name.replaceAll(' ', '-')}.ts`)
  await ffmpeg(...options, '-f', 'mpegts', file)
  return file
}

function shifted(seconds: number): Promise<Buffer> {
  const options = words(`-i ${base} -c copy -output_ts_offset ${seconds}`)
  return made(`shifted-${seconds}`, options).then((file) => readFile(file))
}

/** When the frames are shown that an annotator's decoder makes of these bytes. */
async function decodedTimes(bytes: Buffer): Promise<readonly number[]> {
  const times: number[] = []
  const stream = new FrameStream({
    decoder: await openDecoder(await findFfmpeg()),
    videoId: 'v',
    threads: 1,
    onFrame: ({ timeUs }) => times.push(timeUs),
  })
  await stream.write(bytes)
  stream.end()
  await stream.done
  return times
}

describe('the byte-to-time map of an MPEG transport stream', () => {
  test.each(KINDS)(
    'agrees with ffmpeg on every frame of a stream with %s',
    async (name, options) => {
      const file = await made(name, options(base))
      const shown = await shownFrames(file)
      const mapped = byTime(await mapOf(await readFile(file)))
      expect(shown.length).toBeGreaterThan(0)
      expect(mapped.map(({ offset, startUs }) => ({ offset, startUs }))).toEqual(shown)
    },
  )

  test('begins with the first frame that can be decoded where a recording begins in the middle', async () => {
    const cut = plain.subarray(150 * PACKET)
    const mapped = byTime(await mapOf(cut))
    expect(mapped[0]?.keyframe).toBe(true)
    expect(mapped[0]?.offset).toBeGreaterThan(0)
    expect(mapped.map(({ startUs }) => startUs)).toEqual(await decodedTimes(cut))
  })

  const JOINED: readonly [string, () => Promise<readonly Buffer[]>][] = [
    ['back to the beginning', async () => [plain, plain]],
    ['on by a minute', async () => [plain, await shifted(60)]],
    ['back by a minute', async () => [await shifted(60), plain, plain]],
    ['on by three seconds, a pause', async () => [plain, await shifted(9)]],
    ['to where they come round', async () => [plain, await shifted(95441)]],
    ['back, without the beginning', async () => [plain, plain.subarray(150 * PACKET)]],
  ]

  test.each(JOINED)('goes on as decoders do where times jump %s', async (_, parts) => {
    const joined = Buffer.concat(await parts())
    const mapped = byTime(await mapOf(joined)).map(({ startUs }) => startUs)
    const decoded = await decodedTimes(joined)
    expect(mapped.length).toBe(decoded.length)
    // A jump is told in ticks of a 90,000th here and of a millionth there.
    for (const [i, timeUs] of decoded.entries()) {
      expect(Math.abs((mapped[i] ?? 0) - timeUs)).toBeLessThanOrEqual(12)
    }
  })

  const DAMAGED: readonly [string, (bytes: Buffer) => Buffer][] = [
    [
      'bytes missing',
      (it) => Buffer.concat([it.subarray(0, 300 * PACKET + 77), it.subarray(300 * PACKET + 140)]),
    ],
    [
      'zeros between packets',
      (it) =>
        Buffer.concat([
          it.subarray(0, 200 * PACKET),
          Buffer.alloc(5001),
          it.subarray(200 * PACKET),
        ]),
    ],
    [
      'a packet without its first byte',
      (it) => Buffer.from(it).fill(0, 250 * PACKET, 250 * PACKET + 1),
    ],
  ]

  test.each(DAMAGED)('finds the packets again after damage: %s', async (_, damage) => {
    const damaged = damage(plain)
    const mapped = byTime(await mapOf(damaged)).map(({ startUs }) => startUs)
    expect(mapped).toEqual(await decodedTimes(damaged))
    expect(mapped.length).toBe(100)
  })

  test('tells each slice the time that the whole map has for it, whatever the size of slices', async () => {
    const joined = Buffer.concat([plain, await shifted(60), plain.subarray(150 * PACKET)])
    const video = await probeVideo(inMemory(joined))
    const map = await mapOf(joined)
    for (const size of [1024, 5000, 65_536, 10_000_000]) {
      const chunkBytes = wholePackets(size, video.packetBytes)
      expect(chunkBytes % PACKET).toBe(0)
      const { ranges, walk } = await slicedTimes(video, chunkBytes)
      const expected = ranges.map((_, i) => map.rangeOf(i * chunkBytes, (i + 1) * chunkBytes))
      expect(ranges).toEqual(expected)
      const { frames, durationUs, constantFrameRate } = map
      expect(walk).toMatchObject({ frames, durationUs, constantFrameRate })
    }
  })

  test('finds in which bytes a time is', async () => {
    const map = await mapOf(plain)
    for (const frame of map) {
      expect(map.frameAt(frame.startUs + 20_000)).toEqual(frame)
      expect(frame.offset % PACKET).toBe(0)
      expect(plain[frame.offset]).toBe(0x47)
    }
  })

  test('does not wait for a picture that has stopped', async () => {
    // Ten times the look-ahead of empty packets: a walk that went to the end would read them all.
    const video = await probeVideo(inMemory(plain))
    const empty = Buffer.alloc(PACKET, 0xff)
    empty.writeUInt32BE(0x471fff10)
    const emptyBytes = 320 * 2 ** 20
    let readTo = 0
    const stream = {
      ...inMemory(plain),
      sizeBytes: plain.length + emptyBytes,
      read: async (offset: number, target: Buffer) => {
        readTo = Math.max(readTo, offset + target.length)
        for (let at = 0; at < target.length; at += PACKET) {
          const from = offset + at
          if (from < plain.length) plain.copy(target, at, from, from + PACKET)
          else empty.copy(target, at)
        }
      },
    }
    const { openTimes } = await probeVideo(stream)
    const range = await openTimes()?.rangeOf(0, plain.length)
    expect(range).toEqual({ startUs: 0, endUs: 4_000_000 })
    expect(readTo).toBeLessThan(40 * 2 ** 20)
    expect(video.track).toEqual({ codec: 'avc1', width: null, height: null })
  })
})

describe('an MPEG transport stream', () => {
  const REFUSED: readonly [string, (bytes: Buffer) => Buffer | Promise<Buffer>, string][] = [
    [
      'sound alone',
      async () => readFile(await made('sound', [...SOUND, ...words('-c:a aac')])),
      'MILLRACE_NO_VIDEO_TRACK',
    ],
    ['no tables', (it) => packetsOf(it, ({ pid }) => pid >= 0x100), 'MILLRACE_VIDEO_CORRUPT'],
    [
      'tables but no frame',
      (it) => packetsOf(it, ({ pid }) => pid !== 0x100),
      'MILLRACE_NO_VIDEO_TRACK',
    ],
    [
      'an encrypted picture',
      (it) =>
        packetsOf(it, ({ pid, packet }) => {
          if (pid === 0x100) packet[3] = (packet[3] ?? 0) | 0x80
          return true
        }),
      'MILLRACE_VIDEO_UNSUPPORTED',
    ],
  ]

  test.each(REFUSED)('is refused with %s', async (_, change, code) => {
    const error = await probeVideo(inMemory(await change(plain))).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, place: 'memory' })
  })

  test('is never believed: damage anywhere makes a clear error or a map, nothing else', async () => {
    const seed = drawnSeed(1e6)
    const random = seededNumbers(seed)
    let mapped = 0
    for (let round = 0; round < 150; round += 1) {
      const damaged = damagedBy(random, plain)
      const message = `seed ${seed}, round ${round}`
      const map = await mapOf(damaged).catch((thrown: unknown) => thrown)
      if (map instanceof Error) {
        expect(map, message).toHaveProperty('code', expect.stringMatching(/^MILLRACE_/))
        continue
      }
      mapped += 1
      const video = await probeVideo(inMemory(damaged))
      const { ranges } = await slicedTimes(video, 40 * PACKET)
      for (const range of ranges) {
        if (range === null) continue
        expect(range.startUs, message).toBeGreaterThanOrEqual(0)
        expect(range.endUs, message).toBeGreaterThanOrEqual(range.startUs)
      }
    }
    expect(mapped).toBeGreaterThan(0)
  })

  test('checks its tables by the checksum of MPEG', () => {
    expect(crc32Mpeg(Buffer.from('123456789'))).toBe(0x0376e6e7)
  })
})

/** The packets that are kept, which `keep` may change. */
function packetsOf(
  bytes: Buffer,
  keep: (found: { pid: number; packet: Buffer }) => boolean,
): Buffer {
  const copy = Buffer.from(bytes)
  const kept: Buffer[] = []
  for (let at = 0; at < copy.length; at += PACKET) {
    const packet = copy.subarray(at, at + PACKET)
    if (keep({ pid: packet.readUInt16BE(1) & 0x1fff, packet })) kept.push(packet)
  }
  return Buffer.concat(kept)
}

/** Some bytes changed, most of them in the first bytes of packets, and sometimes a part cut out. */
function damagedBy(random: (below: number) => number, bytes: Buffer): Buffer {
  const damaged = Buffer.from(bytes)
  for (let i = 0; i < 40; i += 1) {
    const packet = random(bytes.length / PACKET) * PACKET
    damaged[packet + random(random(2) === 0 ? 24 : PACKET)] = random(256)
  }
  if (random(3) > 0) return damaged
  const at = random(bytes.length)
  return Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + random(3000))])
}
