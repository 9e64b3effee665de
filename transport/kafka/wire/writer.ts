/**
 * Writes Kafka's primitives into parts that a socket takes one after the other. Small values are
 * packed into chunks; a buffer of some size becomes a part as it is, so that a value of 10 MB is
 * never copied on its way out. Source of the forms: Kafka's protocol guide, "Protocol Primitive Types".
 *
 * One encoder serves all versions of a request: strings, arrays and bytes take their compact forms,
 * and `tags` its byte, where the version is a flexible one. Rejected: an encoder for each version,
 * which repeats everything for the sake of a length.
 */

/** Buffers from this size on become a part of their own instead of being copied. */
export const OWN_PART_BYTES = 1024

const FIRST_CHUNK_BYTES = 256
const LARGEST_CHUNK_BYTES = 64 * 1024
const TWO_32 = 2 ** 32

/** Collects the parts of one request. */
export class WireWriter {
  /** Whether this version of the request is flexible: compact lengths and tagged fields. */
  readonly flexible: boolean
  readonly #parts: Buffer[] = []
  #sealedBytes = 0
  #chunk = Buffer.allocUnsafe(FIRST_CHUNK_BYTES)
  /** Where what is not yet a part begins in the chunk, and where the next byte goes. */
  #start = 0
  #at = 0

  constructor(flexible: boolean) {
    this.flexible = flexible
  }

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#sealedBytes + this.#at - this.#start
  }

  /** Everything written, in order, as parts that are not to be changed. */
  parts(): readonly Buffer[] {
    this.#seal()
    return this.#parts
  }

  bool(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  int8(value: number): this {
    this.#need(1)
    this.#at = this.#chunk.writeInt8(value, this.#at)
    return this
  }

  int16(value: number): this {
    this.#need(2)
    this.#at = this.#chunk.writeInt16BE(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#need(4)
    this.#at = this.#chunk.writeInt32BE(value, this.#at)
    return this
  }

  /** A whole number within 2^53 - 1 of zero. */
  int64(value: number): this {
    this.#need(8)
    this.#at = this.#chunk.writeInt32BE(Math.floor(value / TWO_32), this.#at)
    this.#at = this.#chunk.writeUInt32BE(value >>> 0, this.#at)
    return this
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(value: number): this {
    this.#need(5)
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.#chunk[this.#at] = (rest & 0x7f) | 0x80
      this.#at += 1
      rest >>>= 7
    }
    this.#chunk[this.#at] = rest
    this.#at += 1
    return this
  }

  /** A UUID in its text form. */
  uuid(value: string): this {
    const bytes = Buffer.from(value.replaceAll('-', ''), 'hex')
    if (bytes.length !== 16) throw new RangeError(`not a UUID: ${value}`)
    return this.raw(bytes)
  }

  string(value: string): this {
    const sizeBytes = Buffer.byteLength(value)
    this.#length16(sizeBytes)
    this.#need(sizeBytes)
    this.#at += this.#chunk.write(value, this.#at)
    return this
  }

  nullableString(value: string | null): this {
    return value === null ? this.#length16(-1) : this.string(value)
  }

  bytes(value: Buffer): this {
    return this.#length32(value.length).raw(value)
  }

  /** Record batches, brought as parts: their length, then each part as it is. */
  records(parts: readonly Buffer[]): this {
    let sizeBytes = 0
    for (const part of parts) sizeBytes += part.length
    this.#length32(sizeBytes)
    for (const part of parts) this.raw(part)
    return this
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.#length32(items.length)
    for (const item of items) write(item)
    return this
  }

  nullableArray<T>(items: readonly T[] | null, write: (item: T) => void): this {
    return items === null ? this.#length32(-1) : this.array(items, write)
  }

  int32s(values: readonly number[]): this {
    return this.array(values, (value) => this.int32(value))
  }

  strings(values: readonly string[]): this {
    return this.array(values, (value) => this.string(value))
  }

  /** The end of a structure: no tagged fields. Nothing in versions that know none. */
  tags(): this {
    return this.flexible ? this.uvarint(0) : this
  }

  /** Bytes without a length before them. */
  raw(value: Buffer): this {
    if (value.length >= OWN_PART_BYTES) {
      this.#seal()
      this.#parts.push(value)
      this.#sealedBytes += value.length
      return this
    }
    this.#need(value.length)
    this.#at += value.copy(this.#chunk, this.#at)
    return this
  }

  /** Length of a string: -1 is null. */
  #length16(length: number): this {
    return this.flexible ? this.uvarint(length + 1) : this.int16(length)
  }

  /** Length of bytes or of an array: -1 is null. */
  #length32(length: number): this {
    return this.flexible ? this.uvarint(length + 1) : this.int32(length)
  }

  #need(sizeBytes: number): void {
    if (this.#at + sizeBytes <= this.#chunk.length) return
    this.#seal()
    const grown = Math.min(this.#chunk.length * 2, LARGEST_CHUNK_BYTES)
    this.#chunk = Buffer.allocUnsafe(Math.max(grown, sizeBytes))
    this.#start = 0
    this.#at = 0
  }

  /** Makes a part of what the chunk holds since the last one. */
  #seal(): void {
    if (this.#at === this.#start) return
    this.#parts.push(this.#chunk.subarray(this.#start, this.#at))
    this.#sealedBytes += this.#at - this.#start
    this.#start = this.#at
  }
}
