/** What goes wrong in a log, sorted by what a caller can do about it. */
import { MillraceError, type ErrorDetails, type Remedy } from '../model/errors.ts'

/**
 * - retriable: nothing is known to have happened; the same call may succeed (for commit: outcome unknown)
 * - abortable: the transaction cannot commit; abort it and go on with the same producer
 * - fenced: another producer of the same transactional id took over; this one is done
 * - fatal: no later call can succeed
 */
export type TransportErrorKind = 'retriable' | 'abortable' | 'fenced' | 'fatal'

const REMEDIES: Readonly<Record<TransportErrorKind, Remedy>> = {
  retriable: 'retry',
  abortable: 'rewind',
  fenced: 'stop',
  fatal: 'stop',
}

/** An error of the log port. */
export class TransportError extends MillraceError {
  override readonly name = 'TransportError'
  readonly kind: TransportErrorKind
  /**
   * Whether the log does not know who this is, or does not let him. No later call can succeed until
   * people have changed that: who begins is not set up yet, and who had access may get it back.
   */
  readonly isAccess: boolean

  constructor(
    code: `MILLRACE_${string}`,
    kind: TransportErrorKind,
    details: ErrorDetails & { readonly message: string; readonly isAccess?: boolean },
  ) {
    super(code, details.message, { remedy: REMEDIES[kind], ...details })
    this.kind = kind
    this.isAccess = details.isAccess ?? false
  }
}
