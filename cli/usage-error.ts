/** A command line that cannot be understood. */
import { MillraceError } from '../model/errors.ts'

/** The error of a wrong command line (MILLRACE_USAGE). What reports it adds the way to --help. */
export function usageError(message: string): MillraceError {
  return new MillraceError('MILLRACE_USAGE', message)
}
