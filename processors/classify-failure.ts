/** What a failure of an enricher means where its author does not say. */
import { isMillraceError } from '../model/errors.ts'
import { TransportError } from '../transport/errors.ts'
import type { ClassifyFailure, FailureClass } from './enricher.ts'

/** What millrace met itself (bytes that are gone or cannot be read, a log that does not answer) it sorts itself. Else the author's word first; then that of an error that carries a remedy; anything else may go better the next time. */
export function classifyFailure(error: Error, classify: ClassifyFailure | undefined): FailureClass {
  if (isMillraceError(error, 'MILLRACE_REFERENCE_GONE')) return 'reject'
  if (isMillraceError(error, 'MILLRACE_DESERIALIZATION')) return 'reject'
  if (isMillraceError(error, 'MILLRACE_UNKNOWN_SCHEMA')) return 'reject'
  if (isMillraceError(error, 'MILLRACE_ENRICH_DEADLINE')) return 'retry'
  if (error instanceof TransportError) return error.kind === 'retriable' ? 'retry' : 'stop'
  if (classify !== undefined) return classify(error)
  if (!isMillraceError(error)) return 'retry'
  if (error.remedy === 'retry') return 'retry'
  return error.remedy === 'skip' ? 'reject' : 'stop'
}
