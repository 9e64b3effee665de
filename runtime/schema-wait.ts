/**
 * A record whose schema is not here yet: its queue stands still while the schema is fetched, and
 * reads the record again when it has come. What keeps it from coming is told to the reader of the
 * record, once; nothing is tried again here, for the registry's client has done that.
 */
import { asError, isMillraceError } from '../model/errors.ts'
import type { SchemaPending } from '../serdes/serde.ts'

/** The wait of one queue. */
export class SchemaWait {
  readonly #onSettled: () => void
  #state: 'none' | 'waiting' | 'settled' = 'none'
  #error: unknown

  /** `onSettled` is called when a schema has come, or could not be had. */
  constructor(onSettled: () => void) {
    this.#onSettled = onSettled
  }

  /** Whether a schema is on its way. */
  isOn(): boolean {
    return this.#state === 'waiting'
  }

  /** Asks for the schema that a record wants. */
  begin(pending: SchemaPending): void {
    this.#state = 'waiting'
    const settle = (error: unknown): void => {
      this.#state = 'settled'
      this.#error = error
      this.#onSettled()
    }
    pending.load().then(() => settle(undefined), settle)
  }

  /** Before a record is read: throws, once, what kept its schema from coming. */
  takeFailure(): void {
    if (this.#state !== 'settled') return
    const error = this.#error
    this.#state = 'none'
    this.#error = undefined
    if (error !== undefined) throw asError(error)
  }
}

/** A registry that refuses us or cannot be reached says nothing about the record: a policy that leaves records out must not see it. */
export function isOfTheRegistry(error: unknown): boolean {
  if (!isMillraceError(error)) return false
  return error.remedy === 'retry' || error.code.startsWith('MILLRACE_REGISTRY_')
}
