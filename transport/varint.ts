/**
 * Kafka's zigzag varints, the only integers inside a record. Source: Protocol Buffers' encoding, as
 * `org.apache.kafka.common.utils.ByteUtils` reads and writes it. Values are numbers up to 2^53 - 1
 * in size: timestamps and offsets fit, and a bigint for each record would cost more than the record.
 */

/** Bytes that the longest varint of this file takes: a 64-bit one. */
export const MAX_VARINT_BYTES = 10

const TWO_32 = 2 ** 32

/** Writes `value` at `at` and returns the place after it. The buffer must have MAX_VARINT_BYTES left. */
export function writeVarint(buffer: Buffer, at: number, value: number): number {
  if (value >= -64 && value < 64) {
    buffer[at] = value >= 0 ? value * 2 : -value * 2 - 1
    return at + 1
  }
  return value === (value | 0) ? writeVarint32(buffer, at, value) : writeVarint64(buffer, at, value)
}

/** Bytes that `writeVarint` takes for `value`. */
export function varintBytes(value: number): number {
  let rest = value >= 0 ? value : -value - 1
  let bytes = 1
  for (rest = Math.floor(rest / 64); rest > 0; rest = Math.floor(rest / 128)) bytes += 1
  return bytes
}

function writeVarint32(buffer: Buffer, start: number, value: number): number {
  let at = start
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  while (rest > 0x7f) {
    buffer[at] = (rest & 0x7f) | 0x80
    at += 1
    rest >>>= 7
  }
  buffer[at] = rest
  return at + 1
}

function writeVarint64(buffer: Buffer, start: number, value: number): number {
  // Zigzag by hand in two halves: 2·|value| may pass 2^53 and then is no longer exact.
  const magnitude = value >= 0 ? value : -value - 1
  const low = magnitude % TWO_32
  let high = ((Math.floor(magnitude / TWO_32) << 1) | (low >= TWO_32 / 2 ? 1 : 0)) >>> 0
  let rest = (((low << 1) >>> 0) | (value >= 0 ? 0 : 1)) >>> 0
  let at = start
  while (high > 0 || rest > 0x7f) {
    buffer[at] = (rest & 0x7f) | 0x80
    at += 1
    rest = ((rest >>> 7) | (high << 25)) >>> 0
    high >>>= 7
  }
  buffer[at] = rest
  return at + 1
}

/** Reads varints one after the other. One is made per batch, so that reading a record makes no garbage. */
export class VarintReader {
  readonly buffer: Buffer
  /** The place of the next byte. */
  at: number

  constructor(buffer: Buffer, at: number) {
    this.buffer = buffer
    this.at = at
  }

  /**
   * The next varint. Throws a RangeError where the buffer ends inside it, where it is longer than
   * ten bytes, or where its value is beyond 2^53 - 1.
   */
  next(): number {
    const first = this.buffer[this.at]
    if (first !== undefined && first < 0x80) {
      this.at += 1
      return (first & 1) === 0 ? first >>> 1 : -(first >>> 1) - 1
    }
    return this.#nextLong()
  }

  #nextLong(): number {
    let zigzag = 0
    let scale = 1
    let negative = false
    for (let read = 0; read < MAX_VARINT_BYTES; read += 1) {
      const byte = this.buffer[this.at]
      if (byte === undefined) throw new RangeError('the buffer ends inside a varint')
      this.at += 1
      if (read === 0) {
        negative = (byte & 1) === 1
        zigzag = (byte & 0x7f) >>> 1
        scale = 64
      } else {
        zigzag += (byte & 0x7f) * scale
        scale *= 128
      }
      if (byte < 0x80) return checked(negative ? -zigzag - 1 : zigzag)
    }
    throw new RangeError('a varint of more than ten bytes')
  }
}

function checked(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`a varint beyond 2^53 - 1: ${value}`)
  return value
}
