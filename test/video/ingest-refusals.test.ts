import { copyFile, mkdir, open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeClip } from '../../video/clip.ts'
import { ingest, type IngestOptions } from '../../video/ingest.ts'
import { Reassembly } from '../../video/reassemble.ts'
import { RAW_TOPIC, VIDEOS_TOPIC, videoTopics } from '../../video/topics.ts'
import { VideoError } from '../../video/video-error.ts'
import { ffmpeg, H264, PICTURE, SOUND, temporaryFolder, words } from './ffmpeg-clips.ts'
import { logEnd, openWorld, rawChunks, videoRows, type LogWorld } from './log-world.ts'
import { box, craft } from './mp4-crafting.ts'

let folder = ''
let remove = async (): Promise<void> => {}
/** Header in front. */
let clip = ''

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
  clip = (await makeClip({ folder, size: 'small' })).path
})
afterAll(() => remove())

function options(world: LogWorld, file: string, more: Partial<IngestOptions> = {}): IngestOptions {
  const { transport, registry, clock } = world
  return { transport, registry, clock, path: file, chunkBytes: 131_072, ...more }
}

function place(name: string): string {
  return path.join(folder, name)
}

async function copied(name: string, from = clip): Promise<string> {
  await copyFile(from, place(name))
  return place(name)
}

/** Files that are no whole video, how they come about, and what is said about them. */
const REFUSED: readonly [string, string, () => Promise<string>, RegExp][] = [
  ['that is missing', 'MILLRACE_FILE_MISSING', async () => place('none.mp4'), /does not exist/],
  [
    'in a folder that is a file',
    'MILLRACE_FILE_MISSING',
    async () => path.join(clip, 'x.mp4'),
    /does not exist/,
  ],
  [
    'that is empty',
    'MILLRACE_FILE_EMPTY',
    async () => {
      await writeFile(place('empty.mp4'), '')
      return place('empty.mp4')
    },
    /empty/,
  ],
  [
    'that is a directory',
    'MILLRACE_FILE_NOT_REGULAR',
    async () => {
      await mkdir(place('folder.mp4'))
      return place('folder.mp4')
    },
    /a directory/,
  ],
  [
    'that is text',
    'MILLRACE_NOT_A_VIDEO',
    async () => {
      await writeFile(place('text.mp4'), 'To be, or not to be, that is the question.')
      return place('text.mp4')
    },
    /not a video/,
  ],
  [
    'of one byte',
    'MILLRACE_NOT_A_VIDEO',
    async () => {
      await writeFile(place('one.mp4'), 'x')
      return place('one.mp4')
    },
    /not a video/,
  ],
  [
    'that was cut off in its media',
    'MILLRACE_VIDEO_TRUNCATED',
    async () => {
      const file = await copied('cut.mp4')
      await truncate(file, (await stat(file)).size - 100_000)
      return file
    },
    /not whole.*mdat/,
  ],
  [
    'that was cut off before its header',
    'MILLRACE_VIDEO_TRUNCATED',
    async () => {
      const whole = await makeClip({ folder, size: 'small', header: 'end' })
      const file = await copied('headless.mp4', whole.path)
      const at = (await readFile(file)).lastIndexOf('moov')
      await truncate(file, at - 4)
      return file
    },
    /no header \(moov box\)/,
  ],
  [
    'that was cut off in the middle of a box that has no length of its own',
    'MILLRACE_VIDEO_TRUNCATED',
    async () => {
      const bytes = await readFile(clip)
      bytes.writeUInt32BE(0, bytes.indexOf('mdat') - 4)
      await writeFile(place('endless.mp4'), bytes.subarray(0, -50_000))
      return place('endless.mp4')
    },
    /its last frame should end at byte/,
  ],
  [
    'of sound alone',
    'MILLRACE_NO_VIDEO_TRACK',
    async () => {
      await ffmpeg(...SOUND, '-c:a', 'aac', place('sound.mp4'))
      return place('sound.mp4')
    },
    /its tracks: soun/,
  ],
  [
    'of sound in a container for sound',
    'MILLRACE_NOT_A_VIDEO',
    async () => {
      await ffmpeg(...SOUND, place('sound.wav'))
      return place('sound.wav')
    },
    /not a video/,
  ],
  [
    'in fragments with its header behind them',
    'MILLRACE_VIDEO_FRAGMENTED',
    async () => {
      const whole = place('whole.mp4')
      await ffmpeg(...PICTURE, ...H264, whole)
      const fragmented = craft(await readFile(whole), (type, body) =>
        type === 'mvhd' ? Buffer.concat([box('mvhd', body), box('mvex')]) : undefined,
      )
      await writeFile(place('fragments.mp4'), fragmented)
      return place('fragments.mp4')
    },
    /ffmpeg -i in.mp4 -c copy out.mp4/,
  ],
  [
    'with a box of an impossible length',
    'MILLRACE_VIDEO_CORRUPT',
    async () => {
      const bytes = await readFile(clip)
      bytes.writeUInt32BE(3, bytes.indexOf('moov') - 4)
      await writeFile(place('broken.mp4'), bytes)
      return place('broken.mp4')
    },
    /impossible length/,
  ],
]

describe('ingest refuses a file', () => {
  test.each(REFUSED)('%s (%s), names it, and writes nothing', async (_, code, make, says) => {
    await using world = await openWorld()
    const file = await make()
    const error = await ingest(options(world, file)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(VideoError)
    expect(error).toMatchObject({ code, place: file, message: expect.stringMatching(says) })
    expect(String(error)).toContain(file)
    expect(await world.transport.admin.describeTopics()).toEqual([])
  })

  test('under an id that belongs to another', async () => {
    await using world = await openWorld()
    await ffmpeg(...PICTURE, ...H264, place('other.mp4'))
    await ingest(options(world, clip, { id: 'film' }))
    const ends = [await logEnd(world, RAW_TOPIC), await logEnd(world, VIDEOS_TOPIC)]
    await expect(ingest(options(world, place('other.mp4'), { id: 'film' }))).rejects.toMatchObject({
      code: 'MILLRACE_VIDEO_ID_TAKEN',
      message: expect.stringContaining(path.basename(clip)),
    })
    expect([await logEnd(world, RAW_TOPIC), await logEnd(world, VIDEOS_TOPIC)]).toEqual(ends)
    expect((await ingest(options(world, clip, { id: 'film' }))).outcome).toBe('already complete')
  })

  test('that differs from the one under its id in the middle alone, where no fingerprint looks', async () => {
    await using world = await openWorld()
    const file = place('long.mp4')
    await writeFile(file, Buffer.concat([await readFile(clip), box('free', Buffer.alloc(2 ** 22))]))
    const { video } = await ingest(options(world, file))
    const handle = await open(file, 'r+')
    await handle.write('!', 3 * 2 ** 20)
    await handle.close()
    await expect(ingest(options(world, file))).rejects.toMatchObject({
      code: 'MILLRACE_VIDEO_ID_TAKEN',
      message: expect.stringContaining(video.videoId),
    })
  })

  test.each(['', 'a\nb', 'x'.repeat(201), '\ud800'])('under the id %j', async (id) => {
    await using world = await openWorld()
    await expect(ingest(options(world, clip, { id }))).rejects.toMatchObject({
      code: 'MILLRACE_VIDEO_ID_INVALID',
    })
  })

  test.each([0, 1023, 5.5e5 + 0.5, 2 ** 40, Number.NaN])(
    'in chunks of %d bytes',
    async (chunkBytes) => {
      await using world = await openWorld()
      await expect(ingest(options(world, clip, { chunkBytes }))).rejects.toMatchObject({
        code: 'MILLRACE_CHUNK_SIZE_INVALID',
      })
    },
  )

  test('whose chunks the topic would not take, and says what it would need', async () => {
    await using world = await openWorld()
    await world.transport.admin.createTopics(videoTopics({ chunkBytes: 100_000 }))
    await expect(ingest(options(world, clip, { chunkBytes: 200_000 }))).rejects.toMatchObject({
      code: 'MILLRACE_CHUNK_TOO_LARGE',
      place: RAW_TOPIC,
      message: expect.stringMatching(/max\.message\.bytes is 165536 and must be at least 265536/),
    })
    expect(await logEnd(world, RAW_TOPIC)).toBe(0)
    expect(await logEnd(world, VIDEOS_TOPIC)).toBe(0)
  })

  test('only where it must: chunks that just fit are written', async () => {
    await using world = await openWorld()
    const config = { 'max.message.bytes': '131600' }
    await world.transport.admin.createTopics([{ topic: RAW_TOPIC, partitions: 1, config }])
    const { video } = await ingest(options(world, clip, { chunkBytes: 131_072 }))
    expect((await rawChunks(world)).length).toBe(video.chunks)
  })
})

describe('ingest of containers without a map', () => {
  test.each<[string, readonly string[]]>([
    ['webm', words('-c:v libvpx -b:v 300k -f webm')],
    ['matroska', [...H264, ...words('-f matroska')]],
    ['flv', [...H264, ...words('-f flv')]],
  ])('slices %s without times', async (container, coding) => {
    await using world = await openWorld()
    // Named wrongly: the bytes tell what it is.
    const file = place(`${container}.mp4`)
    await ffmpeg(...PICTURE, ...coding, file)
    const { video } = await ingest(options(world, file, { chunkBytes: 16_384 }))
    expect(video).toMatchObject({ container, durationUs: null, frames: null, codec: null })
    const reassembly = new Reassembly(video.videoId)
    for (const { chunk } of await rawChunks(world)) {
      expect(chunk).toMatchObject({ container, startUs: null, endUs: null })
      reassembly.add(chunk)
    }
    reassembly.end(video)
    expect((await videoRows(world)).at(-1)?.status).toBe('complete')
  })
})
