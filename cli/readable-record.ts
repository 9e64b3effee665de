/**
 * Bytes of any topic as something to look at. A value in Confluent's wire format is read by the schema
 * it was written with; other bytes are shown as text where they are text, and as hexadecimal digits
 * where they are not. Long runs of bytes are cut: a chunk of video is not for a terminal.
 */
import { asError } from '../model/errors.ts'
import { deserializeNow } from '../processors/deserialize.ts'
import type { AvroSchema } from '../serdes/avro-type.ts'
import { avro } from '../serdes/avro.ts'
import type { Registry } from '../serdes/registry.ts'
import type { OpenSerde } from '../serdes/serde.ts'
import { readUtf8 } from '../serdes/utf8.ts'
import type { Json } from './output.ts'
import { formatBytes } from './quantities.ts'

const MAGIC = 0
const WIRE_PREFIX_BYTES = 5
const SHOWN_BYTES = 24
const LONGEST_TEXT = 2000
// eslint-disable-next-line no-control-regex -- text has few of them.
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/

/** Reads keys and values of one topic. */
export class RecordReader {
  readonly #topic: string
  readonly #registry: Registry
  readonly #serdes = new Map<string, OpenSerde<unknown> | undefined>()

  constructor(topic: string, registry: Registry) {
    this.#topic = topic
    this.#registry = registry
  }

  /** A key or a value as JSON; null for none. */
  async read(role: 'key' | 'value', bytes: Buffer | null): Promise<Json> {
    if (bytes === null) return null
    const serde = await this.#serdeOf(role, bytes)
    if (serde === undefined) return plain(bytes)
    try {
      return jsonOf(await deserializeNow(serde, bytes))
    } catch (error) {
      return { unreadable: asError(error).message, bytes: plain(bytes) }
    }
  }

  /** The serde of the schema that the bytes name; undefined where they name none that the registry has. */
  async #serdeOf(role: 'key' | 'value', bytes: Buffer): Promise<OpenSerde<unknown> | undefined> {
    if (bytes.length < WIRE_PREFIX_BYTES || bytes[0] !== MAGIC) return undefined
    const id = bytes.readInt32BE(1)
    const key = `${role} ${id}`
    if (!this.#serdes.has(key)) this.#serdes.set(key, await this.#open(role, id))
    return this.#serdes.get(key)
  }

  async #open(role: 'key' | 'value', id: number): Promise<OpenSerde<unknown> | undefined> {
    const registry = this.#registry
    const schema = await registry.schemaById(id).catch(() => undefined)
    if (schema === undefined) return undefined
    // Who only looks must not register anything.
    const reading: Registry = {
      register: () => Promise.resolve(id),
      schemaById: (other) => registry.schemaById(other),
    }
    const serde = avro(JSON.parse(schema) as AvroSchema)
    return await serde.open({ topic: this.#topic, role, registry: reading })
  }
}

/** Bytes without a schema. */
function plain(bytes: Buffer): Json {
  const end = Math.min(bytes.length, LONGEST_TEXT)
  const text = readUtf8(bytes, 0, end)
  if (text === undefined || UNPRINTABLE.test(text)) return shortBytes(bytes)
  return end === bytes.length ? text : `${text}… (${formatBytes(bytes.length)})`
}

function shortBytes(bytes: Buffer): string {
  const start = bytes.toString('hex', 0, Math.min(bytes.length, SHOWN_BYTES))
  return bytes.length <= SHOWN_BYTES ? `0x${start}` : `0x${start}… (${formatBytes(bytes.length)})`
}

function jsonOf(value: unknown): Json {
  if (Buffer.isBuffer(value)) return shortBytes(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
    return value
  if (Array.isArray(value)) return value.map(jsonOf)
  if (typeof value !== 'object' || value === null) return null
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, jsonOf(field)]))
}
