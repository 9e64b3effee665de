/** Small clips made by ffmpeg, and what ffmpeg itself says about where their frames lie and when they are shown. */
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { findFfmpeg, runFfmpeg } from '../../video/ffmpeg.ts'

/** The embedded build: its showinfo still prints byte positions, which newer ones no longer do. */
const EMBEDDED = {}

export async function temporaryFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'millrace-video-'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

export async function ffmpeg(...args: readonly string[]): Promise<string> {
  return await runFfmpeg({ program: await findFfmpeg(EMBEDDED), args: ['-y', ...args] })
}

export const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=s=160x90:r=25:d=4']
export const SOUND = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=4']
export const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-g', '25', '-pix_fmt', 'yuv420p']

/** What ffmpeg decodes, in the order it shows it. */
export interface ShownFrame {
  readonly offset: number
  /** From the first frame shown. */
  readonly startUs: number
}

export async function shownFrames(file: string): Promise<readonly ShownFrame[]> {
  const said = await ffmpeg(
    '-copyts',
    '-i',
    file,
    ...words('-map 0:v:0 -vf showinfo -vsync 0 -f null -'),
  )
  const base = /config in time_base: (\d+)\/(\d+)/.exec(said)
  if (base === null) throw new Error(`no time base in: ${said}`)
  const tick = (Number(base[1]) * 1e6) / Number(base[2])
  const frames = [...said.matchAll(/ n: *\d+ pts: *(-?\d+) .* pos: *(-?\d+) /g)].map((found) => ({
    pts: Number(found[1]),
    offset: Number(found[2]),
  }))
  const first = frames[0]?.pts ?? 0
  return frames.map(({ pts, offset }) => ({ offset, startUs: Math.round((pts - first) * tick) }))
}

/** Sizes and MD5s of the video packets as ffmpeg's demuxer cuts them, in decode order. */
export async function packets(file: string): Promise<readonly { size: number; md5: string }[]> {
  const program = await findFfmpeg(EMBEDDED)
  const args = ['-v', 'error', '-i', file, '-map', '0:v:0', '-c', 'copy', '-f', 'framemd5', '-']
  const { stdout } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  return stdout
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => line.split(',').map((part) => part.trim()))
    .map((parts) => ({ size: Number(parts[4]), md5: String(parts[5]) }))
}

/** MD5s of all decoded frames, picture and sound. */
export async function decodedFrames(file: string): Promise<string> {
  const program = await findFfmpeg(EMBEDDED)
  const args = ['-v', 'error', '-i', file, '-map', '0:v?', '-map', '0:a?', '-f', 'framemd5', '-']
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (stderr !== '') throw new Error(`ffmpeg complains about ${file}: ${stderr}`)
  return stdout
}

export function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** The decoded picture, 64x36 in gray, as a shot detector would look at it. */
export async function grayFrames(file: string): Promise<readonly Buffer[]> {
  const program = await findFfmpeg(EMBEDDED)
  const args = words('-map 0:v:0 -vf scale=64:36:flags=area,format=gray -vsync 0 -f rawvideo -')
  const { stdout } = spawnSync(program, ['-v', 'error', '-i', file, ...args], {
    maxBuffer: 2 ** 28,
  })
  const size = 64 * 36
  return Array.from({ length: stdout.length / size }, (_, i) =>
    stdout.subarray(i * size, (i + 1) * size),
  )
}

/** A command line without spaces inside its words. */
export function words(line: string): readonly string[] {
  return line.split(' ')
}
