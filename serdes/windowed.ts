/**
 * Keys of windows, in the bytes that Java's serdes of the same name write, so that either side reads
 * the other's topics and changelogs. All numbers are big-endian:
 *
 *   time window:     key ‖ int64 start          (the reader has to know how long a window is)
 *   session window:  key ‖ int64 end ‖ int64 start
 *
 * The key comes first, so that a store or topic has all windows of a key side by side; it keeps its
 * prefix, the five bytes of a registry id, at the very front. `describeWindowed` is Java's text form.
 */
import { SerdeError } from './errors.ts'
import { excerpt } from './excerpt.ts'
import type { OpenSerde, Serde, SerdeContext } from './serde.ts'

/** A key in one window; times in milliseconds since 1970. */
export interface Windowed<K> {
  readonly key: K
  /** The first moment in it. */
  readonly startMs: number
  /** Of a time window the first moment behind it, of a session its last record. */
  readonly endMs: number
}

/**
 * Keys in windows that are all `sizeMs` long. Java: `TimeWindowedSerializer`. A window of another
 * length is MILLRACE_SERIALIZATION, for its end could not be read again.
 */
export function timeWindowed<K>(serde: Serde<K>, sizeMs: number): Serde<Windowed<K>> {
  if (!Number.isSafeInteger(sizeMs) || sizeMs < 1) {
    throw new RangeError(`a window is a whole number of milliseconds long, not ${sizeMs}`)
  }
  return windowed(serde, {
    name: `timeWindowed(${serde.name}, ${sizeMs})`,
    bytes: 8,
    expected: `a key in a window of ${sizeMs} ms`,
    fits: ({ startMs, endMs }) => endMs - startMs === sizeMs,
    write: (buffer, at, { startMs }) => writeTime(buffer, at, startMs),
    read(buffer, at) {
      const startMs = readTime(buffer, at)
      return { startMs, endMs: startMs + sizeMs }
    },
  })
}

/** Keys in windows of any length, sessions. Java: `SessionWindowedSerializer`. */
export function sessionWindowed<K>(serde: Serde<K>): Serde<Windowed<K>> {
  return windowed(serde, {
    name: `sessionWindowed(${serde.name})`,
    bytes: 16,
    expected: 'a key in a session',
    fits: ({ startMs, endMs }) => startMs <= endMs,
    write(buffer, at, { startMs, endMs }) {
      writeTime(buffer, at, endMs)
      writeTime(buffer, at + 8, startMs)
    },
    read: (buffer, at) => ({ endMs: readTime(buffer, at), startMs: readTime(buffer, at + 8) }),
  })
}

/** Java's text form, `[key@start/end]`; a key that is an object as JSON, bytes as hexadecimal digits. */
export function describeWindowed({ key, startMs, endMs }: Windowed<unknown>): string {
  return `[${textOf(key)}@${startMs}/${endMs}]`
}

/** The two times of a window. */
type Span = Pick<Windowed<unknown>, 'startMs' | 'endMs'>

/** One of the two formats: what stands behind the key. */
interface Format {
  readonly name: string
  /** How many bytes it takes. */
  readonly bytes: number
  /** What `fits`, for messages. */
  readonly expected: string
  readonly fits: (span: Span) => boolean
  readonly write: (buffer: Buffer, at: number, span: Span) => void
  readonly read: (buffer: Buffer, at: number) => Span
}

function windowed<K>(serde: Serde<K>, format: Format): Serde<Windowed<K>> {
  return Object.freeze({
    name: format.name,
    async open(context: SerdeContext): Promise<OpenSerde<Windowed<K>>> {
      return new OpenWindowed(await serde.open(context), format, context)
    },
  })
}

class OpenWindowed<K> implements OpenSerde<Windowed<K>> {
  readonly prefix: Buffer
  readonly timeBytes: number
  readonly #key: OpenSerde<K>
  readonly #format: Format
  readonly #context: SerdeContext

  constructor(key: OpenSerde<K>, format: Format, context: SerdeContext) {
    this.prefix = key.prefix
    this.timeBytes = format.bytes
    this.#key = key
    this.#format = format
    this.#context = context
  }

  serialize(value: Windowed<K>): Buffer {
    // Callers without types may pass anything.
    const given = value as Windowed<K> | null | undefined
    if (given === null || given === undefined || !this.#fits(given)) throw this.#refusal(given)
    const key = this.#key.serialize(given.key)
    const buffer = Buffer.allocUnsafe(key.length + this.#format.bytes)
    buffer.set(key, 0)
    this.#format.write(buffer, key.length, given)
    return buffer
  }

  deserialize(buffer: Buffer, start: number, end: number): Windowed<K> {
    const keyEnd = end - this.#format.bytes
    if (keyEnd < start) {
      throw this.#damage(`expected at least ${this.#format.bytes} bytes, found ${end - start}`)
    }
    const span = this.#format.read(buffer, keyEnd)
    if (!this.#fits(span)) {
      const found = excerpt(buffer.subarray(keyEnd, end))
      throw this.#damage(`expected ${this.#format.expected}, found ${found} behind the key`)
    }
    const { startMs, endMs } = span
    return { key: this.#key.deserialize(buffer, start, keyEnd), startMs, endMs }
  }

  #fits(span: Span): boolean {
    return isTime(span.startMs) && isTime(span.endMs) && this.#format.fits(span)
  }

  #refusal(value: Windowed<K> | null | undefined): SerdeError {
    const { topic, role } = this.#context
    const found =
      value === null || value === undefined || typeof value !== 'object'
        ? excerpt(value)
        : `one from ${excerpt(value.startMs)} to ${excerpt(value.endMs)}`
    return new SerdeError(
      'MILLRACE_SERIALIZATION',
      `cannot write a ${role} of ${topic} as ${this.#format.name}: expected ${this.#format.expected}, found ${found}`,
    )
  }

  #damage(what: string): SerdeError {
    const { topic, role } = this.#context
    return new SerdeError(
      'MILLRACE_DESERIALIZATION',
      `cannot read a ${role} of ${topic} as ${this.#format.name}: ${what}. ` +
        'Check which serde wrote the topic; skip or dead-letter the record if it is the only one',
    )
  }
}

/** As Java's long; in two halves, because a bigint costs five times as much. */
function writeTime(buffer: Buffer, at: number, time: number): void {
  const high = Math.floor(time / 2 ** 32)
  buffer.writeUInt32BE(high, at)
  buffer.writeUInt32BE(time - high * 2 ** 32, at + 4)
}

/** NaN for what no window begins or ends at: Java refuses negative times, and a number holds 53 bits. */
function readTime(buffer: Buffer, at: number): number {
  const high = buffer.readInt32BE(at)
  const time = high * 2 ** 32 + buffer.readUInt32BE(at + 4)
  return isTime(time) ? time : NaN
}

function isTime(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function textOf(key: unknown): string {
  if (Buffer.isBuffer(key)) return key.toString('hex')
  return typeof key === 'object' && key !== null ? JSON.stringify(key, inJson) : String(key)
}

function inJson(_name: string, part: unknown): unknown {
  return typeof part === 'bigint' ? `${part}` : part
}
