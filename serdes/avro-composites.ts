/** avsc's types with parts: arrays, maps, unions and records, as avro-types.ts says why. */
import avsc from 'avsc'
import { CorruptBytes, UnfitValue } from './avro-cursor.ts'
import type { Cursor } from './avro-cursor.ts'
import { describeType, inner, UuidFixed } from './avro-types.ts'

const { types } = avsc

type Schema = ConstructorParameters<typeof types.ArrayType>[0]
type Options = unknown

/** Any number of items. */
export class PlainArray extends types.ArrayType {
  expected(): string {
    return 'an array'
  }

  _read(this: { readonly itemsType: avsc.Type }, cursor: Cursor): unknown[] {
    const items = inner(this.itemsType)
    const values: unknown[] = []
    // It grows with what is read: corrupt bytes may claim any count.
    for (let count = cursor.readCount(); count > 0; count = cursor.readCount()) {
      for (; count > 0; count--) values.push(items._read(cursor))
    }
    return values
  }

  _skip(cursor: Cursor): void {
    const items = inner(this.itemsType)
    for (let count = cursor.skipBlocks(); count > 0; count = cursor.skipBlocks()) {
      for (; count > 0; count--) items._skip(cursor)
    }
  }

  _write(cursor: Cursor, value: unknown): void {
    if (!Array.isArray(value)) throw new UnfitValue()
    const items = inner(this.itemsType)
    const count = value.length
    if (count > 0) {
      cursor.writeLong(count)
      for (let i = 0; i < count; i++) items._write(cursor, value[i])
    }
    cursor.writeLong(0)
  }
}

/** Any number of values under text keys, as a plain object. */
export class PlainMap extends types.MapType {
  expected(): string {
    return 'an object of values by key'
  }

  _read(this: { readonly valuesType: avsc.Type }, cursor: Cursor): object {
    const values = inner(this.valuesType)
    const map: Record<string, unknown> = {}
    for (let count = cursor.readCount(); count > 0; count = cursor.readCount()) {
      for (; count > 0; count--) {
        const key = cursor.readString()
        if (key === '__proto__') defineProto(map, values._read(cursor))
        else map[key] = values._read(cursor)
      }
    }
    return map
  }

  _skip(cursor: Cursor): void {
    const values = inner(this.valuesType as avsc.Type)
    for (let count = cursor.skipBlocks(); count > 0; count = cursor.skipBlocks()) {
      for (; count > 0; count--) {
        cursor.skipString()
        values._skip(cursor)
      }
    }
  }

  _write(cursor: Cursor, value: unknown): void {
    if (!isMap(value)) throw new UnfitValue()
    const values = inner(this.valuesType as avsc.Type)
    const keys = Object.keys(value)
    if (keys.length > 0) {
      cursor.writeLong(keys.length)
      for (const key of keys) {
        cursor.writeString(key)
        values._write(cursor, value[key])
      }
    }
    cursor.writeLong(0)
  }
}

/** One of several types, told apart by the kind of the value alone: no wrapping object. */
export class PlainUnion extends types.UnwrappedUnionType {
  readonly #branches: ReadonlyMap<string, number>

  constructor(schema: Schema, options: Options) {
    super(schema, options)
    const branches = new Map<string, number>()
    for (const [index, type] of this.types.entries()) {
      const kind = kindOfType(type)
      if (branches.has(kind)) throw new Error(`ambiguous union: two branches hold a ${kind}`)
      branches.set(kind, index)
    }
    this.#branches = branches
  }

  expected(): string {
    return this.types.map(describeType).join(' or ')
  }

  _getIndex(value: unknown): number | undefined {
    return this.#branches.get(kindOfValue(value))
  }

  _write(cursor: Cursor, value: unknown): void {
    const index = this.#branches.get(kindOfValue(value))
    const branch = index === undefined ? undefined : this.types[index]
    if (index === undefined || branch === undefined) throw new UnfitValue()
    cursor.writeLong(index)
    inner(branch)._write(cursor, value)
  }

  /** Avro asks for the first branch that is the writer's type, and only then for one it can be promoted to. */
  _update(resolver: { _read: unknown }, writer: avsc.Type, options: object): void {
    const same = this.types.filter((type) => type.typeName === writer.typeName)
    for (const type of [...same, ...this.types]) {
      try {
        const resolved = type.createResolver(writer, options) as unknown as { _read: Reading }
        resolver._read = (cursor: Cursor) => resolved._read(cursor)
        return
      } catch {
        // Not this branch; where none is left, avsc says that the writer's type cannot be read.
      }
    }
  }
}

/** A record as a plain object. */
export class PlainRecord extends types.RecordType {
  constructor(schema: Schema, options: Options) {
    super(schema, options)
    // Values read are deeply equal to literals and have no methods; the constructor stays for its shape.
    const make = this.recordConstructor as { prototype: object }
    make.prototype = Object.prototype
  }

  expected(): string {
    return `an object (record ${this.name ?? ''})`
  }
}

/** Reads what a writer wrote as a union: each branch by its own way, or not at all. */
export class UnionResolver {
  readonly _readerType: avsc.Type
  readonly #branches: readonly (BranchResolver | Error)[]

  constructor(reader: avsc.Type, branches: readonly (BranchResolver | Error)[]) {
    this._readerType = reader
    this.#branches = branches
  }

  _read(cursor: Cursor): unknown {
    const index = cursor.readLong()
    const branch = this.#branches[index]
    if (branch === undefined) {
      throw new CorruptBytes(`expected one of ${this.#branches.length} branches, found ${index}`)
    }
    if (branch instanceof Error) {
      throw new CorruptBytes(`the declared schema has no place for the writer's branch ${index}`)
    }
    return branch._read(cursor)
  }

  _peek(cursor: Cursor): unknown {
    const { pos } = cursor
    const value = this._read(cursor)
    cursor.pos = pos
    return value
  }
}

type Reading = (cursor: Cursor) => unknown

/** What a resolver of one branch can do. */
export interface BranchResolver {
  _read(cursor: Cursor): unknown
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Assigning to this key would change the map's prototype. */
function defineProto(map: object, value: unknown): void {
  Object.defineProperty(map, '__proto__', {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}

function kindOfValue(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  if (Buffer.isBuffer(value)) return 'Buffer'
  return Array.isArray(value) ? 'array' : 'object'
}

function kindOfType(type: avsc.Type): string {
  if (type instanceof UuidFixed) return 'string'
  return KINDS.get(type.typeName) ?? type.typeName
}

const KINDS: ReadonlyMap<string, string> = new Map([
  ['int', 'number'],
  ['long', 'number'],
  ['float', 'number'],
  ['double', 'number'],
  ['abstract:long', 'bigint'],
  ['enum', 'string'],
  ['bytes', 'Buffer'],
  ['fixed', 'Buffer'],
  ['map', 'object'],
  ['record', 'object'],
  ['error', 'object'],
])
