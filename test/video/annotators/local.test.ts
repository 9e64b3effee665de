import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { annotatorConformance, annotateWhole } from '../../../video/annotators/conformance.ts'
import { local } from '../../../video/annotators/local.ts'
import { makeClip as makeDemoClip } from '../../../video/clip.ts'
import { makeClip, type ClipOptions } from './clips.ts'
import { expectNothingLeft } from './leftovers.ts'
import { smallClip } from './small-clip.ts'

afterEach(() => expectNothingLeft())

describe('the local annotator', () => {
  annotatorConformance(
    {
      open: async () => ({ annotator: local(), [Symbol.asyncDispose]: async () => {} }),
      clip: smallClip,
      looks: true,
    },
    it,
  )

  const FORMS: readonly (readonly [string, ClipOptions])[] = [
    ['an mp4 without reordered frames', { bFrames: 0 }],
    ['an mp4 of 60 frames a second', { framesPerSecond: 60, bFrames: 3 }],
    ['a fragmented mp4', { format: 'fragmented-mp4' }],
    ['an MPEG transport stream', { format: 'mpegts' }],
    ['Matroska at 29.97 frames a second', { format: 'matroska', framesPerSecond: 29.97 }],
  ]

  it.each(FORMS)('finds every cut of %s to the frame, and no other', async (_, form) => {
    const { bytes, shots, frameUs } = await makeClip(
      [30, 44, 27, 61, 33, 25, 29, 31, 40, 26, 28],
      form,
    )
    const found = await annotateWhole(local(), [bytes])
    expect(found.length).toBe(shots.length)
    for (const [i, { startUs, endUs }] of found.entries()) {
      expect(Math.abs(startUs - (shots[i]?.startUs ?? 0))).toBeLessThan(frameUs / 2)
      expect(Math.abs(endUs - (shots[i]?.endUs ?? 0))).toBeLessThan(frameUs / 2)
    }
  })

  it("finds every cut of the demo's small clip, grain and camera movements and all, and no other", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'millrace-local-'))
    try {
      const clip = await makeDemoClip({ folder, size: 'small' })
      const found = await annotateWhole(local(), [await readFile(clip.path)])
      expect(found.slice(1).map(({ startUs }) => startUs)).toEqual(clip.cutsUs)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('refuses an mp4 with its header last before it has swallowed it, and says what to do', async () => {
    const { bytes } = await makeClip([20, 20], { format: 'mp4-header-last' })
    const signal = new AbortController().signal
    const stream = await local().open({ videoId: 'v', signal, onProgress: () => {} })
    await expect(stream.write(bytes.subarray(0, 100))).rejects.toMatchObject({
      code: 'MILLRACE_ANNOTATOR_REJECTED',
      failure: 'reject',
      message: expect.stringContaining('+faststart'),
    })
    await expect(stream.done).rejects.toMatchObject({ failure: 'reject' })
  })

  it('takes a file to its end whose last bytes are no video', async () => {
    const { bytes, shots } = await smallClip()
    const trailing = Buffer.alloc(3_000_000)
    trailing.writeUInt32BE(trailing.length)
    trailing.write('free', 4, 'latin1')
    const found = await annotateWhole(local(), [bytes, trailing, trailing])
    expect(found.length).toBe(shots.length)
  })

  it('lets no playlist make ffmpeg open a file', async () => {
    const playlist =
      '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/hostname\n#EXT-X-ENDLIST\n'
    await expect(annotateWhole(local(), [Buffer.from(playlist)])).rejects.toMatchObject({
      failure: 'reject',
    })
  })

  it('stops, with a remedy, where ffmpeg cannot be started', async () => {
    const { bytes } = await smallClip()
    await expect(
      annotateWhole(local({ program: '/no/such/ffmpeg' }), [bytes]),
    ).rejects.toMatchObject({
      code: 'MILLRACE_ANNOTATOR_MISCONFIGURED',
      failure: 'stop',
      message: expect.stringContaining('FFMPEG_PATH'),
    })
  })
})
