/**
 * The clip that the demo and the tests run on, made once by ffmpeg and kept. A finished clip takes
 * its name in one step, so that a process killed at any moment leaves either the whole clip or none;
 * what it was making lies in a folder that carries its process id, and is cleared by the next one.
 */
import { createHash } from 'node:crypto'
import { access, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { makeFolder } from '../model/make-folder.ts'
import {
  CLIP_FRAME_RATE,
  clipArguments,
  cutFrames,
  DEMO_RECIPE,
  SMALL_RECIPE,
} from './clip-scenes.ts'
import { findFfmpeg, runFfmpeg, type Environment } from './ffmpeg.ts'

/** A clip whose cuts are known. */
export interface Clip {
  readonly path: string
  readonly frameRate: number
  readonly frames: number
  readonly durationUs: number
  /** The first frame of each scene but the first. */
  readonly cutFrames: readonly number[]
  /** When these frames are shown, microseconds from the first frame. */
  readonly cutsUs: readonly number[]
}

/** Which clip, and where it is kept. */
export interface ClipOptions {
  /** The folder of made clips. Created where it is missing. */
  readonly folder: string
  /** demo: 46 MB, 24 cuts. small: 2 MB, 7 cuts. Default: demo. */
  readonly size?: 'demo' | 'small'
  /** Where the file's header (`moov`) lies. Default: front. */
  readonly header?: 'front' | 'end'
  readonly env?: Environment
  readonly signal?: AbortSignal
}

/** The clip, made where it is not there yet (some 8 seconds for the demo's). Rejects with MILLRACE_FFMPEG_MISSING or MILLRACE_FFMPEG_FAILED. */
export async function makeClip(options: ClipOptions): Promise<Clip> {
  const { folder, size = 'demo', header = 'front', signal } = options
  const recipe = size === 'demo' ? DEMO_RECIPE : SMALL_RECIPE
  const args = clipArguments(recipe, header)
  // By its arguments alone: a clip that another build of ffmpeg made has the same scenes.
  const key = createHash('sha256').update(args.join('\n')).digest('hex').slice(0, 16)
  const file = path.join(folder, `${size}-${key}.mp4`)
  if (!(await exists(file))) {
    await makeFolder(folder)
    await clearAbandoned(folder)
    const program = await findFfmpeg(options.env)
    await makeInPlace(file, (target) =>
      runFfmpeg({ program, args: [...args, target], ...(signal === undefined ? {} : { signal }) }),
    )
  }
  const frames = recipe.sceneFrames.reduce((sum, length) => sum + length, 0)
  const cuts = cutFrames(recipe)
  return {
    path: file,
    frameRate: CLIP_FRAME_RATE,
    frames,
    durationUs: (frames * 1e6) / CLIP_FRAME_RATE,
    cutFrames: cuts,
    cutsUs: cuts.map((frame) => (frame * 1e6) / CLIP_FRAME_RATE),
  }
}

const MAKING = /^\.making-(\d+)-/

/** Makes a file beside its place and moves it there when it is whole and on the disk. */
async function makeInPlace(
  file: string,
  make: (target: string) => Promise<unknown>,
): Promise<void> {
  const workshop = await mkdtemp(path.join(path.dirname(file), `.making-${process.pid}-`))
  try {
    const unfinished = path.join(workshop, 'clip.mp4')
    await make(unfinished)
    const handle = await open(unfinished, 'r+')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(unfinished, file)
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
}

/** Removes what processes that are gone were making. */
async function clearAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const maker = MAKING.exec(name)?.[1]
    if (maker === undefined || isRunning(Number(maker))) continue
    await rm(path.join(folder, name), { recursive: true, force: true })
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    // EPERM: it runs, under another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  )
}
