/**
 * The two shapes a record has: bytes in the log, and values in a topology. Both are classes of one
 * fixed shape, because the record loop creates one of each per record and V8 then reads every field
 * at a known place (a record of views, closures and a bigint offset costs twenty times as much).
 */

/** One header of a record. Order matters and a key may come more than once, as in Kafka. */
export interface Header {
  readonly key: string
  readonly value: Buffer | null
}

/** The headers of a record. Shared between records and never changed in place. */
export type Headers = readonly Header[]

/** The headers of a record that has none: compare by reference to skip work. */
export const NO_HEADERS: Headers = Object.freeze([])

/**
 * A record as it lies in the log: ranges of buffers, read in place. `keyEnd` or `valueEnd` is -1
 * where the key or the value is null. The buffers belong to the batch the record came in.
 */
export class LogRecord {
  readonly offset: number
  /** Milliseconds since 1970; -1 where the producer gave none. */
  readonly timestamp: number
  readonly keyBuffer: Buffer
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueBuffer: Buffer
  readonly valueStart: number
  readonly valueEnd: number
  readonly headers: Headers
  /** The CRC-32C of the value's bytes, where reading the record told it on the way: undefined says nothing. */
  readonly valueCrc: number | undefined

  // eslint-disable-next-line max-params -- one call per record: an options object would be garbage.
  constructor(
    offset: number,
    timestamp: number,
    keyBuffer: Buffer,
    keyStart: number,
    keyEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
    headers: Headers,
    valueCrc?: number,
  ) {
    this.offset = offset
    this.timestamp = timestamp
    this.keyBuffer = keyBuffer
    this.keyStart = keyStart
    this.keyEnd = keyEnd
    this.valueBuffer = valueBuffer
    this.valueStart = valueStart
    this.valueEnd = valueEnd
    this.headers = headers
    this.valueCrc = valueCrc
  }

  /** The key as a view on the batch's buffer, or null. */
  get key(): Buffer | null {
    return this.keyEnd < 0 ? null : this.keyBuffer.subarray(this.keyStart, this.keyEnd)
  }

  /** The value as a view on the batch's buffer, or null. */
  get value(): Buffer | null {
    return this.valueEnd < 0 ? null : this.valueBuffer.subarray(this.valueStart, this.valueEnd)
  }

  /** Bytes of key and value together. */
  get sizeBytes(): number {
    return Math.max(0, this.keyEnd - this.keyStart) + Math.max(0, this.valueEnd - this.valueStart)
  }
}

/** A record on its way through a topology. Never changed once it was forwarded: derive a new one. */
export class StreamRecord<K, V> {
  readonly key: K
  readonly value: V
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly headers: Headers

  // eslint-disable-next-line max-params -- one call per record: an options object would be garbage.
  constructor(key: K, value: V, timestamp: number, headers: Headers) {
    this.key = key
    this.value = value
    this.timestamp = timestamp
    this.headers = headers
  }

  /** The same record with another value. */
  withValue<W>(value: W): StreamRecord<K, W> {
    return new StreamRecord(this.key, value, this.timestamp, this.headers)
  }

  /** The same record with another key. */
  withKey<L>(key: L): StreamRecord<L, V> {
    return new StreamRecord(key, this.value, this.timestamp, this.headers)
  }
}
