/**
 * Reads Kafka's primitives from a response. Nothing is copied but text: bytes and record batches are
 * views of the response's buffer. Lengths are checked against what is left before anything is made
 * of them, so that a damaged response is a RangeError and never a loop of a billion steps.
 */

const TWO_32 = 2 ** 32

/** Reads one response from front to back. */
export class WireReader {
  readonly buffer: Buffer
  /** Whether this version of the response is flexible: compact lengths and tagged fields. */
  readonly flexible: boolean
  /** The place of the next byte. */
  at: number

  constructor(buffer: Buffer, flexible: boolean, at = 0) {
    this.buffer = buffer
    this.flexible = flexible
    this.at = at
  }

  /** Bytes not yet read. */
  get leftBytes(): number {
    return this.buffer.length - this.at
  }

  bool(): boolean {
    return this.int8() !== 0
  }

  int8(): number {
    const value = this.buffer.readInt8(this.at)
    this.at += 1
    return value
  }

  int16(): number {
    const value = this.buffer.readInt16BE(this.at)
    this.at += 2
    return value
  }

  int32(): number {
    const value = this.buffer.readInt32BE(this.at)
    this.at += 4
    return value
  }

  /** Throws a RangeError beyond 2^53 - 1: offsets are numbers here. */
  int64(): number {
    const value = this.buffer.readInt32BE(this.at) * TWO_32 + this.buffer.readUInt32BE(this.at + 4)
    if (!Number.isSafeInteger(value)) throw new RangeError('a 64-bit number beyond 2^53 - 1')
    this.at += 8
    return value
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer.readUInt8(this.at)
      this.at += 1
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a varint of more than five bytes')
  }

  /** A UUID in its text form. */
  uuid(): string {
    const hex = this.#take(16).toString('hex')
    const cuts = [0, 8, 12, 16, 20, 32]
    return cuts
      .slice(1)
      .map((end, at) => hex.slice(cuts[at], end))
      .join('-')
  }

  string(): string {
    return required(this.nullableString())
  }

  nullableString(): string | null {
    const length = this.flexible ? this.uvarint() - 1 : this.int16()
    if (length < 0) return null
    const start = this.#advance(length)
    return this.buffer.toString('utf8', start, this.at)
  }

  bytes(): Buffer {
    return required(this.nullableBytes())
  }

  /** A view of the response. */
  nullableBytes(): Buffer | null {
    const length = this.#length32()
    return length < 0 ? null : this.#take(length)
  }

  array<T>(read: () => T): T[] {
    return this.nullableArray(read) ?? []
  }

  nullableArray<T>(read: () => T): T[] | null {
    const length = this.#length32()
    if (length < 0) return null
    if (length > this.leftBytes)
      throw new RangeError(`a list of ${length} in ${this.leftBytes} bytes`)
    const items: T[] = []
    for (let index = 0; index < length; index += 1) items.push(read())
    return items
  }

  int32s(): number[] {
    return this.array(() => this.int32())
  }

  /**
   * The end of a structure: tagged fields. Those that `known` reads are read, others skipped; a
   * reader that stops short of its field's end is set there, for fields may grow.
   */
  tags(known: Readonly<Record<number, () => void>> = {}): void {
    if (!this.flexible) return
    const count = this.uvarint()
    for (let index = 0; index < count; index += 1) {
      const tag = this.uvarint()
      const length = this.uvarint()
      const end = this.#advance(length) + length
      const read = known[tag]
      if (read !== undefined) {
        this.at = end - length
        read()
        this.at = end
      }
    }
  }

  #length32(): number {
    return this.flexible ? this.uvarint() - 1 : this.int32()
  }

  #take(length: number): Buffer {
    const start = this.#advance(length)
    return this.buffer.subarray(start, this.at)
  }

  /** Moves on by `length` and returns where it was. */
  #advance(length: number): number {
    if (length > this.leftBytes)
      throw new RangeError(`${length} bytes where ${this.leftBytes} are left`)
    const start = this.at
    this.at += length
    return start
  }
}

function required<T>(value: T | null): T {
  if (value === null) throw new RangeError('null where a value has to be')
  return value
}
