/** A stored value: its timestamp as Java's big-endian long, then the value as a record carries it. */
import { readInt64, writeInt64 } from './keys.ts'

/** Bytes before the value. */
export const TIMESTAMP_BYTES = 8

/**
 * The stored form of `source[start, end)`: the one copy a value undergoes on its way into a store.
 * It cannot be spared, for the bytes may be a view on a fetched batch whose buffer is used again.
 */
export function withTimestamp(timestamp: number, source: Buffer, start = 0): Buffer {
  const stored = Buffer.allocUnsafe(TIMESTAMP_BYTES + source.length - start)
  writeInt64(stored, timestamp, 0)
  // Nearly always all of it: then no view is needed.
  if (start === 0) stored.set(source, TIMESTAMP_BYTES)
  else source.copy(stored, TIMESTAMP_BYTES, start)
  return stored
}

/** The timestamp of a stored value, milliseconds since 1970. */
export function timestampOf(stored: Buffer): number {
  return readInt64(stored, 0)
}
