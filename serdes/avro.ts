/**
 * Avro by schema literal, in Confluent's wire format: a byte 0, the schema's id in the registry as
 * four bytes big-endian, and Avro's binary encoding of the value.
 *
 * The literal is the only declaration: the compiler computes the TypeScript type from it, and the
 * same object is what is registered. Reading resolves every writer's schema into the declared one, by
 * Avro's rules. Bytes are views on the buffer that was read from: keeping one keeps that buffer.
 */
import { AvroCodec } from './avro-codec.ts'
import type { Readable } from './avro-codec.ts'
import { checkSchema } from './avro-schema.ts'
import { CorruptBytes, Cursor } from './avro-cursor.ts'
import type { AvroSchema, ValueOfSchema } from './avro-type.ts'
import { AvroOutput } from './avro-output.ts'
import { AvroWriters } from './avro-writers.ts'
import { locateDamage } from './avro-locate.ts'
import { asError } from '../model/errors.ts'
import { SerdeError } from './errors.ts'
import { excerpt, shorten } from './excerpt.ts'
import type { OpenSerde, Room, Serde, SerdeContext } from './serde.ts'

/** The first byte of every value in Confluent's wire format. */
const MAGIC = 0
/** The magic byte and the schema's id. */
const PREFIX_BYTES = 5

/**
 * The type of the values that schema S describes. Bytes and fixed are Buffers, a long is a number
 * (or a bigint where the schema says `logicalType: 'bigint'`), a union is a union, a map is an
 * object. A schema that the compiler knows only as an AvroSchema describes unknown values.
 *
 * @example
 * export const Chunk = { type: 'record', name: 'Chunk', fields: [{ name: 'bytes', type: 'bytes' }] } as const
 * export type Chunk = AvroType<typeof Chunk>
 */
export type AvroType<S> = ValueOfSchema<S>

/** A serde that knows its schema. */
export interface AvroSerde<T> extends Serde<T> {
  /** The schema as it was given. */
  readonly schema: AvroSchema
}

/**
 * The serde of the values that `schema` describes, which is an Avro schema as a literal. Throws
 * MILLRACE_BAD_SCHEMA, with the path to what is wrong.
 *
 * A long is a number and must stay within ±(2^53 - 1), unless the schema says
 * `{ type: 'long', logicalType: 'bigint' }`. Unions are plain values; no two branches may be of one
 * kind. Opening registers the schema under `<topic>-key` or `<topic>-value`.
 *
 * @example
 * const Click = avro({ type: 'record', name: 'Click', fields: [{ name: 'url', type: 'string' }] })
 */
export function avro<const S extends AvroSchema>(schema: S): AvroSerde<AvroType<S>> {
  const codec = new AvroCodec(checkSchema(schema), 'reader')
  return Object.freeze({
    name: `avro(${codec.schema.name})`,
    schema,
    async open(context: SerdeContext): Promise<OpenSerde<AvroType<S>>> {
      const subject = `${context.topic}-${context.role}`
      const id = await context.registry.register(subject, codec.schema.text)
      return new OpenAvro<AvroType<S>>(codec, context, id)
    },
  })
}

class OpenAvro<T> implements OpenSerde<T> {
  readonly prefix: Buffer
  readonly #codec: AvroCodec
  readonly #context: SerdeContext
  readonly #id: number
  readonly #writers: AvroWriters
  readonly #output: AvroOutput
  /** Reading makes no object of its own: one cursor serves all calls. */
  readonly #cursor = new Cursor()

  constructor(codec: AvroCodec, context: SerdeContext, id: number) {
    this.prefix = Buffer.alloc(PREFIX_BYTES)
    this.prefix.writeInt32BE(id, 1)
    this.#codec = codec
    this.#context = context
    this.#id = id
    this.#writers = new AvroWriters(codec, context)
    this.#output = new AvroOutput(codec, this.prefix)
  }

  serialize(value: T, room?: Room): Buffer {
    try {
      return this.#output.encode(value, room)
    } catch (cause) {
      throw this.#refusal(value, cause)
    }
  }

  deserialize(buffer: Buffer, start: number, end: number): T {
    const id = this.#schemaId(buffer, start, end)
    const reading: Readable = id === this.#id ? this.#codec : this.#writers.reading(id)
    const cursor = this.#cursor
    cursor.reset(buffer, start + PREFIX_BYTES, end)
    try {
      const value = reading._read(cursor)
      if (cursor.pos !== end) {
        throw new CorruptBytes(`${end - cursor.pos} bytes are left over after the value`)
      }
      return value as T
    } catch (cause) {
      throw this.#damage(cause, id, { buffer, start, end })
    } finally {
      cursor.release()
    }
  }

  #schemaId(buffer: Buffer, start: number, end: number): number {
    if (end - start < PREFIX_BYTES || buffer[start] !== MAGIC) {
      const { topic, role } = this.#context
      throw new SerdeError(
        'MILLRACE_DESERIALIZATION',
        `cannot read a ${role} of ${topic} as Avro: expected a byte 0 and the four bytes of a schema id, ` +
          `found ${excerpt(buffer.subarray(start, end))}. Check that the topic is written by an Avro serializer ` +
          'with a registry; skip or dead-letter the record if it is the only one',
      )
    }
    return buffer.readInt32BE(start + 1)
  }

  #refusal(value: T, cause: unknown): SerdeError {
    const { topic, role } = this.#context
    const problem = this.#codec.problemOf(value)
    const what =
      problem === undefined
        ? shorten(asError(cause).message, 200)
        : `${problem.path === '' ? 'the value' : problem.path}: expected ${problem.expected}, found ${problem.found}`
    return new SerdeError(
      'MILLRACE_SERIALIZATION',
      `cannot write a ${role} of ${topic} by schema ${this.#id} (${this.#codec.schema.name}): ${what}`,
      { cause, schemaId: this.#id, path: problem?.path },
    )
  }

  #damage(cause: unknown, id: number, { buffer, start, end }: Bytes): SerdeError {
    const { topic, role } = this.#context
    const schema = id === this.#id ? this.#codec.schema : this.#writers.schema(id)
    const at = this.#cursor.pos - start
    const path = schema && locateDamage(schema, { buffer, start: start + PREFIX_BYTES, end })
    const field = path === undefined || path === '' ? '' : `, field ${shorten(path, 200)}`
    return new SerdeError(
      'MILLRACE_DESERIALIZATION',
      `cannot read a ${role} of ${topic} by schema ${id} (${schema?.name ?? 'unknown'})${field}: ` +
        `${shorten(asError(cause).message, 200)} (at byte ${at} of ${end - start}). ` +
        'The bytes are damaged or of another schema; skip or dead-letter the record',
      { cause, schemaId: id, path },
    )
  }
}

interface Bytes {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}
