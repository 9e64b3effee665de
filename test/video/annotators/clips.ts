/** Clips with cuts at known frames, made by ffmpeg from its own test pictures. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { findFfmpeg, runFfmpeg } from '../../../video/ffmpeg.ts'

/** How a clip is encoded. */
export interface ClipOptions {
  readonly framesPerSecond?: number
  /** Reordered frames between two others. */
  readonly bFrames?: number
  readonly format?: 'mp4' | 'mp4-header-last' | 'fragmented-mp4' | 'mpegts' | 'matroska'
  readonly width?: number
  readonly height?: number
  readonly bitrate?: string
}

/** A clip and where its shots are. */
export interface Clip {
  readonly bytes: Buffer
  readonly shots: readonly { readonly startUs: number; readonly endUs: number }[]
  readonly frameUs: number
  readonly durationUs: number
}

/** Pictures that ffmpeg can make, still and moving, bright and dark, no two alike. */
export const PICTURES = [
  'testsrc2',
  'mandelbrot',
  'smptebars',
  'rgbtestsrc',
  'testsrc',
  'color=c=0x303a30',
  'life=mold=10:ratio=0.1:death_color=#101080:life_color=#00ff00',
  'gradient-dark',
  'testsrc2-dark',
  'smptehdbars',
] as const

/** Makes a clip of shots with these lengths, in frames. */
export async function makeClip(
  lengths: readonly number[],
  options: ClipOptions = {},
): Promise<Clip> {
  const { framesPerSecond = 25, bFrames = 2, format = 'mp4' } = options
  const { width = 320, height = 180, bitrate } = options
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-clip-'))
  try {
    const file = path.join(
      folder,
      `clip.${format === 'mpegts' ? 'ts' : format === 'matroska' ? 'mkv' : 'mp4'}`,
    )
    const inputs = lengths.flatMap((frames, i) => [
      '-f',
      'lavfi',
      '-i',
      pictureOf(i, `s=${width}x${height}:r=${framesPerSecond}`, frames / framesPerSecond),
    ])
    const chain = `${lengths.map((_, i) => `[${i}:v]format=yuv420p,setsar=1[v${i}];`).join('')}${lengths
      .map((_, i) => `[v${i}]`)
      .join('')}concat=n=${lengths.length}:v=1[out]`
    await runFfmpeg({
      program: await findFfmpeg(),
      args: [
        '-y',
        ...inputs,
        '-filter_complex',
        chain,
        ...words(`-map [out] -c:v libx264 -preset veryfast -bf ${bFrames} -pix_fmt yuv420p`),
        ...words(bitrate === undefined ? '-crf 20' : constantRate(bitrate)),
        ...words(MUXING[format]),
        file,
      ],
    })
    return { bytes: await readFile(file), ...groundTruth(lengths, framesPerSecond) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function groundTruth(lengths: readonly number[], framesPerSecond: number) {
  const frameUs = 1e6 / framesPerSecond
  let first = 0
  const shots = lengths.map((frames) => {
    const shot = {
      startUs: Math.round(first * frameUs),
      endUs: Math.round((first + frames - 1) * frameUs),
    }
    first += frames
    return shot
  })
  return { shots, frameUs, durationUs: Math.round(first * frameUs) }
}

function pictureOf(index: number, size: string, seconds: number): string {
  const picture = PICTURES[index % PICTURES.length] ?? 'testsrc2'
  // The d of some sources rounds; trim cuts at the very frame.
  const cut = `trim=duration=${seconds.toFixed(6)}`
  const turn = Math.floor(index / PICTURES.length)
  const hue = turn === 0 ? '' : `,hue=h=${(turn * 70) % 360}`
  if (picture === 'gradient-dark') return `rgbtestsrc=${size},curves=all='0/0 1/0.25',${cut}${hue}`
  if (picture === 'testsrc2-dark') return `testsrc2=${size},curves=all='0/0 1/0.3',${cut}${hue}`
  const separator = picture.includes('=') ? ':' : '='
  return `${picture}${separator}${size},${cut}${hue}`
}

const MUXING: Readonly<Record<NonNullable<ClipOptions['format']>, string>> = {
  mp4: '-movflags +faststart',
  'mp4-header-last': '-f mp4',
  'fragmented-mp4': '-movflags +frag_keyframe+empty_moov+default_base_moof',
  mpegts: '-f mpegts',
  matroska: '-f matroska',
}

function constantRate(bitrate: string): string {
  return `-b:v ${bitrate} -minrate ${bitrate} -maxrate ${bitrate} -bufsize ${bitrate} -x264-params nal-hrd=cbr`
}

function words(line: string): readonly string[] {
  return line.split(' ')
}
