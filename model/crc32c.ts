/**
 * CRC-32C (Castagnoli), as Kafka's record batches and our references and chunks carry it.
 *
 * A CRC is a remainder of polynomials over GF(2): bytes that come behind multiply it by a power of x,
 * and bytes that came before are added. So the CRC of a part follows from that of the whole and of
 * the few bytes around the part, in as many steps as its length has bits, without another look at it.
 * Source: `crc32_combine` of zlib (multmodp, x2nmodp), with the polynomial of CRC-32C.
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'

/** The polynomial without x^32, lowest power in the highest bit, as the CRC itself. */
const POLYNOMIAL = 0x82f63b78
/** The polynomials 1 and x^8 in that form. */
const ONE = 0x80000000
const ONE_BYTE = 0x00800000
/** x to 2^31 - 1 is 1, for the polynomial is x + 1 times a primitive one of degree 31: squares come round after 31, and every power has an inverse. */
const ORDER_BITS = 31

/** x^8 to the powers 1, 2, 4, …, and the inverses of these. */
const BYTES_ON = squaresFrom(ONE_BYTE)
const BYTES_BACK = squaresFrom(inverse(BYTES_ON))

/** The CRC-32C of `bytes` as an unsigned number; `previous` continues the CRC of what came before. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return nativeCrc32c(bytes, previous) >>> 0
}

/** A whole of which the CRC-32C is known, and where in it the part lies. */
export interface PartOfWhole {
  /** Everything before the part. */
  readonly before: Uint8Array
  readonly sizeBytes: number
  /** Everything behind it. */
  readonly after: Uint8Array
}

/** The CRC-32C of a part of `sizeBytes`, told from the `whole`'s: the part's own bytes are not read. */
export function crc32cOfPart(whole: number, { before, sizeBytes, after }: PartOfWhole): number {
  const throughPart = moved((whole ^ crc32c(after)) >>> 0, after.length, BYTES_BACK)
  return (throughPart ^ moved(crc32c(before), sizeBytes, BYTES_ON)) >>> 0
}

/** The CRC-32C of bytes with the CRC `before` and of `sizeBytes` with the CRC `part` behind them: none of them is read. */
export function crc32cOfJoined(
  before: number,
  { part, sizeBytes }: { readonly part: number; readonly sizeBytes: number },
): number {
  return (moved(before, sizeBytes, BYTES_ON) ^ part) >>> 0
}

/** A remainder times x^8, or its inverse, to the power of `bytes`. */
function moved(crc: number, bytes: number, powers: readonly number[]): number {
  let product = crc
  let left = bytes
  for (let bit = 0; left > 0; bit = (bit + 1) % ORDER_BITS) {
    if (left % 2 === 1) product = times(product, powers[bit] ?? ONE)
    left = Math.floor(left / 2)
  }
  return product
}

/** The product of two remainders. Within the loop they are signed: a number beyond 31 bits would be a double. */
function times(a: number, b: number): number {
  let product = 0
  let shifted = b | 0
  for (let rest = a | 0; rest !== 0; rest <<= 1) {
    if (rest < 0) product ^= shifted
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ POLYNOMIAL
  }
  return product >>> 0
}

function squaresFrom(first: number): readonly number[] {
  const squares = [first]
  for (let power = first; squares.length < ORDER_BITS; squares.push(power)) {
    power = times(power, power)
  }
  return squares
}

/** The inverse of the first: to the power of 2^31 - 2, which is the product of all squares behind it. */
function inverse(squares: readonly number[]): number {
  return squares.slice(1).reduce(times, ONE)
}
