/** What a disk and LevelDB can answer, as errors that say what to do next. */
import { asError, isMillraceError, MillraceError } from '../model/errors.ts'

/** The system's or LevelDB's own code of an error, looked for along its causes: `ENOSPC`, `LEVEL_LOCKED`. */
export function causeCode(error: unknown): string | undefined {
  let found: string | undefined
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') found = at.code
  }
  return found
}

/** Whether LevelDB says that its files are damaged, or a file beside it is. */
export function isCorruption(error: unknown): boolean {
  return causeCode(error) === 'LEVEL_CORRUPTION' || isMillraceError(error, 'MILLRACE_STATE_CORRUPT')
}

/** `error`, met at `place` (a file or folder), as an error of millrace. */
export function stateError(error: unknown, place: string): MillraceError {
  if (error instanceof MillraceError) return error
  const cause = asError(error)
  const code = causeCode(error)
  if (code === 'LEVEL_LOCKED') return stateInUse(place, undefined, cause)
  if (isFull(cause, code)) {
    return new MillraceError(
      'MILLRACE_STATE_FULL',
      `no room to write state to ${place} (${rootMessage(cause)}). Nothing committed is lost. ` +
        'Free space on that disk, or raise the file-size limit (ulimit -f), and start again.',
      { place, cause },
    )
  }
  if (isCorruption(error)) return stateCorrupt(place, rootMessage(cause), cause)
  return new MillraceError(
    'MILLRACE_STATE_UNWRITABLE',
    `cannot keep state in ${place} (${rootMessage(cause)}). ` +
      'Choose a folder that this user can create and write to as the state folder.',
    { place, cause },
  )
}

/** The error of damaged state: `what` is wrong with `place`. */
export function stateCorrupt(place: string, what: string, cause?: Error): MillraceError {
  return new MillraceError(
    'MILLRACE_STATE_CORRUPT',
    `the state in ${place} is damaged (${what}). Start again: the damaged folder is then moved ` +
      'aside and the state restored from the changelogs. Check the disk.',
    cause === undefined ? { place } : { place, cause },
  )
}

/** The error of a second process on the same folder; `holder` names it where it is known. */
export function stateInUse(
  place: string,
  holder: string | undefined,
  cause?: Error,
): MillraceError {
  return new MillraceError(
    'MILLRACE_STATE_IN_USE',
    `the state in ${place} is in use by ${holder ?? 'another process'}. ` +
      'Stop that process, or give this one another partition or another state folder.',
    cause === undefined ? { place } : { place, cause },
  )
}

// LevelDB passes on what strerror says, in the C locale, and no code.
const FULL = /no space left on device|file too large|disk quota exceeded/i

function isFull(cause: Error, code: string | undefined): boolean {
  return code === 'ENOSPC' || code === 'EFBIG' || code === 'EDQUOT' || FULL.test(rootMessage(cause))
}

function rootMessage(error: Error): string {
  return error.cause instanceof Error ? rootMessage(error.cause) : error.message
}
