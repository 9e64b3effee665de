/**
 * Where bytes stop being a value: a second, slow walk over them along the schema they were written
 * with, taken only to say the field in an error's message. avsc's generated readers are fast because
 * they do not know where they are.
 */
import { Cursor } from './avro-cursor.ts'
import type { CheckedNode, CheckedObject, CheckedSchema } from './avro-schema.ts'

/** The path of a longer nest of fields is cut here; who has one knows where to look. */
const MAX_DEPTH = 64

/** The field of `schema` at which the bytes in [start, end) stop to fit; undefined where they all do. */
export function locateDamage(schema: CheckedSchema, range: Range): string | undefined {
  const walk = new Walk(schema, range)
  try {
    walk.node(schema.root, 0)
    return undefined
  } catch {
    return walk.path.join('').replace(/^\./, '')
  }
}

/** A range of a buffer. */
export interface Range {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

class Walk {
  /** The parts of the path to the node being read; left as it is when reading throws. */
  readonly path: string[] = []
  readonly #schema: CheckedSchema
  readonly #cursor = new Cursor()

  constructor(schema: CheckedSchema, { buffer, start, end }: Range) {
    this.#schema = schema
    this.#cursor.reset(buffer, start, end)
  }

  node(node: CheckedNode, depth: number): void {
    if (depth > MAX_DEPTH) throw new RangeError('deeper than this walk goes')
    if (typeof node === 'string') {
      const named = this.#schema.named.get(node)
      if (named === undefined) this.#primitive(node)
      else this.#object(named, depth)
    } else if ('type' in node) {
      this.#object(node, depth)
    } else {
      const branch = node[this.#cursor.readLong()]
      if (branch === undefined) throw new RangeError('no such branch')
      this.node(branch, depth + 1)
    }
  }

  #object(node: CheckedObject, depth: number): void {
    switch (node.type) {
      case 'record':
      case 'error':
        for (const { name, type } of node.fields ?? []) this.#within(`.${name}`, type, depth)
        return
      case 'array':
        this.#blocks((i) => this.#within(`[${i}]`, node.items ?? 'null', depth))
        return
      case 'map':
        this.#blocks((i) => {
          this.#within(`{key ${i}}`, 'string', depth)
          this.#within(`{value ${i}}`, node.values ?? 'null', depth)
        })
        return
      case 'enum':
        if (node.symbols?.[this.#cursor.readLong()] === undefined) throw new RangeError('no symbol')
        return
      case 'fixed':
        this.#cursor.skipFixed(node.size ?? 0)
        return
      default:
        this.#primitive(node.type)
    }
  }

  #within(part: string, node: CheckedNode, depth: number): void {
    this.path.push(part)
    this.node(node, depth + 1)
    this.path.pop()
  }

  #blocks(item: (i: number) => void): void {
    let i = 0
    for (let count = this.#cursor.readCount(); count > 0; count = this.#cursor.readCount()) {
      for (; count > 0; count--) item(i++)
    }
  }

  #primitive(name: string): void {
    const cursor = this.#cursor
    switch (name) {
      case 'null':
        return
      case 'boolean':
        return cursor.skipBoolean()
      case 'int':
        return cursor.skipInt()
      case 'long':
        return cursor.skipLong()
      case 'float':
        return cursor.skipFloat()
      case 'double':
        return cursor.skipDouble()
      case 'bytes':
        return cursor.skipBytes()
      default:
        return cursor.skipString()
    }
  }
}
