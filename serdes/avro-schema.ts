/**
 * A schema literal, checked and brought into the form that Avro asks for: every named type is defined
 * at its first use and referred to by its full name afterwards. So a constant that holds a schema may
 * be used inside others as often as its author likes; two different definitions of one name are an
 * error. Everything that is wrong is said with the path to it.
 */
import { canonicalJson } from './canonical-json.ts'
import { SerdeError } from './errors.ts'
import { excerpt } from './excerpt.ts'

/** A checked schema: JSON in which every name is full and defined once. */
export type CheckedNode = string | readonly CheckedNode[] | CheckedObject

/** A checked schema that is written as an object. */
export interface CheckedObject {
  readonly type: string
  /** The full name of a record, enum or fixed. */
  readonly name?: string
  readonly namespace?: string
  readonly fields?: readonly CheckedField[]
  readonly items?: CheckedNode
  readonly values?: CheckedNode
  readonly symbols?: readonly string[]
  readonly size?: number
  readonly logicalType?: string
}

/** One field of a checked record. */
export interface CheckedField {
  readonly name: string
  readonly type: CheckedNode
}

/** A schema that passed `checkSchema`. */
export interface CheckedSchema {
  readonly root: CheckedNode
  /** The full name of a named type, else what it is: `long`, `array`. */
  readonly name: string
  /** What a registry keeps. */
  readonly text: string
  /** The named types by their full names. */
  readonly named: ReadonlyMap<string, CheckedObject>
  /** Where each part of `root` stands, for messages. */
  readonly paths: ReadonlyMap<unknown, string>
}

/** The types of Avro that have no parts. */
export const PRIMITIVES: ReadonlySet<string> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])

const NAME_PART = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Checks `schema` (JSON values, not text). Throws MILLRACE_BAD_SCHEMA with the path to what is wrong. */
export function checkSchema(schema: unknown): CheckedSchema {
  const check = new SchemaCheck()
  const root = check.node(schema, { namespace: '', path: '' })
  return {
    root,
    name: typeof root === 'object' && 'type' in root ? (root.name ?? root.type) : nameOf(root),
    text: JSON.stringify(root),
    named: check.named,
    paths: check.paths,
  }
}

/** A MILLRACE_BAD_SCHEMA for the part of a schema at `path`. */
export function badSchema(path: string, why: string, cause?: unknown): SerdeError {
  const where = path === '' ? 'the schema' : `the schema at ${path}`
  return new SerdeError('MILLRACE_BAD_SCHEMA', `${where} is not Avro: ${why}`, { path, cause })
}

function nameOf(root: CheckedNode): string {
  return typeof root === 'string' ? root : 'union'
}

/** Where a part of the schema stands: its path, and the namespace that short names in it belong to. */
interface Scope {
  readonly namespace: string
  readonly path: string
}

type Mutable<T> = { -readonly [P in keyof T]: T[P] }

type JsonObject = Readonly<Record<string, unknown>>

class SchemaCheck {
  readonly named = new Map<string, CheckedObject>()
  readonly paths = new Map<unknown, string>()
  /** What each name was defined as, to tell the same definition from another one. */
  readonly #definitions = new Map<string, unknown>()

  node(schema: unknown, scope: Scope): CheckedNode {
    if (typeof schema === 'string') return this.#reference(schema, scope)
    if (Array.isArray(schema)) return this.#union(schema, scope)
    if (!isObject(schema)) {
      throw badSchema(
        scope.path,
        `expected a type name, an object or an array, found ${excerpt(schema)}`,
      )
    }
    const { type } = schema
    if (typeof type !== 'string') {
      // `{ type: { … } }` is how some generators write what is only `{ … }`.
      if (isObject(type) || Array.isArray(type)) return this.node(type, scope)
      throw badSchema(scope.path, `expected a property 'type', found ${excerpt(type)}`)
    }
    if (type === 'array') return this.#part(schema, 'items', scope)
    if (type === 'map') return this.#part(schema, 'values', scope)
    if (isNamedKind(type)) return this.#definition(schema, type, scope)
    if (PRIMITIVES.has(type)) return this.#kept({ ...schema, type }, scope)
    return this.#reference(type, scope)
  }

  #reference(name: string, { namespace, path }: Scope): string {
    if (PRIMITIVES.has(name)) return name
    const full = qualify(name, namespace)
    if (this.named.has(full)) return full
    throw badSchema(
      path,
      `no type ${JSON.stringify(full)} is defined before this place. ` +
        'Use the schema object itself here, or name one of: ' +
        [...PRIMITIVES, ...this.named.keys()].join(', '),
    )
  }

  #union(branches: readonly unknown[], { namespace, path }: Scope): readonly CheckedNode[] {
    if (branches.length === 0) throw badSchema(path, 'a union needs at least one branch')
    const checked = branches.map((branch, i) =>
      this.node(branch, { namespace, path: `${path}<branch ${i}>` }),
    )
    this.paths.set(checked, path)
    return checked
  }

  #part(schema: JsonObject, part: 'items' | 'values', { namespace, path }: Scope): CheckedNode {
    const inner = this.node(schema[part], {
      namespace,
      path: `${path}${part === 'items' ? '[]' : '{}'}`,
    })
    return this.#kept(
      { ...schema, type: part === 'items' ? 'array' : 'map', [part]: inner },
      { namespace, path },
    )
  }

  #definition(schema: JsonObject, type: string, { namespace, path }: Scope): CheckedNode {
    const full = this.#fullName(schema, { namespace, path })
    const earlier = this.#definitions.get(full)
    if (earlier !== undefined) {
      if (earlier === schema || canonicalJson(earlier) === canonicalJson(schema)) return full
      throw badSchema(path, `${full} is defined twice, and differently. Rename one of the two`)
    }
    this.#definitions.set(full, schema)
    const space = full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : ''
    const scope = { namespace: space, path: path === '' ? (full.split('.').at(-1) ?? full) : path }
    // Known before its fields are looked at, so that a record may refer to itself.
    const { namespace: _inTheFullName, ...attributes } = schema
    const definition: Mutable<CheckedObject> = { ...attributes, type, name: full }
    // Only this says that a name without a namespace does not belong to the one around it.
    if (space === '' && namespace !== '') definition.namespace = ''
    this.named.set(full, definition)
    if (type === 'record' || type === 'error') definition.fields = this.#fields(schema, scope)
    return this.#kept(definition, scope)
  }

  #fullName(schema: JsonObject, { namespace, path }: Scope): string {
    const { name } = schema
    const space = schema['namespace'] ?? namespace
    if (typeof name !== 'string' || typeof space !== 'string') {
      throw badSchema(path, `a ${String(schema['type'])} needs a name, found ${excerpt(name)}`)
    }
    const full = qualify(name, space)
    if (PRIMITIVES.has(full) || !full.split('.').every((part) => NAME_PART.test(part))) {
      throw badSchema(path, `${JSON.stringify(full)} cannot be a name: use letters, digits and _`)
    }
    return full
  }

  #fields(schema: JsonObject, { namespace, path }: Scope): readonly CheckedField[] {
    const { fields } = schema
    if (!Array.isArray(fields)) {
      throw badSchema(path, `a record needs an array 'fields', found ${excerpt(fields)}`)
    }
    const seen = new Set<string>()
    return fields.map((field: unknown, i) => {
      const name = isObject(field) ? field['name'] : undefined
      if (!isObject(field) || typeof name !== 'string' || !NAME_PART.test(name)) {
        throw badSchema(
          path,
          `field ${i} needs a name of letters, digits and _, found ${excerpt(name)}`,
        )
      }
      if (name === '__proto__') throw badSchema(path, 'a field cannot be called __proto__')
      if (seen.has(name)) throw badSchema(path, `two fields are called ${name}`)
      seen.add(name)
      return {
        ...field,
        name,
        type: this.node(field['type'], { namespace, path: `${path}.${name}` }),
      }
    })
  }

  #kept(node: CheckedObject, { path }: Scope): CheckedObject {
    this.paths.set(node, path)
    return node
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isNamedKind(type: string): boolean {
  return type === 'record' || type === 'error' || type === 'enum' || type === 'fixed'
}

function qualify(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}
