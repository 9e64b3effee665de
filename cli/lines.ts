/**
 * Lines of a stream of bytes, and the records that they stand for. Bytes stay bytes: what a line holds
 * is not decoded, so that what is sent is what was written, whatever its encoding.
 */
import { MillraceError } from '../model/errors.ts'
import { formatBytes } from './quantities.ts'

/** The longest line by default; Kafka's brokers take a megabyte where they are not told otherwise. */
export const LONGEST_LINE_BYTES = 64 * 2 ** 20

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/**
 * The whole lines that each chunk of `input` completes, without their ends (LF or CRLF); an end that
 * is missing is added behind the last. Keeps no more than one line. Throws MILLRACE_RECORD_TOO_LARGE
 * for one longer than `longest` bytes.
 */
export async function* linesOf(
  input: AsyncIterable<Buffer>,
  longest = LONGEST_LINE_BYTES,
): AsyncGenerator<readonly Buffer[]> {
  let parts: Buffer[] = []
  let bytes = 0
  let done = 0
  const take = (part: Buffer): void => {
    bytes += part.length
    if (bytes > longest) throw tooLong(done + 1, longest)
    parts.push(part)
  }
  const line = (): Buffer => {
    const whole = parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts)
    parts = []
    bytes = 0
    done += 1
    return whole.at(-1) === CARRIAGE_RETURN ? whole.subarray(0, -1) : whole
  }
  for await (const chunk of input) {
    const lines: Buffer[] = []
    let from = 0
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, from)
      if (end === -1) break
      take(chunk.subarray(from, end))
      lines.push(line())
      from = end + 1
    }
    if (from < chunk.length) take(chunk.subarray(from))
    yield lines
  }
  if (bytes > 0) yield [line()]
}

/** How a line is read. */
export interface LineFormat {
  /** What stands between key and value, at its first place in the line. */
  readonly separator: Buffer
  /** A value of these bytes is none; undefined where every value is one. */
  readonly tombstone: Buffer | undefined
}

/** The key and the value of a line: without a separator it is a value alone. Both are views on `line`. */
export function recordOfLine(
  line: Buffer,
  { separator, tombstone }: LineFormat,
): { readonly key: Buffer | null; readonly value: Buffer | null } {
  const at = line.indexOf(separator)
  const key = at === -1 ? null : line.subarray(0, at)
  const value = at === -1 ? line : line.subarray(at + separator.length)
  return { key, value: tombstone?.equals(value) === true ? null : value }
}

function tooLong(number: number, longest: number): MillraceError {
  const place = `line ${number}`
  const message = `${place} is longer than ${formatBytes(longest)}, which is no record for a log; the lines before it were sent`
  return new MillraceError('MILLRACE_RECORD_TOO_LARGE', message, { place })
}
