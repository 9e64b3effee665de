/** How a command fails: one sentence with the next step and a code to look up; the stack only where it is asked for. */
import { inspect } from 'node:util'
import { asError, isMillraceError, MillraceError } from '../model/errors.ts'
import { remedyOf } from './remedies.ts'
import { visible } from './terminal-text.ts'

/** How a failure is shown. */
export interface FailureStyle {
  readonly json: boolean
  /** With the stack and the causes. */
  readonly debug: boolean
  /** The command that failed, for the way to its help; undefined where there is none. */
  readonly command: string | undefined
}

/** What went wrong, as an operating error where it is one: a refusal of the system gets a code, and of two failures at once the first counts. */
export function rootFailure(thrown: unknown): Error {
  const error = asError(thrown)
  // `await using` wraps what failed in the body when closing fails too.
  if (error instanceof SuppressedError) return rootFailure(error.suppressed)
  if (error instanceof AggregateError && error.errors.length > 0)
    return rootFailure(error.errors[0])
  if (isMillraceError(error) || !('syscall' in error)) return error
  const message = `the system refused: ${error.message}; check that path, its permissions and the space on its disk`
  return new MillraceError('MILLRACE_SYSTEM', message, { cause: error })
}

/** The text that tells people, or a program with --json, about an error. */
export function describeFailure(error: Error, { json, debug, command }: FailureStyle): string {
  const code = isMillraceError(error) ? error.code : 'MILLRACE_UNEXPECTED'
  const place = isMillraceError(error) ? error.place : undefined
  if (json) {
    const message = isMillraceError(error) ? sentencesOf(error, command) : error.message
    const more = {
      ...(place === undefined ? {} : { place }),
      ...(debug ? { stack: inspect(error) } : {}),
    }
    return `${JSON.stringify({ event: 'error', code, message, ...more })}\n`
  }
  const lines = sentencesOf(error, command).split('\n').map(visible)
  lines[0] = `millrace: ${lines[0] ?? ''}`
  lines[lines.length - 1] += ` [${code}]`
  if (code === 'MILLRACE_USAGE') {
    lines.push(
      `See: ${['millrace', command, '--help'].filter((word) => word !== undefined).join(' ')}`,
    )
  }
  if (debug) lines.push(inspect(error))
  return `${lines.join('\n')}\n`
}

function sentencesOf(error: Error, command: string | undefined): string {
  if (isMillraceError(error)) {
    const remedy = remedyOf(error, command)
    if (remedy === undefined) return error.message
    // Several sentences stand one a line already.
    return `${error.message}${error.message.includes('\n') ? '\n' : ' '}${remedy}`
  }
  return `unexpected error: ${error.message || error.name}. This is a mistake in millrace; --debug shows where`
}
