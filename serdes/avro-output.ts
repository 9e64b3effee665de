/**
 * Where encoded values go. Small ones are written one after the other into a slab, big ones into a
 * buffer of their own, each byte of a value once: nothing is encoded into scratch room and copied out.
 * A value's first attempt may find too little room; it then says how much it needs, without copying
 * what does not fit, and the second attempt has exactly that.
 */
import type { AvroCodec } from './avro-codec.ts'
import { Cursor } from './avro-cursor.ts'
import type { Room } from './serde.ts'

/** One small value that is kept keeps this much: an eighth of Node's own pool, and dozens of values. */
const SLAB_BYTES = 8_192
/** Values above this get a buffer of their own. */
const MAX_SLAB_VALUE_BYTES = SLAB_BYTES / 4
/** A buffer made for a value like the one before may be too long by this part of it. */
const SPARE_PART = 8

/** Encodes the values of one open serde. */
export class AvroOutput {
  readonly #codec: AvroCodec
  readonly #prefix: Buffer
  readonly #cursor = new Cursor()
  #slab: Buffer = Buffer.allocUnsafeSlow(0)
  #free = 0
  /** The size of the last value where it was a big one, else 0: the next is likely to be like it. */
  #expectedBytes = 0

  constructor(codec: AvroCodec, prefix: Buffer) {
    this.#codec = codec
    this.#prefix = prefix
  }

  /** The prefix and `value`, in a buffer that nobody else writes to; a big value takes it from `room`. Throws for a value that does not fit its schema. */
  encode(value: unknown, room?: Room): Buffer {
    if (this.#expectedBytes > 0) return this.#encodeBig(value, this.#expectedBytes, room)
    const start = this.#free
    const end = this.#write(value, this.#slab, start)
    if (end <= this.#slab.length) {
      this.#free = end
      return this.#slab.subarray(start, end)
    }
    const size = end - start
    if (size > MAX_SLAB_VALUE_BYTES) return this.#encodeBig(value, size, room)
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.#free = this.#write(value, this.#slab, 0)
    return this.#slab.subarray(0, this.#free)
  }

  #encodeBig(value: unknown, expectedBytes: number, lender?: Room): Buffer {
    const room = lender?.take(expectedBytes) ?? Buffer.allocUnsafeSlow(expectedBytes)
    const size = this.#write(value, room, 0)
    this.#expectedBytes =
      size > MAX_SLAB_VALUE_BYTES ? size + Math.ceil(size / (2 * SPARE_PART)) : 0
    if (lender !== undefined && size <= room.length) return room.subarray(0, size)
    const spare = expectedBytes - size
    if (spare >= 0 && spare <= size / SPARE_PART) return room.subarray(0, size)
    const exact = lender?.take(size) ?? Buffer.allocUnsafeSlow(size)
    if (spare < 0) this.#write(value, exact, 0)
    else exact.set(room.subarray(0, size))
    return exact.length === size ? exact : exact.subarray(0, size)
  }

  /** Writes prefix and value from `start` on, as far as there is room, and gives where they end or would end. */
  #write(value: unknown, room: Buffer, start: number): number {
    const cursor = this.#cursor
    cursor.reset(room, start, room.length)
    cursor.writeFixed(this.#prefix)
    this.#codec.write(cursor, value)
    cursor.release()
    return cursor.pos
  }
}
