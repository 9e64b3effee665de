/** What can go wrong between values and bytes. */
import { MillraceError } from '../model/errors.ts'
import type { ErrorDetails } from '../model/errors.ts'

/** The codes of serdes and registries; each has a heading in docs/errors.md. */
export type SerdeErrorCode =
  | 'MILLRACE_DESERIALIZATION'
  | 'MILLRACE_SERIALIZATION'
  | 'MILLRACE_UNKNOWN_SCHEMA'
  | 'MILLRACE_BAD_SCHEMA'
  | 'MILLRACE_INCOMPATIBLE_SCHEMA'
  | 'MILLRACE_REGISTRY_BAD_ANSWER'
  | 'MILLRACE_REGISTRY_DAMAGED'
  | 'MILLRACE_REGISTRY_INCOMPATIBLE'
  | 'MILLRACE_REGISTRY_MISCONFIGURED'
  | 'MILLRACE_REGISTRY_REFUSED'
  | 'MILLRACE_REGISTRY_UNAUTHORIZED'
  | 'MILLRACE_REGISTRY_UNREACHABLE'
  | 'MILLRACE_REGISTRY_UNWRITABLE'

/** What a serde's error carries besides its message. */
export interface SerdeErrorDetails extends ErrorDetails {
  /** The registry's number of the schema that the bytes were written with. */
  readonly schemaId?: number | undefined
  /** The field that did not fit: `chunk.bytes`, `shots[3].label`. */
  readonly path?: string | undefined
}

/** An error of a serde or a registry. The runtime adds the record's position with `at`. */
export class SerdeError extends MillraceError {
  override readonly name: string = 'SerdeError'
  declare readonly code: SerdeErrorCode
  /** The registry's number of the schema that the bytes were written with, where it is known. */
  readonly schemaId: number | undefined
  /** The field that did not fit, where it is known. */
  readonly path: string | undefined

  constructor(code: SerdeErrorCode, message: string, details: SerdeErrorDetails = {}) {
    super(code, message, details)
    this.schemaId = details.schemaId
    this.path = details.path
  }

  /** The same error with the place it happened at (`topic[partition]@offset`) in front of its message. */
  at(place: string): SerdeError {
    return new SerdeError(this.code, `${place}: ${this.message}`, {
      place,
      remedy: this.remedy,
      cause: this.cause,
      schemaId: this.schemaId,
      path: this.path,
    })
  }
}
