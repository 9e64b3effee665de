/**
 * The rounds of one case: all variants in turn, again and again, each run in an empty folder. Each round
 * is begun by the next of them, for whoever is first meets a broker that is still cold, and everybody
 * meets what the one before has left to be written and deleted.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchCase, BenchSettings } from './bench-case.ts'
import { runChild } from './child-process.ts'
import type { Measured } from './measure.ts'

/** What bounds the rounds. */
export interface RoundLimits {
  readonly repeat: number
  /** No round begins that would, by the longest one so far, end after this moment of `performance.now()`. The first always runs. */
  readonly endMs: number
  readonly childDeadlineMs: number
  readonly profileFolder?: string | undefined
  readonly onRun: (variant: string, round: number) => void
}

/** The readings of each variant, in the order of the rounds. */
export type Readings = ReadonlyMap<string, readonly Measured[]>

/** Runs a case. Rejects with the first run that fails. */
export async function runRounds(
  benchCase: BenchCase,
  settings: BenchSettings,
  limits: RoundLimits,
): Promise<Readings> {
  const readings = new Map<string, Measured[]>(benchCase.variants.map(({ name }) => [name, []]))
  let longestMs = 0
  for (let round = 1; round <= limits.repeat; round += 1) {
    const startMs = performance.now()
    if (round > 1 && startMs + longestMs > limits.endMs) break
    for (const { name } of turned(benchCase.variants, round - 1)) {
      limits.onRun(name, round)
      readings.get(name)?.push(await runVariant(benchCase, name, { settings, limits }))
    }
    longestMs = Math.max(longestMs, performance.now() - startMs)
  }
  return readings
}

function turned<T>(all: readonly T[], by: number): readonly T[] {
  const first = by % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}

async function runVariant(
  { name: benchCase, variants }: BenchCase,
  variant: string,
  { settings, limits }: { readonly settings: BenchSettings; readonly limits: RoundLimits },
): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  const { childDeadlineMs: deadlineMs, profileFolder } = limits
  try {
    const task = { benchCase, variant, place: { ...settings, folder } }
    const prepares = variants.some((one) => one.name === variant && one.prepare !== undefined)
    if (prepares) await runChild({ ...task, half: 'prepare' }, { deadlineMs })
    const answer = await runChild({ ...task, half: 'run' }, { deadlineMs, profileFolder })
    if (answer.measured === undefined)
      throw new Error(`${variant} of ${benchCase} measured nothing`)
    return answer.measured
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
