/** The error for options that cannot be meant. */
import { MillraceError } from '../../../model/errors.ts'

/** Options that make no sense; `why` ends with the remedy, without its full stop. */
export function misconfigured(why: string, cause?: unknown): MillraceError {
  const message = `Kafka cannot be reached like that: ${why}.`
  return new MillraceError('MILLRACE_KAFKA_MISCONFIGURED', message, { cause })
}
