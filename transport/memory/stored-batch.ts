/**
 * How records lie in the memory log. Each append copies its records' bytes once, into one buffer of
 * the log's own: a producer may use its buffers again after flush, and every reader is given views on
 * the same bytes without a further copy. Readers must not write to them.
 */
import { LogRecord, NO_HEADERS, type Headers } from '../../model/record.ts'
import type { TransactionalBatch } from '../read-committed.ts'
import type { ProducerRecord } from '../transport.ts'

/** Bytes of a batch besides its records, as in Kafka's format. */
export const BATCH_OVERHEAD_BYTES = 61
/** Bytes of a record besides key, value and headers: about what Kafka's format takes. */
export const RECORD_OVERHEAD_BYTES = 20

/** A batch of records, or a transaction's marker, as it lies in a partition. Never changed. */
export interface StoredBatch extends TransactionalBatch {
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly sizeBytes: number
  /** In offset order; fewer than the offsets the batch spans where compaction removed some. */
  readonly records: readonly LogRecord[]
}

/** Bytes that a record takes in a batch. */
export function recordSizeBytes({ key, value, headers }: ProducerRecord): number {
  let sizeBytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) {
    sizeBytes += Buffer.byteLength(header.key) + (header.value?.length ?? 0)
  }
  return sizeBytes
}

/** The records with bytes of their own, at offsets from `baseOffset`. */
export function copyRecords(records: readonly ProducerRecord[], baseOffset: number): LogRecord[] {
  let total = 0
  for (const record of records) total += bytesOf(record)
  // Not from Node's shared pool: one held record would keep 8 KiB of strangers alive.
  const bytes = Buffer.allocUnsafeSlow(total)
  let end = 0
  const copy = (from: Buffer | null): number => {
    if (from === null) return -1
    end += from.copy(bytes, end)
    return end
  }
  return records.map((record, index) => {
    const keyStart = end
    const keyEnd = copy(record.key)
    const valueStart = end
    const valueEnd = copy(record.value)
    const headers = copyHeaders(record.headers, (value) => {
      const start = end
      return bytes.subarray(start, copy(value))
    })
    return new LogRecord(
      baseOffset + index,
      record.timestamp,
      bytes,
      keyStart,
      keyEnd,
      bytes,
      valueStart,
      valueEnd,
      headers,
    )
  })
}

function bytesOf({ key, value, headers }: ProducerRecord): number {
  let total = (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) total += header.value?.length ?? 0
  return total
}

function copyHeaders(headers: Headers, copy: (value: Buffer) => Buffer): Headers {
  if (headers.length === 0) return NO_HEADERS
  return headers.map(({ key, value }) => ({ key, value: value === null ? null : copy(value) }))
}
