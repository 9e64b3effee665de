/**
 * Where the processor's time of measured processes went. With `--profile DIR` each variant has a folder
 * in DIR with a .cpuprofile of every process that it starts: of the main thread, which is where the
 * loop runs. `(garbage collector)` is the part of the collector that stops it, `(program)` what V8 does
 * not see into: system calls and native code.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Tells a process that others are to be profiled which it starts: the folder. */
export const PROFILE_VARIABLE = 'MILLRACE_BENCH_PROFILE'

/** What Node is started with for a profile in the folder of the environment; nothing where there is none. */
export function profileFlags(folder = process.env[PROFILE_VARIABLE]): readonly string[] {
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]
}

/** The folder of a variant. */
export function profilePath(folder: string, benchCase: string, variant: string): string {
  return join(folder, `${benchCase} ${variant}`.replaceAll(/[^a-z0-9]+/gi, '-'))
}

/** Makes it, and makes it empty. */
export function emptyFolder(path: string): string {
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { recursive: true })
  return path
}

/** A .cpuprofile, as far as it is read: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  /** Node by node, what ran at each sample. */
  readonly samples: readonly number[]
  /** Microseconds from the sample before. */
  readonly timeDeltas: readonly number[]
}

/** The time that a process spent, and the functions it was in. */
export interface SelfTimes {
  readonly busySeconds: number
  /** The most first; `part` of the busy time. */
  readonly functions: readonly { readonly name: string; readonly part: number }[]
}

const ROWS = 14

/** Functions by their own time, those they call not counted; of the busiest process in a variant's folder. */
export function busiestOf(folder: string): SelfTimes | undefined {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.cpuprofile'))
    .map((file) => selfTimes(JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile))
    .toSorted((a, b) => b.busySeconds - a.busySeconds)[0]
}

/** Functions by their own time. */
export function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): SelfTimes {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const micros = new Map<string, number>()
  let busy = 0
  for (const [at, id] of samples.entries()) {
    const name = names.get(id) ?? ''
    const delta = timeDeltas[at] ?? 0
    if (name === '(idle)') continue
    busy += delta
    micros.set(name, (micros.get(name) ?? 0) + delta)
  }
  const functions = [...micros]
    .map(([name, own]) => ({ name, part: own / busy }))
    .toSorted((a, b) => b.part - a.part)
  return { busySeconds: busy / 1e6, functions }
}

function nameOf({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string {
  const place = basename(url)
  return place === '' ? functionName : `${functionName || 'anonymous'} (${place})`
}

/** The table of a variant. */
export function profileText(variant: string, times: SelfTimes): string {
  const rows = times.functions.slice(0, ROWS).map(({ name, part }) => {
    return `${(100 * part).toFixed(1).padStart(6)} %  ${name}`
  })
  return [`${variant}: main thread busy ${times.busySeconds.toFixed(1)} s`, ...rows].join('\n')
}
