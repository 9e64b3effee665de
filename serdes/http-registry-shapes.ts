/** The values in a registry's answers: each is looked at before it is used, for a proxy may answer anything. */
import { propertyOf } from './http-registry-answers.ts'
import type {
  Compatibility,
  CompatibilityLevel,
  RegisteredSchema,
  SchemaReference,
} from './http-registry-contract.ts'
import { COMPATIBILITY_LEVELS } from './http-registry-contract.ts'

/** How one kind of answer is read. */
export interface Shape<T> {
  /** For messages. */
  readonly expected: string
  /** Undefined where the answer is something else. */
  readonly read: (body: unknown) => T | undefined
}

/** A schema as it is kept under an id. */
export interface StoredSchema {
  readonly schema: string
  /** AVRO, unless the answer says otherwise. */
  readonly schemaType: string
  readonly references: readonly SchemaReference[]
}

/** Ids are what fits into the four bytes of a record. */
const LARGEST_ID = 2 ** 31 - 1

/** `{ id }`. */
export const ID: Shape<number> = {
  expected: 'the id of a schema',
  read: (body) => whole(propertyOf(body, 'id')),
}

/** `{ schema, schemaType?, references? }`. */
export const STORED_SCHEMA: Shape<StoredSchema> = { expected: 'a schema', read: readStored }

/** `{ subject, version, id, schema, references? }`. */
export const REGISTERED_SCHEMA: Shape<RegisteredSchema> = {
  expected: 'a version of a subject',
  read(body) {
    const stored = readStored(body)
    const subject = propertyOf(body, 'subject')
    const [id, version] = [whole(propertyOf(body, 'id')), whole(propertyOf(body, 'version'))]
    if (stored === undefined || id === undefined || version === undefined) return undefined
    if (typeof subject !== 'string') return undefined
    return { subject, version, id, schema: stored.schema, references: stored.references }
  },
}

/** `[1, 2]`. */
export const VERSIONS: Shape<readonly number[]> = {
  expected: 'the numbers of versions',
  read(body) {
    if (!Array.isArray(body)) return undefined
    const versions = body.map(whole)
    return versions.every((version) => version !== undefined) ? versions : undefined
  },
}

/** `{ is_compatible, messages? }`. */
export const COMPATIBILITY: Shape<Compatibility> = {
  expected: 'whether a schema is compatible',
  read(body) {
    const isCompatible = propertyOf(body, 'is_compatible')
    const messages: unknown = propertyOf(body, 'messages') ?? []
    if (typeof isCompatible !== 'boolean' || !Array.isArray(messages)) return undefined
    return { isCompatible, messages: messages.map(String) }
  },
}

/** `{ compatibilityLevel }`, or as the answer to setting it `{ compatibility }`. */
export const LEVEL: Shape<CompatibilityLevel> = {
  expected: 'a level of compatibility',
  read(body) {
    const level = propertyOf(body, 'compatibilityLevel') ?? propertyOf(body, 'compatibility')
    return COMPATIBILITY_LEVELS.find((known) => known === level)
  },
}

function readStored(body: unknown): StoredSchema | undefined {
  const schema = propertyOf(body, 'schema')
  const schemaType = propertyOf(body, 'schemaType') ?? 'AVRO'
  const references = readReferences(propertyOf(body, 'references') ?? [])
  if (typeof schema !== 'string' || typeof schemaType !== 'string') return undefined
  return references && { schema, schemaType, references }
}

function readReferences(value: unknown): readonly SchemaReference[] | undefined {
  if (!Array.isArray(value)) return undefined
  const references = value.map(readReference)
  return references.every((one) => one !== undefined) ? references : undefined
}

function readReference(value: unknown): SchemaReference | undefined {
  const name = propertyOf(value, 'name')
  const subject = propertyOf(value, 'subject')
  const version = whole(propertyOf(value, 'version'))
  if (typeof name !== 'string' || typeof subject !== 'string') return undefined
  return version === undefined ? undefined : { name, subject, version }
}

function whole(value: unknown): number | undefined {
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= 0
  return fits && value <= LARGEST_ID ? value : undefined
}
