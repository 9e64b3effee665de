/**
 * The serdes of single values. The bytes are those of Kafka's Java serializers of the same name, so
 * that either side reads what the other wrote: numbers big-endian, text in UTF-8, a UUID as its text.
 * None of them has a prefix, and none accepts bytes that its own serializer would not have written.
 */
import { excerpt } from './excerpt.ts'
import { SerdeError } from './errors.ts'
import type { OpenSerde, Serde, SerdeContext } from './serde.ts'
import { isWritable, readUtf8 } from './utf8.ts'

const NO_PREFIX = Buffer.alloc(0)
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const UUID_CHARACTERS = 36
const TWO_TO_32 = 2 ** 32
/** From here on a high half makes numbers that a double may not hold. */
const TWO_TO_21 = 2 ** 21

/** Text in UTF-8. Bytes that are not UTF-8, and half a surrogate pair, are errors; nothing is repaired. */
export const text: Serde<string> = primitive('text', {
  write(value) {
    if (typeof value !== 'string' || !isWritable(value)) return undefined
    return Buffer.from(value, 'utf8')
  },
  read: readUtf8,
  expected: 'well-formed text',
  bytes: 'UTF-8',
})

/** Bytes as they are: reading gives a view on the buffer read from, writing gives the very Buffer passed in. */
export const bytes: Serde<Buffer> = primitive('bytes', {
  write: (value) => (Buffer.isBuffer(value) ? value : undefined),
  read: (buffer, start, end) => buffer.subarray(start, end),
  expected: 'a Buffer',
  bytes: 'any bytes',
})

/** A whole number of 32 bits, big-endian, as Java's IntegerSerializer writes it. */
export const int32: Serde<number> = primitive('int32', {
  write(value) {
    if (typeof value !== 'number' || value !== (value | 0)) return undefined
    const buffer = Buffer.allocUnsafe(4)
    buffer.writeInt32BE(value, 0)
    return buffer
  },
  read: (buffer, start, end) => (end - start === 4 ? buffer.readInt32BE(start) : undefined),
  expected: 'a whole number of 32 bits',
  bytes: '4 bytes',
})

/** A whole number of 64 bits as a bigint, big-endian, as Java's LongSerializer writes it. Counts are small: what a double holds exactly makes no bigints on its way. */
export const int64: Serde<bigint> = primitive('int64', {
  write(value) {
    if (typeof value !== 'bigint') return undefined
    const n = Number(value)
    if (!Number.isSafeInteger(n)) return largeInt64(value)
    const buffer = Buffer.allocUnsafe(8)
    const high = Math.floor(n / TWO_TO_32)
    buffer.writeInt32BE(high, 0)
    buffer.writeUInt32BE(n - high * TWO_TO_32, 4)
    return buffer
  },
  read(buffer, start, end) {
    if (end - start !== 8) return undefined
    const high = buffer.readInt32BE(start)
    if (high < -TWO_TO_21 || high >= TWO_TO_21) return buffer.readBigInt64BE(start)
    return BigInt(high * TWO_TO_32 + buffer.readUInt32BE(start + 4))
  },
  expected: 'a bigint of 64 bits',
  bytes: '8 bytes',
})

function largeInt64(value: bigint): Buffer | undefined {
  if (BigInt.asIntN(64, value) !== value) return undefined
  const buffer = Buffer.allocUnsafe(8)
  buffer.writeBigInt64BE(value, 0)
  return buffer
}

/** A double, big-endian, as Java's DoubleSerializer writes it. */
export const float64: Serde<number> = primitive('float64', {
  write(value) {
    if (typeof value !== 'number') return undefined
    const buffer = Buffer.allocUnsafe(8)
    buffer.writeDoubleBE(value, 0)
    return buffer
  },
  read: (buffer, start, end) => (end - start === 8 ? buffer.readDoubleBE(start) : undefined),
  expected: 'a number',
  bytes: '8 bytes',
})

/** A UUID in its usual text form, lower case; 36 bytes of UTF-8 as Java's UUIDSerializer writes it, not 16 raw bytes. */
export const uuid: Serde<string> = primitive('uuid', {
  write: (value) => (isUuid(value) ? Buffer.from(value.toLowerCase(), 'latin1') : undefined),
  read(buffer, start, end) {
    if (end - start !== UUID_CHARACTERS) return undefined
    const value = buffer.toString('latin1', start, end)
    return UUID_PATTERN.test(value) ? value.toLowerCase() : undefined
  },
  expected: 'a UUID in its text form',
  bytes: 'the 36 characters of a UUID',
})

/** Whether `value` is the text form of a UUID, in either case of letters. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && value.length === UUID_CHARACTERS && UUID_PATTERN.test(value)
}

/** How one kind of value is written and read; undefined means that it does not fit. */
interface Format<T> {
  readonly write: (value: T) => Buffer | undefined
  readonly read: (buffer: Buffer, start: number, end: number) => T | undefined
  /** What `write` accepts, for messages. */
  readonly expected: string
  /** What `read` accepts, for messages. */
  readonly bytes: string
}

function primitive<T>(name: string, format: Format<T>): Serde<T> {
  return Object.freeze({
    name,
    open: (context: SerdeContext) => Promise.resolve(new OpenPrimitive(name, format, context)),
  })
}

class OpenPrimitive<T> implements OpenSerde<T> {
  readonly prefix: Buffer = NO_PREFIX
  readonly #name: string
  readonly #format: Format<T>
  readonly #context: SerdeContext

  constructor(name: string, format: Format<T>, context: SerdeContext) {
    this.#name = name
    this.#format = format
    this.#context = context
  }

  serialize(value: T): Buffer {
    const buffer = this.#format.write(value)
    if (buffer === undefined) throw this.#refusal(value)
    return buffer
  }

  deserialize(buffer: Buffer, start: number, end: number): T {
    const value = this.#format.read(buffer, start, end)
    if (value === undefined) throw this.#damage(buffer, start, end)
    return value
  }

  #refusal(value: T): SerdeError {
    const { topic, role } = this.#context
    return new SerdeError(
      'MILLRACE_SERIALIZATION',
      `cannot write a ${role} of ${topic} as ${this.#name}: expected ${this.#format.expected}, found ${excerpt(value)}`,
    )
  }

  #damage(buffer: Buffer, start: number, end: number): SerdeError {
    const { topic, role } = this.#context
    return new SerdeError(
      'MILLRACE_DESERIALIZATION',
      `cannot read a ${role} of ${topic} as ${this.#name}: expected ${this.#format.bytes}, found ${excerpt(buffer.subarray(start, end))}. ` +
        'Check which serde wrote the topic; skip or dead-letter the record if it is the only one',
    )
  }
}
