/** Picks single records out of fetched batches, whatever became of their transactions. */
import { LogRecord } from '../../../model/record.ts'
import {
  BATCH_HEADER_BYTES,
  batchSizeBytes,
  decodeRecords,
  readBatchHeader,
  verifyBatch,
  type BatchHeader,
} from '../../record-batch.ts'
import { decompress } from '../codecs.ts'

/** What was found of the offsets that were looked for. */
export interface FoundRecords {
  /** By offset. */
  readonly found: ReadonlyMap<number, { readonly record: LogRecord; readonly leaderEpoch: number }>
  /** Offsets below this that were not found have no record; -1 where there was no whole batch. */
  readonly knownTo: number
  /** Of the last whole batch. */
  readonly batchBytes: number
  readonly batchOffsets: number
}

/** A record that is this much smaller than its batch is copied: a reference to it must not keep the rest alive. */
const COPIED_BELOW_SHARE = 1 / 4

/** Looks for `offsets` in the whole batches of `records`. Throws where a batch that has one of them cannot be read. */
export function findRecords(
  records: Buffer,
  offsets: readonly number[],
  decompressedMaxBytes: number,
): FoundRecords {
  const found = new Map<number, { readonly record: LogRecord; readonly leaderEpoch: number }>()
  let last: BatchHeader | undefined
  for (let at = 0; isWhole(records, at);) {
    const header = readBatchHeader(records, at)
    const wanted = offsets.filter((one) => one >= header.baseOffset && one <= header.lastOffset)
    if (wanted.length > 0 && !header.control) {
      const batchCrc = verifyBatch(records, at, header)
      for (const record of decoded(records, at, { header, batchCrc, decompressedMaxBytes })) {
        if (!wanted.includes(record.offset)) continue
        found.set(record.offset, { record: own(record, header), leaderEpoch: header.leaderEpoch })
      }
    }
    at += header.sizeBytes
    last = header
  }
  if (last === undefined) return { found, knownTo: -1, batchBytes: 0, batchOffsets: 1 }
  const { lastOffset, baseOffset, sizeBytes } = last
  const batchOffsets = lastOffset - baseOffset + 1
  return { found, knownTo: lastOffset + 1, batchBytes: sizeBytes, batchOffsets }
}

function isWhole(records: Buffer, at: number): boolean {
  const sizeBytes = batchSizeBytes(records, at)
  return sizeBytes !== undefined && at + sizeBytes <= records.length
}

interface VerifiedBatch {
  readonly header: BatchHeader
  readonly batchCrc: number
  readonly decompressedMaxBytes: number
}

function decoded(
  records: Buffer,
  at: number,
  { header, batchCrc, decompressedMaxBytes }: VerifiedBatch,
): readonly LogRecord[] {
  const into: LogRecord[] = []
  const start = at + BATCH_HEADER_BYTES
  const end = at + header.sizeBytes
  if (header.compression === 0 || header.recordCount === 0) {
    decodeRecords({ buffer: records, at: start, end }, header, { into, batchCrc })
    return into
  }
  const buffer = decompress(header.compression, records.subarray(start, end), decompressedMaxBytes)
  decodeRecords({ buffer, at: 0, end: buffer.length }, header, { into })
  return into
}

/** The record, with buffers of its own where it is small beside its batch. */
function own(record: LogRecord, header: BatchHeader): LogRecord {
  if (record.sizeBytes >= header.sizeBytes * COPIED_BELOW_SHARE) return record
  const { offset, timestamp, headers } = record
  const key = record.key === null ? null : Buffer.from(record.key)
  const value = record.value === null ? null : Buffer.from(record.value)
  const none = Buffer.alloc(0)
  return new LogRecord(
    offset,
    timestamp,
    key ?? none,
    0,
    key?.length ?? -1,
    value ?? none,
    0,
    value?.length ?? -1,
    headers.map((one) => ({
      key: one.key,
      value: one.value === null ? null : Buffer.from(one.value),
    })),
  )
}
