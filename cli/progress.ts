/**
 * How far something is, as text: one bar for a terminal, one sentence for a log. Where the whole is
 * not known there is no bar to draw and no time left to tell.
 */
import { formatBytes, formatDuration } from './quantities.ts'
import { cut, fit } from './terminal-text.ts'

/** What is counted. */
export type ProgressUnit = 'bytes' | 'records' | 'chunks' | 'shots'

/** A thing under way. */
export interface ProgressState {
  readonly label: string
  readonly unit: ProgressUnit
  readonly done: number
  /** Undefined where it is not known. */
  readonly total: number | undefined
  readonly elapsedMs: number
  /** A few words on what happens now. */
  readonly note: string
}

const LABEL_CELLS = 24
const MOST_BAR_CELLS = 30
/** A rate of the first moments says nothing. */
const RATE_AFTER_MS = 500

/** One line of at most `cells` cells: label, bar, figures, note. What does not fit is left out from the right. */
export function progressBar(state: ProgressState, cells: number): string {
  const labelCells = Math.min(LABEL_CELLS, Math.floor(cells / 3))
  const label = fit(state.label, labelCells)
  const figures = figuresOf(state)
  const room = cells - labelCells - figures.length - 2
  const share = shareOf(state)
  if (share === undefined || room < 6) return cut(`${label} ${figures}${noteOf(state)}`, cells)
  const barCells = Math.min(MOST_BAR_CELLS, room)
  const full = Math.round(share * barCells)
  const bar = '█'.repeat(full) + '░'.repeat(barCells - full)
  return cut(`${label} ${bar} ${figures}${noteOf(state)}`, cells)
}

/** One sentence: `clip.mp4: 25.0 MiB of 40.2 MiB (62 %), 81.0 MiB/s`. */
export function progressLine(state: ProgressState): string {
  return `${state.label}: ${figuresOf(state)}${noteOf(state)}`
}

function figuresOf(state: ProgressState): string {
  const { unit, done, total } = state
  const share = shareOf(state)
  if (total === undefined || share === undefined) return shown(done, unit) + pace(state)
  const amount = unit === 'bytes' ? `${formatBytes(done)} of ` : `${done} of `
  return `${amount}${shown(total, unit)} (${Math.floor(share * 100)} %)${pace(state)}`
}

function pace({ unit, done, total, elapsedMs }: ProgressState): string {
  if (elapsedMs < RATE_AFTER_MS || done === 0) return ''
  const perSecond = (done * 1000) / elapsedMs
  const rate =
    unit === 'bytes' ? `${formatBytes(Math.round(perSecond))}/s` : `${perSecond.toFixed(1)}/s`
  const leftMs =
    total === undefined || total <= done ? undefined : ((total - done) / perSecond) * 1000
  return leftMs === undefined ? `, ${rate}` : `, ${rate}, ${formatDuration(leftMs)} left`
}

function shareOf({ done, total }: ProgressState): number | undefined {
  return total === undefined || total <= 0 ? undefined : Math.min(1, done / total)
}

function shown(amount: number, unit: ProgressUnit): string {
  return unit === 'bytes' ? formatBytes(amount) : `${amount} ${unit}`
}

function noteOf({ note }: ProgressState): string {
  return note === '' ? '' : `, ${note}`
}
