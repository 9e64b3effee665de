/**
 * avsc's types with other leaves. avsc keeps what it does best: it generates a reader, a writer and a
 * checker per record, and resolves one schema into another. What is replaced here is how single
 * values are checked and written, and how counts are trusted: avsc puts a whole refused value (ten
 * megabytes of bytes, say) into its message, allocates an array of whatever length corrupt bytes
 * claim, and loops for ever over a block of negative size.
 *
 * The underscored methods are avsc's inner contract, which its declarations leave out; the golden
 * vectors and the fuzzing in the tests notice if another avsc changes it. avsc takes `_read` off a
 * type and puts it on resolvers, so that it may use of `this` only what a resolver has, too.
 */
import avsc from 'avsc'
import { CorruptBytes, UnfitValue } from './avro-cursor.ts'
import type { Cursor } from './avro-cursor.ts'
import { isUuid } from './primitives.ts'
import { isWritable } from './utf8.ts'

const { types } = avsc

const UUID_BYTES = 16

/** What avsc's types do beyond what they declare. */
export interface InnerType {
  _read(cursor: Cursor): unknown
  _write(cursor: Cursor, value: unknown): void
  _skip(cursor: Cursor): void
  /** What a value of the type is, for messages. Ours alone. */
  expected?(): string
}

/** The half of avsc's resolver that an `_update` fills in. */
interface InnerResolver {
  _read: ((cursor: Cursor) => unknown) | null
}

/** How avsc passes a part of a schema and its options on; opaque to us. */
type Schema = ConstructorParameters<typeof types.ArrayType>[0]
type Options = unknown

/** The half of a type that avsc's declarations leave out. */
export function inner(type: avsc.Type): InnerType {
  return type as unknown as InnerType
}

/** What a value of `type` is, for messages. */
export function describeType(type: avsc.Type): string {
  return inner(type).expected?.() ?? type.typeName
}

class PlainNull extends types.NullType {
  expected(): string {
    return 'null'
  }

  _write(_cursor: Cursor, value: unknown): void {
    if (value !== null) throw new UnfitValue()
  }
}

class PlainBoolean extends types.BooleanType {
  expected(): string {
    return 'a boolean'
  }

  _write(cursor: Cursor, value: unknown): void {
    if (typeof value !== 'boolean') throw new UnfitValue()
    cursor.writeBoolean(value)
  }
}

class PlainInt extends types.IntType {
  expected(): string {
    return 'a whole number of 32 bits'
  }

  _write(cursor: Cursor, value: unknown): void {
    if (typeof value !== 'number' || value !== (value | 0)) throw new UnfitValue()
    cursor.writeInt(value)
  }
}

/** A long as a number: exact within ±(2^53 - 1), an error beyond. */
class SafeLong extends types.LongType {
  expected(): string {
    return 'a whole number within ±(2^53 - 1)'
  }

  _check(value: unknown, _flags: unknown, hook?: Hook): boolean {
    return Number.isSafeInteger(value) || refused(hook, value, this)
  }

  _read(cursor: Cursor): number {
    const n = cursor.readLong()
    if (!Number.isSafeInteger(n)) {
      throw new CorruptBytes(
        "found a long beyond 2^53 - 1: declare it as { type: 'long', logicalType: 'bigint' }",
      )
    }
    return n
  }

  _write(cursor: Cursor, value: unknown): void {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new UnfitValue()
    cursor.writeLong(value)
  }
}

/** A long as a bigint, for schemas that ask for it. */
class BigLong extends types.LongType {
  static {
    // The name by which avsc knows a long that is not a number; it then asks this class what it holds.
    Object.defineProperty(this.prototype, 'typeName', { value: 'abstract:long' })
    Object.defineProperty(this.prototype, '_concreteTypeName', { value: 'long' })
  }

  expected(): string {
    return 'a bigint of 64 bits'
  }

  _check(value: unknown, _flags: unknown, hook?: Hook): boolean {
    return isBigLong(value) || refused(hook, value, this)
  }

  _read(cursor: Cursor): bigint {
    return cursor.readBigLong()
  }

  _write(cursor: Cursor, value: unknown): void {
    if (!isBigLong(value)) throw new UnfitValue()
    cursor.writeBigLong(value)
  }

  /** Where a schema gives a default, it is a JSON number. */
  _copy(value: unknown): bigint {
    if (typeof value === 'bigint') return value
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new UnfitValue()
    return BigInt(value)
  }

  _update(resolver: InnerResolver, writer: avsc.Type): void {
    if (!['int', 'long', 'abstract:long'].includes(writer.typeName)) return
    resolver._read = (cursor) => cursor.readBigLong()
  }
}

class PlainFloat extends types.FloatType {
  expected(): string {
    return 'a number'
  }

  _write(cursor: Cursor, value: unknown): void {
    if (typeof value !== 'number') throw new UnfitValue()
    cursor.writeFloat(value)
  }
}

class PlainDouble extends types.DoubleType {
  expected(): string {
    return 'a number'
  }

  _write(cursor: Cursor, value: unknown): void {
    if (typeof value !== 'number') throw new UnfitValue()
    cursor.writeDouble(value)
  }
}

class PlainString extends types.StringType {
  expected(): string {
    return 'well-formed text'
  }

  _check(value: unknown, _flags: unknown, hook?: Hook): boolean {
    return (typeof value === 'string' && isWritable(value)) || refused(hook, value, this)
  }

  _write(cursor: Cursor, value: unknown): void {
    if (typeof value !== 'string') throw new UnfitValue()
    cursor.writeString(value)
  }
}

/** Text that is a UUID: `{ type: 'string', logicalType: 'uuid' }`. */
class UuidString extends types.StringType {
  expected(): string {
    return 'a UUID in its text form'
  }

  _check(value: unknown, _flags: unknown, hook?: Hook): boolean {
    return isUuid(value) || refused(hook, value, this)
  }

  _read(cursor: Cursor): string {
    const text = cursor.readString()
    if (!isUuid(text)) throw new CorruptBytes('expected a UUID in its text form, found other text')
    return text
  }

  _write(cursor: Cursor, value: unknown): void {
    if (!isUuid(value)) throw new UnfitValue()
    cursor.writeString(value)
  }
}

class PlainBytes extends types.BytesType {
  expected(): string {
    return 'a Buffer'
  }

  _write(cursor: Cursor, value: unknown): void {
    if (!Buffer.isBuffer(value)) throw new UnfitValue()
    cursor.writeBytes(value)
  }
}

/** The one instance of each type that has no parts. */
export const PLAIN_TYPES: ReadonlyMap<string, avsc.Type> = new Map<string, avsc.Type>([
  ['null', new PlainNull()],
  ['boolean', new PlainBoolean()],
  ['int', new PlainInt()],
  ['long', new SafeLong()],
  ['float', new PlainFloat()],
  ['double', new PlainDouble()],
  ['string', new PlainString()],
  ['bytes', new PlainBytes()],
])

/** A long that is read as a bigint. */
export const BIG_LONG: avsc.Type = new BigLong()

/** A string that is a UUID. */
export const UUID_STRING: avsc.Type = new UuidString()

/** One of a few symbols. */
export class PlainEnum extends types.EnumType {
  readonly #indices: ReadonlyMap<unknown, number>

  constructor(schema: Schema, options: Options) {
    super(schema, options)
    this.#indices = new Map(this.symbols.map((symbol, index) => [symbol, index]))
  }

  expected(): string {
    return `one of ${this.symbols.join(', ')}`
  }

  _check(value: unknown, _flags: unknown, hook?: Hook): boolean {
    return this.#indices.has(value) || refused(hook, value, this)
  }

  _read(this: { readonly symbols: readonly string[] }, cursor: Cursor): string {
    const index = cursor.readLong()
    const symbol = this.symbols[index]
    if (symbol === undefined) {
      throw new CorruptBytes(
        `expected one of ${this.symbols.length} symbols, found number ${index}`,
      )
    }
    return symbol
  }

  _write(cursor: Cursor, value: unknown): void {
    const index = this.#indices.get(value)
    if (index === undefined) throw new UnfitValue()
    cursor.writeLong(index)
  }
}

/** A fixed number of bytes, read as a view. */
export class PlainFixed extends types.FixedType {
  expected(): string {
    return `a Buffer of ${this.size} bytes`
  }

  _write(cursor: Cursor, value: unknown): void {
    if (!Buffer.isBuffer(value) || value.length !== this.size) throw new UnfitValue()
    cursor.writeFixed(value)
  }
}

/** Sixteen bytes that are a UUID, as text: `{ type: 'fixed', size: 16, logicalType: 'uuid' }`. */
export class UuidFixed extends types.LogicalType {
  expected(): string {
    return 'a UUID in its text form'
  }

  _read(cursor: Cursor): string {
    return uuidOfBytes(cursor.readFixed(UUID_BYTES))
  }

  _write(cursor: Cursor, value: unknown): void {
    if (!isUuid(value)) throw new UnfitValue()
    cursor.writeFixed(bytesOfUuid(value))
  }

  protected override _fromValue(value: Buffer): string {
    return uuidOfBytes(value)
  }

  protected override _toValue(value: unknown): Buffer | undefined {
    return isUuid(value) ? bytesOfUuid(value) : undefined
  }

  /** How a value of the writer's type becomes text; undefined where it cannot. */
  protected override _resolve(writer: avsc.Type): ((value: unknown) => unknown) | undefined {
    const written = writer instanceof types.LogicalType ? writer.underlyingType : writer
    try {
      this.underlyingType.createResolver(written, { ignoreNamespaces: true })
    } catch {
      return undefined
    }
    return (value) => (Buffer.isBuffer(value) ? uuidOfBytes(value) : value)
  }
}

type Hook = (found: unknown, type: avsc.Type) => void

/** Tells the hook, where there is one, and says no. */
export function refused(hook: Hook | undefined, found: unknown, type: avsc.Type): boolean {
  hook?.(found, type)
  return false
}

function isBigLong(value: unknown): value is bigint {
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value
}

function uuidOfBytes(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function bytesOfUuid(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex')
}
