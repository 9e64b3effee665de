/**
 * UTF-8 that is never repaired. Node replaces what does not fit by U+FFFD, in both directions: a
 * damaged record would be read as another text and written back as such, and nobody would know.
 */
import { isUtf8 } from 'node:buffer'

const REPLACEMENT = '\ufffd'

/** The text in [start, end) of `buffer`, or undefined where the bytes are not UTF-8. */
export function readUtf8(buffer: Buffer, start: number, end: number): string | undefined {
  const text = buffer.toString('utf8', start, end)
  // A repair leaves U+FFFD behind, so that only a text that has one must be looked at twice.
  if (text.includes(REPLACEMENT) && !isUtf8(buffer.subarray(start, end))) return undefined
  return text
}

/** Whether `text` can be written as UTF-8: half of a surrogate pair cannot. */
export function isWritable(text: string): boolean {
  return text.isWellFormed()
}
