/** Runs seeds one after the other until one fails or all are done. */
import { runSeed, type RunOptions, type RunReport } from './world.ts'

/** Which seeds are run. */
export interface Seeds {
  readonly from: number
  readonly count: number
  /** Of several workers each takes every `step`th. Default 1. */
  readonly step?: number
}

/** The first failing run; undefined where all seeds hold. `onRun` is told of each that holds. */
export async function hunt(
  { from, count, step = 1 }: Seeds,
  options: RunOptions = {},
  onRun: (report: RunReport) => void = () => {},
): Promise<RunReport | undefined> {
  for (let seed = from; seed < from + count; seed += step) {
    const report = await runSeed(seed, options)
    if (report.problems.length > 0) return report
    onRun(report)
  }
  return undefined
}
