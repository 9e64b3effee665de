/**
 * What every operating error of millrace is. A mistake in the program itself (a broken invariant) is
 * an assertion, not one of these.
 */

/** What the runtime does about an error: try the same again, leave the record out, undo the unit and go on, or stop the app. */
export type Remedy = 'retry' | 'skip' | 'rewind' | 'stop'

/** What an operating error carries besides its message. */
export interface ErrorDetails {
  /** Where it happened: `topic[partition]@offset`, a processor, a store, a file. */
  readonly place?: string
  /** What the runtime does about it. Default: stop. */
  readonly remedy?: Remedy
  readonly cause?: unknown
}

/**
 * The base of all operating errors. `code` is public and stable, and has a heading in
 * docs/errors.md; the message says what happened, where, and what to do next, and may change.
 */
export class MillraceError extends Error {
  override readonly name: string = 'MillraceError'
  /** Stable and public: `MILLRACE_…`. */
  readonly code: string
  readonly place: string | undefined
  readonly remedy: Remedy

  constructor(code: `MILLRACE_${string}`, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.place = details.place
    this.remedy = details.remedy ?? 'stop'
  }
}

/** Whether `error` is an operating error of millrace, with `code` where one is given. */
export function isMillraceError(error: unknown, code?: string): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code)
}

/** `error` as an Error: what user code or a library throws may be anything. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
