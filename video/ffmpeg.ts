/**
 * Finding and running ffmpeg. It is a program that is spawned, never a library that is linked: its
 * builds are under the GPL, and a decoder that crashes on a hostile file must not take a task with
 * it. Looked for in this order: FFMPEG_PATH, PATH, the optional dependency @ffmpeg-installer/ffmpeg
 * (a build of 2018 that works, but should not be fed untrusted media).
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { VideoError } from './video-error.ts'

/** The environment that is searched: `process.env`, or what a test hands over. */
export type Environment = Readonly<Record<string, string | undefined>>

/** How many characters of ffmpeg's own messages an error quotes: the end, where the reason stands. */
const QUOTED_CHARACTERS = 600

/** The path of an ffmpeg that can be executed. Rejects with MILLRACE_FFMPEG_MISSING. */
export async function findFfmpeg(env: Environment = process.env): Promise<string> {
  const asked = env['FFMPEG_PATH']
  if (asked !== undefined && asked !== '') {
    if (await isExecutable(asked)) return asked
    throw new VideoError(
      'MILLRACE_FFMPEG_MISSING',
      `FFMPEG_PATH is ${asked}, which cannot be executed: let it name an ffmpeg program, or unset it to search PATH.`,
      { place: asked },
    )
  }
  for (const folder of (env['PATH'] ?? '').split(path.delimiter)) {
    const candidate = path.join(folder, process.platform === 'win32' ? 'ffmpeg.exe' : 'ffmpeg')
    if (folder !== '' && (await isExecutable(candidate))) return candidate
  }
  const installed = installedFfmpeg()
  if (installed !== undefined && (await isExecutable(installed))) return installed
  throw new VideoError(
    'MILLRACE_FFMPEG_MISSING',
    'No ffmpeg was found in FFMPEG_PATH, in PATH or in the package @ffmpeg-installer/ffmpeg: install ffmpeg, or set FFMPEG_PATH to its path.',
  )
}

/** How ffmpeg is run. */
export interface FfmpegRun {
  /** The program, from `findFfmpeg`. */
  readonly program: string
  readonly args: readonly string[]
  /** Kills the program when it aborts. */
  readonly signal?: AbortSignal
}

/** Runs ffmpeg to its end and gives what it wrote to stderr. Rejects with MILLRACE_FFMPEG_FAILED, or with the signal's reason. */
export function runFfmpeg({ program, args, signal }: FfmpegRun): Promise<string> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const child = spawn(program, ['-hide_banner', '-nostdin', '-nostats', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const kill = (): void => void child.kill('SIGKILL')
    signal?.addEventListener('abort', kill, { once: true })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    child.once('error', (cause) => {
      signal?.removeEventListener('abort', kill)
      reject(failed(program, 'could not be started', { said: '', cause }))
    })
    child.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', kill)
      if (signal?.aborted === true) reject(signal.reason as Error)
      else if (code === 0) resolve(said)
      else reject(failed(program, `ended with ${killedBy ?? `code ${code}`}`, { said }))
    })
  })
}

function failed(
  program: string,
  what: string,
  { said, cause }: { said: string; cause?: unknown },
): VideoError {
  const quoted = said.trim().slice(-QUOTED_CHARACTERS)
  return new VideoError(
    'MILLRACE_FFMPEG_FAILED',
    `ffmpeg ${what}${quoted === '' ? '' : `, saying: ${quoted}`}. Try another build with FFMPEG_PATH.`,
    { place: program, cause },
  )
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The optional dependency's program; undefined where the package, or a build for this machine, is not installed. */
function installedFfmpeg(): string | undefined {
  try {
    const found: unknown = createRequire(import.meta.url)('@ffmpeg-installer/ffmpeg')
    return typeof found === 'object' && found !== null && 'path' in found
      ? String(found.path)
      : undefined
  } catch {
    // Not installed, or no build for this machine: findFfmpeg says what to do about it.
    return undefined
  }
}
