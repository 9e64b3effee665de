/** State may hold values whose writer's schema is not here yet; the record loop cannot wait for it. */
import { asError } from '../model/errors.ts'
import { SchemaPending } from '../serdes/serde.ts'

/**
 * Fetches the schema that `error` says is missing. Answers with the error to judge by: the same, after
 * which the work can be done again, or why the schema cannot be had. Any other error is passed on.
 */
export async function fetchPendingSchema(error: Error): Promise<Error> {
  if (!(error instanceof SchemaPending)) return error
  try {
    await error.load()
    return error
  } catch (reason) {
    return asError(reason)
  }
}
