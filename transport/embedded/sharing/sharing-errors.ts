/** The errors of a log that several processes share, and how errors of the log cross the socket. */
import { isMillraceError, type Remedy } from '../../../model/errors.ts'
import { TransportError, type TransportErrorKind } from '../../errors.ts'

/** What came over the socket cannot be of a millrace of this version. */
export function protocolBroken(what: string): TransportError {
  return new TransportError('MILLRACE_LOG_PROTOCOL', 'fatal', {
    message:
      `The connection to the embedded log was ended: ${what}. All processes that share a log must ` +
      'be of one version of millrace; stop the others, or start this one with theirs.',
  })
}

/** Nobody served the log for too long, or an answer was lost that cannot be asked for again. */
export function logUnreachable(
  folder: string,
  { waitedMs, holderPid }: { readonly waitedMs: number; readonly holderPid: number | undefined },
): TransportError {
  const holder =
    holderPid === undefined ? '' : ` The process that last held it has the pid ${holderPid}.`
  const what =
    waitedMs > 0
      ? `No process has served the embedded log in ${folder} for ${waitedMs} ms`
      : `The process that served the embedded log in ${folder} went away before it answered`
  return new TransportError('MILLRACE_LOG_UNREACHABLE', 'retriable', {
    message: `${what}.${holder} Nothing that was acknowledged is lost: try again, and see whether a process hangs or is stopped.`,
    place: folder,
  })
}

/** The holder acknowledges before the disk has it, and this process asked for more. */
export function heldWithoutSync(folder: string, holderPid: number): TransportError {
  return new TransportError('MILLRACE_LOG_IN_USE', 'fatal', {
    message:
      `The embedded log in ${folder} is held with durability 'process' by the process with pid ` +
      `${holderPid}, and this one asks for 'fsync'. Open it with the same durability in all processes.`,
    place: folder,
  })
}

/** The connection broke: the next holder is asked the same. Never shown outside this folder. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

/** An error as it crosses the socket. */
interface ErrorWords {
  readonly code?: string
  readonly kind?: TransportErrorKind
  readonly message: string
  readonly place?: string | undefined
  readonly remedy?: Remedy
}

/** What tells another process of an error. */
export function errorWords(error: unknown): ErrorWords {
  if (!isMillraceError(error)) {
    return { message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
  const kind = error instanceof TransportError ? error.kind : 'fatal'
  const { code, message, place, remedy } = error
  return { code, kind, message, place, remedy }
}

/** The error that another process told of. A mistake in the program stays one. */
export function errorFrom(words: unknown): Error {
  const { code, kind = 'fatal', message, place, remedy } = words as ErrorWords
  if (!isCode(code)) return new Error(message)
  const details = { message, ...(place !== undefined && { place }) }
  return new TransportError(code, kind, { ...details, ...(remedy !== undefined && { remedy }) })
}

function isCode(code: string | undefined): code is `MILLRACE_${string}` {
  return code?.startsWith('MILLRACE_') === true
}
