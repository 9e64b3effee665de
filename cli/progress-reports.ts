/**
 * The bars on a terminal, or the lines of a log, of everything that is under way at once. A terminal
 * is redrawn at most every REDRAW_MS and only after a change, by moving the cursor up over the block
 * and writing it again; a log gets a line every REPORT_MS, so that a long run stays readable.
 */
import type { Clock, Timer } from '../model/clock.ts'
import type { Progress } from './output.ts'
import { progressBar, progressLine, type ProgressState, type ProgressUnit } from './progress.ts'

const REDRAW_MS = 80
const REPORT_MS = 5000
const NARROWEST_CELLS = 20
const USUAL_CELLS = 80

/** The things under way. */
export interface ProgressReports {
  begin(label: string, options: { readonly unit: ProgressUnit; readonly total?: number }): Progress
  /** Runs `write` with the bars out of the way. */
  above(write: () => void): void
  close(): void
}

/** How reports are made. */
export interface ProgressReportsOptions {
  /** Standard error. */
  readonly stream: NodeJS.WriteStream
  readonly clock: Clock
  /** Takes the reports as data instead. */
  readonly emit:
    ((event: string, data: Readonly<Record<string, string | number>>) => void) | undefined
}

/** Reports as data, as bars where `stream` is a terminal that can move its cursor, or as lines. */
export function progressReports({ stream, clock, emit }: ProgressReportsOptions): ProgressReports {
  if (emit !== undefined) return timedReports(clock, (state) => emit('progress', dataOf(state)))
  if (stream.isTTY && process.env['TERM'] !== 'dumb') return new Bars(stream, clock)
  return timedReports(clock, (state) => stream.write(`${progressLine(state)}\n`))
}

type Mutable = { -readonly [Name in keyof ProgressState]: ProgressState[Name] }

function startState(
  label: string,
  { unit, total }: { unit: ProgressUnit; total?: number },
): Mutable {
  return { label, unit, done: 0, total, elapsedMs: 0, note: '' }
}

function dataOf({
  label,
  unit,
  done,
  total,
  elapsedMs,
  note,
}: ProgressState): Record<string, string | number> {
  const whole = total === undefined ? {} : { total }
  return {
    label,
    unit,
    done,
    ...whole,
    elapsedMs: Math.round(elapsedMs),
    ...(note === '' ? {} : { note }),
  }
}

function timedReports(clock: Clock, report: (state: ProgressState) => unknown): ProgressReports {
  return {
    begin: (label, options) => {
      const state = startState(label, options)
      const startedMs = clock.monotonic()
      let lastMs = startedMs
      const update = (done: number, note: string | undefined, now: boolean): void => {
        Object.assign(state, {
          done,
          elapsedMs: clock.monotonic() - startedMs,
          note: note ?? state.note,
        })
        if (!now && clock.monotonic() - lastMs < REPORT_MS) return
        lastMs = clock.monotonic()
        report(state)
      }
      return {
        update: (done, note) => update(done, note, false),
        setTotal: (total) => {
          state.total = total
        },
        end: (note) => update(state.done, note ?? '', true),
      }
    },
    above: (write) => write(),
    close: () => undefined,
  }
}

/** The bars of a terminal. */
class Bars implements ProgressReports {
  readonly #stream: NodeJS.WriteStream
  readonly #clock: Clock
  readonly #running = new Set<Mutable>()
  #drawnLines = 0
  #redraw: Timer | undefined

  constructor(stream: NodeJS.WriteStream, clock: Clock) {
    this.#stream = stream
    this.#clock = clock
  }

  begin(
    label: string,
    options: { readonly unit: ProgressUnit; readonly total?: number },
  ): Progress {
    const state = startState(label, options)
    const startedMs = this.#clock.monotonic()
    this.#running.add(state)
    this.#changed()
    return {
      update: (done, note) => {
        Object.assign(state, {
          done,
          elapsedMs: this.#clock.monotonic() - startedMs,
          note: note ?? state.note,
        })
        this.#changed()
      },
      setTotal: (total) => {
        state.total = total
        this.#changed()
      },
      end: (note) => {
        if (!this.#running.delete(state)) return
        Object.assign(state, { elapsedMs: this.#clock.monotonic() - startedMs, note: note ?? '' })
        this.above(() => this.#stream.write(`${progressLine(state)}\n`))
      },
    }
  }

  above(write: () => void): void {
    this.#erase()
    write()
    this.#draw()
  }

  close(): void {
    this.#redraw?.cancel()
    this.#redraw = undefined
    this.#erase()
    this.#running.clear()
  }

  #changed(): void {
    this.#redraw ??= this.#clock.timer(REDRAW_MS, () => {
      this.#redraw = undefined
      this.#erase()
      this.#draw()
    })
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#stream.write(`\u001b[${this.#drawnLines}A\u001b[J`)
    this.#drawnLines = 0
  }

  #draw(): void {
    // One cell stays free: a full last cell makes some terminals break the line.
    const cells = Math.max(NARROWEST_CELLS, this.#stream.columns || USUAL_CELLS) - 1
    const lines = [...this.#running].map((state) => `${progressBar(state, cells)}\n`)
    if (lines.length > 0) this.#stream.write(lines.join(''))
    this.#drawnLines = lines.length
  }
}
