/**
 * Bytes of any topic as something to look at. A value whose kind is told is read as that; one in
 * Confluent's wire format by the schema it was written with; other bytes are text where they are text.
 * For a program everything is whole, and bytes are `{"base64": …}`. For people bytes are hexadecimal
 * digits and what is long is cut: a chunk of video is not for a terminal.
 */
import { asError } from '../model/errors.ts'
import { deserializeNow } from '../processors/deserialize.ts'
import type { AvroSchema } from '../serdes/avro-type.ts'
import { avro } from '../serdes/avro.ts'
import { json } from '../serdes/json.ts'
import { bytes, float64, int32, int64, text, uuid } from '../serdes/primitives.ts'
import type { Registry } from '../serdes/registry.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import { readUtf8 } from '../serdes/utf8.ts'
import type { Json } from './output.ts'
import { formatBytes } from './quantities.ts'

const MAGIC = 0
const WIRE_PREFIX_BYTES = 5
const SHOWN_BYTES = 24
const LONGEST_TEXT = 2000
// eslint-disable-next-line no-control-regex -- text has few of them.
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/

/** What the bytes of a topic may be said to be, by the names of serdes. */
export const KINDS = { text, int32, int64, float64, uuid, json: json(), bytes } as const

/** One of the names. */
export type Kind = keyof typeof KINDS

/** How the records of a topic are read. */
export interface ReadingOptions {
  readonly registry: Registry
  /** Everything whole and as JSON has it, for a program; otherwise short, for people. */
  readonly isWhole: boolean
  /** What keys and values are; undefined where the bytes shall tell. */
  readonly kinds: { readonly key: Kind | undefined; readonly value: Kind | undefined }
}

type Role = 'key' | 'value'

/** Reads keys and values of one topic. */
export class RecordReader {
  readonly #topic: string
  readonly #options: ReadingOptions
  readonly #serdes = new Map<string, OpenSerde<unknown> | undefined>()

  constructor(topic: string, options: ReadingOptions) {
    this.#topic = topic
    this.#options = options
  }

  /** A key or a value as JSON; null for none. What cannot be read is shown as bytes, with a mark. */
  async read(role: Role, from: Buffer | null): Promise<Json> {
    if (from === null) return null
    const { isWhole, kinds } = this.#options
    const kind = kinds[role]
    const serde = await (kind === undefined ? this.#writerOf(role, from) : this.#told(role, kind))
    if (serde === undefined) return this.plain(from)
    try {
      return jsonOf(await deserializeNow(serde, from), isWhole)
    } catch (error) {
      if (kind !== undefined && !isWhole) return `${shortBytes(from)} (not ${kind})`
      const shown = isWhole ? wholeBytes(from) : { bytes: this.plain(from) }
      return { unreadable: asError(error).message, ...shown }
    }
  }

  /** Bytes of which nothing is known: text where they are text. */
  plain(from: Buffer): Json {
    const { isWhole } = this.#options
    const end = isWhole ? from.length : borderBefore(from, LONGEST_TEXT)
    const found = readUtf8(from, 0, end)
    if (found === undefined || UNPRINTABLE.test(found)) {
      return isWhole ? wholeBytes(from) : shortBytes(from)
    }
    return end === from.length ? found : `${found}… (${formatBytes(from.length)})`
  }

  async #told(role: Role, kind: Kind): Promise<OpenSerde<unknown>> {
    const known = this.#serdes.get(role)
    if (known !== undefined) return known
    const serde: Serde<unknown> = KINDS[kind]
    const { registry } = this.#options
    const opened = await serde.open({ topic: this.#topic, role, registry })
    this.#serdes.set(role, opened)
    return opened
  }

  /** The serde of the schema that the bytes name; undefined where they name none that the registry has. */
  async #writerOf(role: Role, from: Buffer): Promise<OpenSerde<unknown> | undefined> {
    if (from.length < WIRE_PREFIX_BYTES || from[0] !== MAGIC) return undefined
    const id = from.readInt32BE(1)
    const key = `${role} ${id}`
    if (!this.#serdes.has(key)) this.#serdes.set(key, await this.#open(role, id))
    return this.#serdes.get(key)
  }

  async #open(role: Role, id: number): Promise<OpenSerde<unknown> | undefined> {
    const { registry } = this.#options
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

/** The end of the last whole character in the first `most` bytes; all bytes where there are no more. */
function borderBefore(from: Buffer, most: number): number {
  if (from.length <= most) return from.length
  let end = most
  // A character has at most three bytes behind its first; more of them are no text anyway.
  while (end > most - 3 && ((from[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return end
}

function wholeBytes(from: Buffer): { readonly base64: string } {
  return { base64: from.toString('base64') }
}

function shortBytes(from: Buffer): string {
  const start = from.toString('hex', 0, Math.min(from.length, SHOWN_BYTES))
  return from.length <= SHOWN_BYTES ? `0x${start}` : `0x${start}… (${formatBytes(from.length)})`
}

/** A value as JSON; what JSON has no number for, 64 bits and what is not finite, is its text. */
function jsonOf(value: unknown, isWhole: boolean): Json {
  if (Buffer.isBuffer(value)) return isWhole ? wholeBytes(value) : shortBytes(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map((item) => jsonOf(item, isWhole))
  if (typeof value !== 'object' || value === null) return null
  const fields = Object.entries(value)
  return Object.fromEntries(fields.map(([name, field]) => [name, jsonOf(field, isWhole)]))
}
