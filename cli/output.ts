/**
 * Everything a command says. Results go to standard output, so that they can be piped; progress and
 * notes go to standard error. With --json standard output carries one JSON object a line, for all
 * three. On a terminal the bars of what is under way stay below the text and are redrawn.
 */
import type { Clock } from '../model/clock.ts'
import { progressReports, type ProgressReports } from './progress-reports.ts'
import type { ProgressUnit } from './progress.ts'
import { visible } from './terminal-text.ts'

/** A value that JSON can carry. */
export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

/** Where a command's words go. */
export interface Output {
  readonly json: boolean
  /** A result: the text for people, or `data` with `event` as its kind. */
  result(event: string, text: string, data: { readonly [name: string]: Json }): void
  /** Something people should know meanwhile, with `data` for programs. Control characters in it are shown, not obeyed. */
  note(text: string, data?: { readonly [name: string]: Json }): void
  /** Begins to show how far something is. `total` is left out where it is not known. */
  progress(
    label: string,
    options: { readonly unit: ProgressUnit; readonly total?: number },
  ): Progress
  /** Waits until standard output took what was written: before a lot more is. */
  drained(): Promise<void>
  /** Ends the bars that are left. */
  close(): void
}

/** A thing under way. */
export interface Progress {
  /** How much is done in all, and a few words on what happens now. */
  update(done: number, note?: string): void
  /** Replaces the total, where it became known late. */
  setTotal(total: number): void
  /** Ends it and leaves one line. */
  end(note?: string): void
}

/** The streams and the clock an output writes with. */
export interface OutputOptions {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly clock: Clock
  readonly json: boolean
}

/** An output on a process's streams: bars where standard error is a terminal, lines otherwise, JSON where asked. */
export function openOutput({ stdout, stderr, clock, json }: OutputOptions): Output {
  const emit = (event: string, data: { readonly [name: string]: Json }): void => {
    stdout.write(`${JSON.stringify({ event, ...data })}\n`)
  }
  const reports: ProgressReports = progressReports({
    stream: stderr,
    clock,
    emit: json ? emit : undefined,
  })
  return {
    json,
    result: (event, text, data) => {
      if (json) emit(event, data)
      else reports.above(() => stdout.write(text.endsWith('\n') ? text : `${text}\n`))
    },
    note: (text, data) => {
      if (json) emit('note', { text, ...data })
      else reports.above(() => stderr.write(`${visible(text)}\n`))
    },
    progress: (label, options) => reports.begin(visible(label), options),
    drained: async () => {
      if (!stdout.writableNeedDrain) return
      await new Promise<void>((resolve) => {
        // A reader that went away never drains: it is told by an error, which start.ts sees too.
        const events = ['drain', 'error', 'close']
        const done = (): void => {
          for (const event of events) stdout.off(event, done)
          resolve()
        }
        for (const event of events) stdout.on(event, done)
      })
    },
    close: () => {
      reports.close()
    },
  }
}
