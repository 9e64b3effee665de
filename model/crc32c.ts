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
/** The polynomials 1 and x in that form. */
const ONE = 0x80000000
const X = 0x40000000
/** x to this power is 1: the polynomial is x + 1 times a primitive one of degree 31. So every power has an inverse. */
const ORDER = 2 ** 31 - 1

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
  const throughPart = times((whole ^ crc32c(after)) >>> 0, powerOfX(-8 * after.length))
  return (throughPart ^ times(crc32c(before), powerOfX(8 * sizeBytes))) >>> 0
}

/** The product of two remainders. */
function times(a: number, b: number): number {
  let product = 0
  let shifted = b
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ POLYNOMIAL
  }
  return product >>> 0
}

/** x to the power of `exponent`, which may be negative. */
function powerOfX(exponent: number): number {
  let left = ((exponent % ORDER) + ORDER) % ORDER
  let power = ONE
  for (let square = X; left > 0; square = times(square, square)) {
    if (left % 2 === 1) power = times(power, square)
    left = Math.floor(left / 2)
  }
  return power
}
