/** Figures as a table of text. */
import { formatBytes } from '../../cli/quantities.ts'
import type { BenchCase } from './bench-case.ts'
import type { Spread, VariantFigures } from './summary.ts'

/** The table of a case, with its headings. */
export function tableOf(benchCase: BenchCase, figures: readonly VariantFigures[]): string {
  const first = benchCase.comparedWith ?? 'copy'
  const isBytes = benchCase.unit === 'bytes'
  const columns: readonly (readonly [string, (of: VariantFigures) => string])[] = [
    ['', ({ variant }) => variant],
    ['runs', ({ runs }) => String(runs)],
    isBytes
      ? ['MB/s', ({ rate }) => spreadText(rate, (n) => (n / 1e6).toFixed(0))]
      : ['k records/s', ({ rate }) => spreadText(rate, (n) => (n / 1e3).toFixed(0))],
    ...(benchCase.compares
      ? [[`of ${first}`, ({ ratio }: VariantFigures) => ratioText(ratio)] as const]
      : []),
    [
      isBytes ? 'CPU s/GiB' : 'CPU s/million',
      ({ cpuSecondsEach }) => spreadText(cpuSecondsEach, (n) => n.toFixed(2)),
    ],
    ...(benchCase.comparedWith === undefined
      ? []
      : [[`CPU of ${first}`, ({ cpuRatio }: VariantFigures) => ratioText(cpuRatio)] as const]),
    ['peak MB', ({ peakBytes }) => spreadText(peakBytes, (n) => (n / 1e6).toFixed(0))],
    ...bytesColumns(figures),
    ...timeColumns(figures),
  ]
  const rows = [
    columns.map(([heading]) => heading),
    ...figures.map((one) => columns.map(([, cell]) => cell(one))),
  ]
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)))
  const absent = figures.flatMap(({ absent: reason }) => (reason === undefined ? [] : [reason]))
  const lines = rows.map((row) =>
    row
      .map((cell, at) => aligned(cell, at, widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [...lines, ...absent].join('\n')
}

function bytesColumns(
  figures: readonly VariantFigures[],
): (readonly [string, (of: VariantFigures) => string])[] {
  const names = new Set(figures.flatMap(({ bytes }) => Object.keys(bytes)))
  return [...names].map(
    (name) =>
      [
        name,
        ({ bytes }: VariantFigures) => (bytes[name] === undefined ? '' : formatBytes(bytes[name])),
      ] as const,
  )
}

function timeColumns(
  figures: readonly VariantFigures[],
): (readonly [string, (of: VariantFigures) => string])[] {
  const names = new Set(figures.flatMap(({ times }) => Object.keys(times)))
  return [...names].map((name) => [
    `${name}, ms`,
    ({ times }) => spreadText(times[name], (n) => n.toFixed(0)),
  ])
}

function spreadText(spread: Spread | undefined, text: (n: number) => string): string {
  if (spread === undefined || Number.isNaN(spread.median)) return '-'
  const { median, least, most } = spread
  return least === most ? text(median) : `${text(median)} (${text(least)}-${text(most)})`
}

function ratioText(ratio: number | undefined): string {
  return ratio === undefined || Number.isNaN(ratio) ? '' : ratio.toFixed(2)
}

function aligned(cell: string, column: number, width: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width)
}
