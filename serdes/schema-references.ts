/**
 * A schema that refers to named types of other schemas, made whole. A registry keeps such parts
 * apart, each under a subject and a version of its own; a reader needs them in one piece. As in
 * Java, every named type of a referenced schema is known to the one that refers to it; here each is
 * put in at its first mention and named afterwards, which is the form that Avro asks for.
 *
 * Rejected: handing out the parts side by side, which would ask every reader to know about references.
 */
import { PRIMITIVES, badSchema } from './avro-schema.ts'
import { canonicalJson } from './canonical-json.ts'

/** `schema` (JSON values) with the named types that it takes from `referenced`. Throws MILLRACE_BAD_SCHEMA where two of them differ. */
export function inlineReferences(schema: unknown, referenced: readonly unknown[]): unknown {
  const definitions: Definitions = new Map()
  for (const part of referenced) collect(part, '', definitions)
  return new Inlining(definitions).node(schema, '')
}

type JsonObject = Readonly<Record<string, unknown>>

interface Definition {
  readonly schema: JsonObject
  /** The namespace around it, which its own short names belong to unless it has one. */
  readonly namespace: string
}

type Definitions = Map<string, Definition>

/** Finds the named types of a schema, however deep they stand in it. */
function collect(node: unknown, namespace: string, into: Definitions): void {
  if (Array.isArray(node)) {
    for (const branch of node) collect(branch, namespace, into)
    return
  }
  if (!isObject(node)) return
  const name = fullName(node, namespace)
  if (name !== undefined) {
    const earlier = into.get(name)
    if (earlier !== undefined && canonicalJson(earlier.schema) !== canonicalJson(node)) {
      throw badSchema('', `two referenced schemas define ${name}, and differently`)
    }
    into.set(name, { schema: node, namespace })
  }
  const inner = name === undefined ? namespace : namespaceOf(name)
  for (const part of partsOf(node)) collect(part, inner, into)
}

class Inlining {
  readonly #definitions: Definitions
  readonly #defined = new Map<string, JsonObject>()

  constructor(definitions: Definitions) {
    this.#definitions = definitions
  }

  node(node: unknown, namespace: string): unknown {
    if (typeof node === 'string') return this.#mention(node, namespace)
    if (Array.isArray(node)) return node.map((branch) => this.node(branch, namespace))
    if (!isObject(node)) return node
    const name = fullName(node, namespace)
    return name === undefined ? this.#plain(node, namespace) : this.#named(node, name, namespace)
  }

  #mention(name: string, namespace: string): unknown {
    if (PRIMITIVES.has(name)) return name
    const full = qualify(name, namespace)
    const definition = this.#definitions.get(full)
    if (this.#defined.has(full) || definition === undefined) return full
    return this.#named(definition.schema, full, namespace)
  }

  /** An array, a map, a primitive with attributes, or `{ type: … }` around another schema. */
  #plain(node: JsonObject, namespace: string): unknown {
    const parts: Record<string, unknown> = { ...node }
    for (const part of ['items', 'values', 'type']) {
      if (part in node && !KINDS.has(node[part])) parts[part] = this.node(node[part], namespace)
    }
    return parts
  }

  #named(node: JsonObject, name: string, outer: string): unknown {
    const earlier = this.#defined.get(name)
    // A different definition of the name is left in, for the check of the whole to complain about.
    if (earlier !== undefined && canonicalJson(earlier) === canonicalJson(node)) return name
    this.#defined.set(name, node)
    const { namespace: _inTheFullName, ...attributes } = node
    const namespace = namespaceOf(name)
    // Only this says that a name without a namespace does not belong to the one around it.
    const space = namespace === '' && outer !== '' ? { namespace: '' } : {}
    const { fields } = node
    const inside = Array.isArray(fields)
      ? { fields: fields.map((field: unknown) => this.#field(field, namespace)) }
      : {}
    return { ...attributes, name, ...space, ...inside }
  }

  #field(field: unknown, namespace: string): unknown {
    return isObject(field) ? { ...field, type: this.node(field['type'], namespace) } : field
  }
}

/** What a property `type` says that is not the name of a type. */
const KINDS: ReadonlySet<unknown> = new Set(['array', 'map', ...PRIMITIVES])
const NAMED_KINDS: ReadonlySet<unknown> = new Set(['record', 'error', 'enum', 'fixed'])

function fullName(node: JsonObject, outer: string): string | undefined {
  const { type, name, namespace = outer } = node
  if (!NAMED_KINDS.has(type) || typeof name !== 'string') return undefined
  return qualify(name, typeof namespace === 'string' ? namespace : '')
}

function partsOf(node: JsonObject): readonly unknown[] {
  const { fields, items, values, type } = node
  const ofFields = Array.isArray(fields)
    ? fields.map((field: unknown) => (isObject(field) ? field['type'] : undefined))
    : []
  return [...ofFields, items, values, type]
}

function qualify(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

function namespaceOf(name: string): string {
  return name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : ''
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
