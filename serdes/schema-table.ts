/** The schemas of an embedded registry by id, and the other way round. */
import { canonicalJson } from './canonical-json.ts'
import { SerdeError } from './errors.ts'
import { excerpt } from './excerpt.ts'

/** One registration: under this subject, this schema has this id. */
export interface Registration {
  readonly id: number
  readonly subject: string
  /** JSON text. */
  readonly schema: string
}

/** Ids from 1, each for one schema for ever. Equal JSON is the same schema, whatever its white space and order of properties. */
export class SchemaTable {
  readonly #schemas = new Map<number, string>()
  readonly #ids = new Map<string, number>()
  readonly #subjects = new Map<string, Set<number>>()

  /** The registration that `register` would return, if it was made. */
  find(subject: string, schema: string): Registration | undefined {
    const id = this.#ids.get(canonicalSchema(schema))
    if (id === undefined || this.#subjects.get(subject)?.has(id) !== true) return undefined
    return { id, subject, schema }
  }

  /** What to `add` for a new registration: the id that the schema has, or the next free one. */
  next(subject: string, schema: string): Registration {
    const id = this.#ids.get(canonicalSchema(schema)) ?? this.#schemas.size + 1
    return { id, subject, schema }
  }

  /** Takes a registration in. False where it contradicts an earlier one. */
  add({ id, subject, schema }: Registration): boolean {
    const canonical = canonicalSchema(schema)
    const known = this.#ids.get(canonical)
    if (known === undefined ? id !== this.#schemas.size + 1 : known !== id) return false
    if (known === undefined) {
      this.#schemas.set(id, schema)
      this.#ids.set(canonical, id)
    }
    const ids = this.#subjects.get(subject) ?? new Set()
    this.#subjects.set(subject, ids.add(id))
    return true
  }

  /** The schema of an id. Throws MILLRACE_UNKNOWN_SCHEMA. */
  schemaOf(id: number): string {
    const schema = this.#schemas.get(id)
    if (schema === undefined) throw unknownSchema(id, `it has ${this.#schemas.size} schemas`)
    return schema
  }
}

function canonicalSchema(schema: string): string {
  try {
    return canonicalJson(JSON.parse(schema))
  } catch (cause) {
    throw new SerdeError(
      'MILLRACE_BAD_SCHEMA',
      `a registry keeps schemas as JSON text, and this is none: ${excerpt(schema)}`,
      { cause },
    )
  }
}

function unknownSchema(id: number, what: string): SerdeError {
  return new SerdeError(
    'MILLRACE_UNKNOWN_SCHEMA',
    `the registry has no schema ${id} (${what}). Check that the records come from writers of this very ` +
      'registry, and that its file was not replaced',
    { schemaId: id },
  )
}
