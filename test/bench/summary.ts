/** From readings to figures: medians and ranges, rates, and ratios to what a case compares with. */
import type { BenchCase } from './bench-case.ts'
import type { Readings } from './rounds.ts'

/** A median, and the smallest and largest reading. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** The figures of one variant. */
export interface VariantFigures {
  readonly variant: string
  /** Why there are no figures. */
  readonly absent: string | undefined
  readonly runs: number
  /** Bytes, or records, a second. */
  readonly rate: Spread
  /** The rate as a part of the first variant's, by medians; undefined where the case compares nothing. */
  readonly ratio: number | undefined
  /** The same of the processor time for each unit of work. */
  readonly cpuRatio: number | undefined
  /** Seconds of processor time for a GiB, or a million records; undefined where another process did the work. */
  readonly cpuSecondsEach: Spread | undefined
  readonly peakBytes: Spread | undefined
  /** Further figures, medians, in bytes. */
  readonly bytes: Readonly<Record<string, number>>
  /** Further figures, in milliseconds. */
  readonly times: Readonly<Record<string, Spread>>
}

/** How many bytes or records `cpuSecondsEach` is for. */
export const EACH = { bytes: 2 ** 30, records: 1e6 } as const

/** The figures of a case. */
export function summarize(benchCase: BenchCase, readings: Readings): readonly VariantFigures[] {
  const figures = benchCase.variants.map(({ name }): VariantFigures => {
    const all = readings.get(name) ?? []
    const runs = all.filter(({ absent }) => absent === undefined)
    const each = EACH[benchCase.unit]
    const isOwn = runs.length > 0 && runs.every(({ elsewhere }) => elsewhere !== true)
    const names = Object.keys(runs[0]?.bytes ?? {})
    const timeNames = Object.keys(runs[0]?.times ?? {})
    return {
      variant: name,
      absent: runs.length === 0 ? all[0]?.absent : undefined,
      runs: runs.length,
      rate: spread(runs.map(({ amount, seconds }) => amount / seconds)),
      ratio: undefined,
      cpuRatio: undefined,
      cpuSecondsEach: isOwn
        ? spread(runs.map(({ amount, cpuSeconds }) => (cpuSeconds / amount) * each))
        : undefined,
      peakBytes: isOwn ? spread(runs.map(({ peakBytes }) => peakBytes)) : undefined,
      bytes: Object.fromEntries(
        names.map((of) => [of, spread(runs.map(({ bytes }) => bytes?.[of] ?? 0)).median]),
      ),
      times: Object.fromEntries(
        timeNames.map((of) => [of, spread(runs.map(({ times }) => times?.[of] ?? NaN))]),
      ),
    }
  })
  const [first] = figures
  if (!benchCase.compares || first === undefined) return figures
  return figures.map((one) => ({
    ...one,
    ratio: one.rate.median / first.rate.median,
    cpuRatio: cpuRatio(one, first),
  }))
}

function cpuRatio(one: VariantFigures, first: VariantFigures): number | undefined {
  if (one.cpuSecondsEach === undefined || first.cpuSecondsEach === undefined) return undefined
  return one.cpuSecondsEach.median / first.cpuSecondsEach.median
}

/** Of an odd number the one in the middle, of an even one the mean of the two. */
export function spread(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const low = sorted[Math.floor(middle)] ?? NaN
  const high = sorted[Math.ceil(middle)] ?? NaN
  return { median: (low + high) / 2, least: sorted[0] ?? NaN, most: sorted.at(-1) ?? NaN }
}
