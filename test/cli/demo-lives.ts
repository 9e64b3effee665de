/** Lives of `millrace demo`: started as a user would, watched by what it says, killed by SIGKILL. */
import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openLog } from '../../cli/open-log.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { VideoState } from '../../video/schemas.ts'
import { readVideos } from '../video/all-videos.ts'
import { endWithTest } from '../end-with-tests.ts'
import { outputsOf, type Outputs } from '../video/pipeline-world.ts'

const BIN = fileURLToPath(new URL('../../cli/bin.ts', import.meta.url))

/** What the demo is at, in order. */
export const PHASES = ['start', 'clip', 'ingest', 'annotate', 'check', 'end'] as const
export type Phase = (typeof PHASES)[number]

/** The line of standard output that begins a phase. */
const BEGINS: readonly (readonly [Phase, RegExp])[] = [
  ['clip', /"text":"clip: making/],
  ['ingest', /"text":"clip: \d+ cuts/],
  ['annotate', /"event":"ingested"/],
  ['check', /"label":"annotate and join"/],
  ['end', /"event":"video"/],
]

/** One process of the demo. */
export interface Life {
  readonly ended: Promise<{ readonly code: number | null; readonly said: string }>
  /** How far it is. */
  phase(): Phase
  /** Milliseconds from the start to the beginning of each phase it has reached. */
  readonly reachedMs: ReadonlyMap<Phase, number>
  /** Resolves when it is that far, or is over. */
  reaches(phase: Phase): Promise<void>
  /** Ends the process, and it alone, with SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Waits until no process of its group is left; gives those that are after the limit. */
  left(): Promise<readonly string[]>
}

/** Starts `millrace demo` in a process group of its own, with everything it keeps in `dir`. */
export function startDemo(dir: string, args: readonly string[]): Life {
  const command = ['--conditions=millrace-source', BIN, 'demo', '--dir', dir, '--json', ...args]
  const clock = systemClock()
  const startedMs = clock.monotonic()
  const child = endWithTest(
    spawn(process.execPath, command, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    }),
  )
  const reachedMs = new Map<Phase, number>([['start', 0]])
  const waiting: (() => void)[] = []
  let said = ''
  const hear = (text: string): void => {
    said += text
    for (const [phase, line] of BEGINS) {
      if (reachedMs.has(phase) || !line.test(said)) continue
      reachedMs.set(phase, clock.monotonic() - startedMs)
    }
    for (const look of waiting) look()
  }
  child.stdout.setEncoding('utf8').on('data', hear)
  child.stderr.setEncoding('utf8').on('data', hear)
  const ended = new Promise<{ code: number | null; said: string }>((resolve, reject) => {
    child.once('error', reject)
    // Not `close`: a program it has started may keep the pipes open after it was killed.
    child.once('exit', (code) => setImmediate(() => resolve({ code, said })))
  })
  const reaches = (phase: Phase): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (reachedMs.has(phase)) resolve()
      }
      waiting.push(look)
      look()
      void ended.then(() => resolve())
    })
  return {
    ended,
    phase: () => PHASES.findLast((phase) => reachedMs.has(phase)) ?? 'start',
    reachedMs,
    reaches,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
    left: () => processesLeft(child.pid ?? 0),
  }
}

/** ffmpeg ends by itself: with its input, or with the clip it makes. */
const LEFT_LIMIT_MS = 30_000

async function processesLeft(group: number): Promise<readonly string[]> {
  const clock = systemClock()
  const deadline = clock.monotonic() + LEFT_LIMIT_MS
  for (;;) {
    const left = await processesOf(group)
    if (left.length === 0 || clock.monotonic() >= deadline) return left
    await sleep(10)
  }
}

/** The living processes of a group, by name. */
async function processesOf(group: number): Promise<readonly string[]> {
  const ids = await readdir('/proc').catch(() => undefined)
  if (ids === undefined) return isThere(group) ? [`the group ${group}`] : []
  const found: string[] = []
  for (const id of ids.filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${id}/stat`, 'utf8').catch(() => '')
    // pid (name) state parent group …; the name may hold anything.
    const [, name = '', state, , of] = /^\d+ \((.*)\) (\S) (\d+) (\d+) /s.exec(stat) ?? []
    if (Number(of) === group && state !== 'Z' && state !== 'X') found.push(name)
  }
  return found
}

function isThere(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}

/** What a demo leaves that two of them can be compared by. */
export interface DemoRemains {
  readonly outputs: Outputs
  readonly videos: readonly VideoState[]
  /** The files with the shots, by name. */
  readonly results: Readonly<Record<string, string>>
}

/** Reads what a demo that has ended left behind. Wall-clock times and places in the log are set to 0. */
export async function remainsOf(dir: string): Promise<DemoRemains> {
  const clock = systemClock()
  await using log = await openLog(join(dir, 'log'), { clock, existing: true })
  const rows = await readVideos({ ...log, clock }, 1)
  const results: Record<string, string> = {}
  for (const name of (await readdir(join(dir, 'results'))).toSorted()) {
    results[name] = await readFile(join(dir, 'results', name), 'utf8')
  }
  return {
    outputs: await outputsOf({ ...log, clock }),
    videos: [...rows.values()].map((row) => ({ ...row, lastTimestamp: 0, firstLogOffset: 0 })),
    results,
  }
}
