/** A report of chaos in words. */
import type { Fault, Violation } from './compare.ts'
import type { ChaosReport } from './run.ts'

const FAULTS: readonly Fault[] = ['lost', 'doubled', 'out of order', 'unexpected']

/** Places that are described at most. */
const PLACES = 40

/** What was done, and what was found. */
export function describeReport(report: ChaosReport): string {
  const { violations, problems, cycles, kills, counts, working, fed, records, folder } = report
  const done = [...counts].map(([kind, count]) => `${count} × ${kind}`).join(', ')
  const found = FAULTS.map((fault) => {
    const of = violations.filter((each) => each.fault === fault)
    return `${of.reduce((sum, { count }) => sum + count, 0)} ${fault}`
  })
  const isClean = violations.length === 0 && problems.length === 0
  return [
    `${cycles} cycles, ${kills} of them kill -9: ${done}`,
    `${working} processes came to have tasks`,
    `${fed.numbers} numbers, ${fed.pairs} pairs and ${fed.chunks} chunks fed; ${records} records compared`,
    `${found.join(', ')}; ${problems.length} other problems`,
    ...violations.slice(0, PLACES).map(describeViolation),
    ...(violations.length > PLACES ? [`and ${violations.length - PLACES} more places`] : []),
    ...problems,
    ...(isClean ? [] : [`what the processes said, and the log: ${folder}`]),
  ].join('\n')
}

function describeViolation({ place, fault, count, examples }: Violation): string {
  return `${place}: ${count} ${fault}: ${examples.join('; ')}`
}
