/** What a failure of an enricher means where its author does not say. */
import { isMillraceError } from '../model/errors.ts'
import type { ClassifyFailure, FailureClass } from './enricher.ts'

/** The author's word first; then that of an error that carries a remedy; anything else may go better the next time. */
export function classifyFailure(error: Error, classify: ClassifyFailure | undefined): FailureClass {
  if (isMillraceError(error, 'MILLRACE_REFERENCE_GONE')) return 'reject'
  if (isMillraceError(error, 'MILLRACE_DESERIALIZATION')) return 'reject'
  if (isMillraceError(error, 'MILLRACE_ENRICH_DEADLINE')) return 'retry'
  if (classify !== undefined) return classify(error)
  if (!isMillraceError(error)) return 'retry'
  if (error.remedy === 'retry') return 'retry'
  return error.remedy === 'skip' ? 'reject' : 'stop'
}
