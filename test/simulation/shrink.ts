/**
 * Makes a failing seed readable: of all faults that happened in its run, a few that are enough to
 * make it fail. Source of the algorithm: Zeller and Hildebrandt, Simplifying and Isolating
 * Failure-Inducing Input (2002), ddmin. It works because every fault is a decision of its own
 * (test/simulation/fates.ts): a run without some of them is a run of the same world.
 *
 * Any problem counts as the same failure: a smaller list that fails otherwise is as welcome.
 */
import type { Fault } from './fates.ts'
import { runSeed, type RunOptions, type RunReport } from './world.ts'

/** A failing seed with few faults. */
export interface Shrunk {
  readonly report: RunReport
  /** Enough to fail, and no single one can be left out, unless the tries were used up. */
  readonly faults: readonly Fault[]
  readonly tries: number
}

/** Most runs that one shrinking takes. */
const TRIES_LIMIT = 300

/** Shrinks a failing run. */
export async function shrink(failing: RunReport, options: RunOptions = {}): Promise<Shrunk> {
  let report = failing
  let tries = 0
  const fails = async (faults: readonly Fault[]): Promise<boolean> => {
    tries += 1
    const run = await runSeed(failing.seed, { ...options, only: faults.map(({ name }) => name) })
    if (run.problems.length === 0) return false
    report = run
    return true
  }
  // What never happened in the smaller run is left out for nothing.
  const there = (): readonly Fault[] => report.faults
  let parts = 2
  if (await fails([])) return { report, faults: there(), tries }
  while (there().length >= 2 && tries < TRIES_LIMIT) {
    const pieces = split(there(), parts)
    const smaller = await firstFailing(pieces, { fails, all: there() })
    if (smaller !== undefined) parts = Math.max(2, smaller === 'piece' ? 2 : parts - 1)
    else if (parts >= there().length) break
    else parts = Math.min(there().length, parts * 2)
  }
  return { report, faults: there(), tries }
}

/** A shrunk run as a person reads it, with the call that repeats it. */
export function describeShrunk({ report, faults, tries }: Shrunk, guarantee: string): string {
  const names = JSON.stringify(faults.map(({ name }) => name))
  return [
    `seed ${report.seed} under ${guarantee}: ${faults.length} faults are enough (${tries} runs)`,
    ...faults.map(({ name, what }) => `  ${name}: ${what}`),
    ...report.problems.map((problem) => `  → ${problem}`),
    `runSeed(${report.seed}, { guarantee: '${guarantee}', only: ${names} })`,
  ].join('\n')
}

async function firstFailing(
  pieces: readonly (readonly Fault[])[],
  { fails, all }: { fails: (faults: readonly Fault[]) => Promise<boolean>; all: readonly Fault[] },
): Promise<'piece' | 'rest' | undefined> {
  for (const piece of pieces) if (await fails(piece)) return 'piece'
  if (pieces.length === 2) return undefined
  for (const piece of pieces) {
    const rest = all.filter((fault) => !piece.includes(fault))
    if (await fails(rest)) return 'rest'
  }
  return undefined
}

function split(faults: readonly Fault[], parts: number): readonly (readonly Fault[])[] {
  const size = Math.ceil(faults.length / parts)
  const pieces: (readonly Fault[])[] = []
  for (let at = 0; at < faults.length; at += size) pieces.push(faults.slice(at, at + size))
  return pieces
}
