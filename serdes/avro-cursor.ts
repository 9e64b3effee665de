/**
 * Avro's binary encoding, one value at a time, in place in a buffer. avsc's generated readers and
 * writers are handed this instead of avsc's own Tap, for five reasons: it reads a range of a larger
 * buffer; bytes are views, not copies; every length is checked against what is left before anything
 * is made of it; negative longs below -2^52 keep their sign; text is never repaired.
 *
 * Reading throws CorruptBytes. Writing beyond the end does not throw: the position goes on, so that
 * afterwards it says how much room the value needs.
 */
import { isUtf8 } from 'node:buffer'
import { readUtf8 } from './utf8.ts'

/** Thrown for bytes that are not Avro's; the serde makes a SerdeError of it. */
export class CorruptBytes extends Error {
  override readonly name = 'CorruptBytes'
}

/** Thrown for a value that its schema does not hold; the serde finds the field and makes a SerdeError of it. */
export class UnfitValue extends Error {
  override readonly name = 'UnfitValue'
}

/**
 * Items that take no bytes (nulls, empty records) cost memory and time, and a corrupt count may claim
 * any number of them: one value holds at most this many beyond what its bytes account for.
 */
export const MAX_EMPTY_ITEMS = 65_536

const EMPTY = Buffer.alloc(0)
const TWO_27 = 0x8000000
const TWO_55 = 2 ** 55
/** The longest text whose length takes one byte. */
const SHORT_TEXT = 63

/** A place in a buffer, and Avro's encodings from there on. */
export class Cursor {
  buf: Buffer = EMPTY
  pos = 0
  /** Where reading must stop, and where the room for writing ends. */
  end = 0
  #emptyItems = 0
  /** The last long as it lay in the buffer, in pieces of 28, 28 and 8 bits. */
  #low = 0
  #middle = 0
  #high = 0

  /** Points at [start, end) of `buffer`. */
  reset(buffer: Buffer, start: number, end: number): void {
    this.buf = buffer
    this.pos = start
    this.end = end
    this.#emptyItems = 0
  }

  /** Lets go of the buffer, which may be large. */
  release(): void {
    this.buf = EMPTY
  }

  // Reading.

  readBoolean(): boolean {
    const byte = this.#byte()
    if (byte > 1) throw new CorruptBytes(`expected a boolean (0 or 1), found byte ${byte}`)
    return byte === 1
  }

  readInt(): number {
    const n = this.readLong()
    if (n !== (n | 0)) throw new CorruptBytes(`expected a whole number of 32 bits, found ${n}`)
    return n
  }

  /** A long; rounded to the nearest number beyond 2^53, which who must be exact checks. */
  readLong(): number {
    if (this.pos < this.end) {
      const first = this.buf[this.pos] as number
      if (first < 0x80) {
        this.pos++
        return (first >>> 1) ^ -(first & 1)
      }
    }
    this.#readPieces()
    const magnitude = (this.#low >>> 1) + this.#middle * TWO_27 + this.#high * TWO_55
    return (this.#low & 1) === 1 ? -magnitude - 1 : magnitude
  }

  readBigLong(): bigint {
    const n = this.readLong()
    if (Number.isSafeInteger(n)) return BigInt(n)
    const raw = (BigInt(this.#high) << 56n) | (BigInt(this.#middle) << 28n) | BigInt(this.#low)
    return (raw >> 1n) ^ -(raw & 1n)
  }

  readFloat(): number {
    return this.buf.readFloatLE(this.#take(4))
  }

  readDouble(): number {
    return this.buf.readDoubleLE(this.#take(8))
  }

  /** `size` bytes as a view. */
  readFixed(size: number): Buffer {
    const start = this.#take(size)
    return this.buf.subarray(start, start + size)
  }

  /** Bytes as a view. */
  readBytes(): Buffer {
    return this.readFixed(this.#length())
  }

  readString(): string {
    const size = this.#length()
    const start = this.#take(size)
    const text = readUtf8(this.buf, start, start + size)
    if (text === undefined) throw new CorruptBytes('expected text, found bytes that are not UTF-8')
    return text
  }

  /** The number of items in the next block of an array or a map; 0 ends it. */
  readCount(): number {
    let count = this.readLong()
    if (count < 0) {
      count = -count
      this.#length()
    }
    const left = this.end - this.pos
    if (count > left) {
      this.#emptyItems += count - left
      if (this.#emptyItems > MAX_EMPTY_ITEMS) {
        throw new CorruptBytes(
          `expected at most ${left} items in the bytes left, found a count of ${count}`,
        )
      }
    }
    return count
  }

  // Skipping.

  skipBoolean(): void {
    this.readBoolean()
  }

  skipInt(): void {
    this.readInt()
  }

  skipLong(): void {
    this.readLong()
  }

  skipFloat(): void {
    this.#take(4)
  }

  skipDouble(): void {
    this.#take(8)
  }

  skipFixed(size: number): void {
    this.#take(size)
  }

  skipBytes(): void {
    this.#take(this.#length())
  }

  skipString(): void {
    const size = this.#length()
    const start = this.#take(size)
    if (!isUtf8(this.buf.subarray(start, start + size))) {
      throw new CorruptBytes('expected text, found bytes that are not UTF-8')
    }
  }

  /** Skips blocks whose size in bytes is written; gives the items of the first one that says no size. */
  skipBlocks(): number {
    for (;;) {
      const start = this.pos
      if (this.readLong() >= 0) {
        this.pos = start
        return this.readCount()
      }
      this.#take(this.#length())
    }
  }

  // Writing.

  writeBoolean(value: boolean): void {
    this.#put(value ? 1 : 0)
  }

  writeInt(n: number): void {
    this.writeLong(n)
  }

  writeLong(n: number): void {
    if (n >= -0x40000000 && n < 0x40000000) {
      this.#writeVarint(((n << 1) ^ (n >> 31)) >>> 0)
      return
    }
    const negative = n < 0 ? 1 : 0
    const magnitude = negative === 1 ? -n - 1 : n
    this.#writePieces((magnitude % TWO_27) * 2 + negative, Math.floor(magnitude / TWO_27), 0)
  }

  writeBigLong(n: bigint): void {
    const small = Number(n)
    if (Number.isSafeInteger(small)) {
      this.writeLong(small)
      return
    }
    const raw = BigInt.asUintN(64, (n << 1n) ^ (n >> 63n))
    const low = Number(raw & 0xfffffffn)
    const middle = Number((raw >> 28n) & 0xfffffffn)
    this.#writePieces(low, middle, Number(raw >> 56n))
  }

  writeFloat(n: number): void {
    const start = this.pos
    this.pos += 4
    if (this.pos <= this.end) this.buf.writeFloatLE(n, start)
  }

  writeDouble(n: number): void {
    const start = this.pos
    this.pos += 8
    if (this.pos <= this.end) this.buf.writeDoubleLE(n, start)
  }

  writeFixed(bytes: Buffer): void {
    const start = this.pos
    this.pos += bytes.length
    if (this.pos <= this.end) this.buf.set(bytes, start)
  }

  writeBytes(bytes: Buffer): void {
    this.writeLong(bytes.length)
    this.writeFixed(bytes)
  }

  writeString(text: string): void {
    if (text.length <= SHORT_TEXT && this.#writeShortAscii(text)) return
    if (!text.isWellFormed()) throw new UnfitValue('half of a surrogate pair')
    const size = Buffer.byteLength(text, 'utf8')
    this.writeLong(size)
    const start = this.pos
    this.pos += size
    if (this.pos <= this.end) this.buf.write(text, start, size, 'utf8')
  }

  /** Bytes that avsc keeps as a string of code units: the encoded default of a field. */
  writeBinary(binary: string, size: number): void {
    const start = this.pos
    this.pos += size
    if (this.pos <= this.end) this.buf.write(binary, start, size, 'latin1')
  }

  /** Most texts of a record are short ASCII: one pass, and neither their size nor a call into C++. */
  #writeShortAscii(text: string): boolean {
    const length = text.length
    const { buf } = this
    let pos = this.pos
    if (pos + 1 + length > this.end) return false
    buf[pos++] = length << 1
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return false
      buf[pos++] = unit
    }
    this.pos = pos
    return true
  }

  #writePieces(low: number, middle: number, high: number): void {
    for (let shift = 0; shift < 28; shift += 7) this.#put(((low >>> shift) & 0x7f) | 0x80)
    if (high === 0) {
      this.#writeVarint(middle)
      return
    }
    for (let shift = 0; shift < 28; shift += 7) this.#put(((middle >>> shift) & 0x7f) | 0x80)
    this.#writeVarint(high)
  }

  #writeVarint(unsigned: number): void {
    let rest = unsigned
    while (rest > 0x7f) {
      this.#put((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.#put(rest)
  }

  #put(byte: number): void {
    if (this.pos < this.end) this.buf[this.pos] = byte
    this.pos++
  }

  #byte(): number {
    return this.buf[this.#take(1)] as number
  }

  #length(): number {
    const length = this.readLong()
    if (length < 0) throw new CorruptBytes(`expected a length, found ${length}`)
    return length
  }

  /** Moves on by `size` bytes and gives where they begin. */
  #take(size: number): number {
    const start = this.pos
    const left = this.end - start
    if (size > left) throw new CorruptBytes(`expected ${size} more bytes, found ${left}`)
    this.pos = start + size
    return start
  }

  #readPieces(): void {
    this.#low = 0
    this.#middle = 0
    this.#high = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      this.#low |= (byte & 0x7f) << shift
      if (byte < 0x80) return
    }
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      this.#middle |= (byte & 0x7f) << shift
      if (byte < 0x80) return
    }
    const ninth = this.#byte()
    this.#high = ninth & 0x7f
    if (ninth < 0x80) return
    const tenth = this.#byte()
    if (tenth > 1) throw new CorruptBytes('expected a whole number of 64 bits, found more')
    this.#high |= tenth << 7
  }
}
