/**
 * What the outputs have to be, worked out from the inputs with plain maps. Of one partition, because
 * a task sees one; what passes the repartition topic alone is worked out from all.
 */
import { keyOfNumber, otherKeyOf, amountOf, PAIR_MS, WINDOW_MS } from './shape.ts'

/** A number as it came in. */
export interface NumberRecord {
  readonly n: number
  readonly timestamp: number
}

/** One side's record of the join. */
export interface SideRecord {
  readonly key: string
  readonly value: string
  readonly timestamp: number
}

/** What each step makes of the numbers of one partition: `key=value`, in order. */
export interface ExpectedNumbers {
  readonly echo: readonly string[]
  readonly counted: readonly string[]
  readonly minima: readonly string[]
  readonly sums: readonly string[]
  readonly windowed: readonly string[]
}

/** Runs the numbers of one partition through all aggregates. */
export function expectNumbers(records: readonly NumberRecord[]): ExpectedNumbers {
  const [counts, least, sums, windows] = [running(), running(), running(), running()]
  const steps = records.map(({ n, timestamp }) => {
    const key = keyOfNumber(n)
    const start = timestamp - (timestamp % WINDOW_MS)
    const plus = (by: number) => (old: number | undefined) => (old ?? 0) + by
    return {
      echo: describeEcho(n, timestamp),
      counted: `${key}=${counts(key, plus(1))}`,
      minima: `${key}=${least(key, (old) => Math.min(old ?? Infinity, amountOf(n)))}`,
      sums: `${key}=${sums(key, plus(amountOf(n)))}`,
      windowed: `${key}@${start}=${windows(`${key}@${start}`, plus(1))}`,
    }
  })
  return {
    echo: steps.map(({ echo }) => echo),
    counted: steps.map(({ counted }) => counted),
    minima: steps.map(({ minima }) => minima),
    sums: steps.map(({ sums: sum }) => sum),
    windowed: steps.map(({ windowed }) => windowed),
  }
}

/** An echo keeps key, value and time. */
export function describeEcho(n: number, timestamp: number): string {
  return `${keyOfNumber(n)}=${n} at ${timestamp}`
}

/** Which number is counted under which key, for each partition it came from: there its order is kept. */
export function expectRecounts(
  partitions: readonly (readonly NumberRecord[])[],
): readonly (readonly [group: string, text: string])[] {
  return partitions.flatMap((records, partition) =>
    records.map(({ n }) => [describeOrigin(n, partition), String(n)] as const),
  )
}

/** A group of recounts: their key and the partition they came from. */
export function describeOrigin(n: number, partition: number): string {
  return `${otherKeyOf(n)} from ${partition}`
}

/** Every pair of one partition, as the left record's group and by the right one's order. */
export function expectPairs(
  left: readonly SideRecord[],
  right: readonly SideRecord[],
): readonly (readonly [group: string, text: string])[] {
  const byKey = Map.groupBy(right, ({ key }) => key)
  return left.flatMap(({ key, value, timestamp }) =>
    (byKey.get(key) ?? [])
      .filter((other) => Math.abs(other.timestamp - timestamp) <= PAIR_MS)
      .map((other) => [value, `${key}=${value}+${other.value}`] as const),
  )
}

/** A value for each key that changes with each record. */
function running(): (key: string, change: (old: number | undefined) => number) => number {
  const values = new Map<string, number>()
  return (key, change) => {
    const value = change(values.get(key))
    values.set(key, value)
    return value
  }
}
