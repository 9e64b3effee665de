/**
 * A life that is stopped at each of its awaits in turn: in a world without any other fault the first
 * process is killed before its n-th touch, for every n there is. What the random worlds find by luck,
 * this finds by counting, as far as one stop is enough.
 */
import type { Scenario } from './scenario.ts'
import type { Mode } from './shape.ts'
import { runSeed, type RunReport } from './world.ts'

/** Which lives are stopped. */
export interface EveryAwait {
  readonly scenario: Scenario
  readonly mode: Mode
  readonly seed: number
  /** The first touch; then every `step`th. */
  readonly from: number
  readonly step: number
}

/** The first run that does not hold; undefined where all do. `onRun` is told of each that does. */
export async function stopAtEveryAwait(
  { scenario, mode, seed, from, step }: EveryAwait,
  onRun: (touch: number) => void = () => {},
): Promise<{ readonly touch: number; readonly report: RunReport } | undefined> {
  for (let touch = from; ; touch += step) {
    const firstStop = { how: 'kill', afterTouches: touch, afterMs: OVER_MS, frozenMs: 0 } as const
    const report = await runSeed(seed, { scenarios: [scenario], mode, only: [], firstStop })
    if (report.problems.length > 0) return { touch, report }
    if (report.firstTouches < touch) return undefined
    onRun(touch)
  }
}

/** By then the input is done with: whoever was not stopped before has no await left that differs from the last ones. */
const OVER_MS = 2_500
