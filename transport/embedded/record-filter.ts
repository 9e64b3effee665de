/**
 * Takes records out of a batch without touching the others. A record's own bytes tell its offset and
 * time against the batch's base, which stays as it was: so those that are kept are copied as they
 * lie, and only the header is made anew. The batch also keeps the offset it ended with.
 */
import { crc32c } from '../../model/crc32c.ts'
import { AT, BATCH_HEADER_BYTES, type BatchHeader } from '../record-batch.ts'
import { VarintReader } from '../varint.ts'

/** Where one record lies in a buffer. The same object is filled anew for each record of a walk. */
export interface RecordPlace {
  offset: number
  /** -1 where the key is null, else its start. */
  keyStart: number
  keyEnd: number
  /** Its value is null: it deletes its key. */
  isTombstone: boolean
}

/** Whether the record stays. */
export type KeepRecord = (place: RecordPlace, buffer: Buffer) => boolean

/** Calls `visit` for each record of the batch at `at`, until it answers false. Throws RangeError for bytes that are no records. */
export function visitRecords(
  buffer: Buffer,
  at: number,
  { header, visit }: { readonly header: BatchHeader; readonly visit: KeepRecord },
): void {
  const reader = new VarintReader(buffer, at + BATCH_HEADER_BYTES)
  const place = newPlace()
  for (let index = 0; index < header.recordCount; index += 1) {
    const end = readPlace(reader, header, place)
    if (!visit(place, buffer)) return
    reader.at = end
  }
}

/** The first record of a batch, of which `buffer` has the beginning; undefined where that does not reach to the record's value. */
export function firstRecord(buffer: Buffer, header: BatchHeader): RecordPlace | undefined {
  const place = newPlace()
  try {
    readPlace(new VarintReader(buffer, BATCH_HEADER_BYTES), header, place)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
  return place.keyEnd > buffer.length ? undefined : place
}

/**
 * The batch at `at` with the records that `keep` wants: its very bytes where it wants all of them,
 * undefined where none. Throws RangeError for bytes that are no records.
 */
export function filterBatch(
  buffer: Buffer,
  at: number,
  { header, keep }: { readonly header: BatchHeader; readonly keep: KeepRecord },
): Buffer | undefined {
  const reader = new VarintReader(buffer, at + BATCH_HEADER_BYTES)
  const place = newPlace()
  /** Where neighbours that stay begin and end, one after the other. */
  const ranges: number[] = []
  let bytes = 0
  let count = 0
  for (let index = 0; index < header.recordCount; index += 1) {
    const start = reader.at
    const end = readPlace(reader, header, place)
    if (keep(place, buffer)) {
      count += 1
      bytes += end - start
      if (ranges.at(-1) === start) ranges[ranges.length - 1] = end
      else ranges.push(start, end)
    }
    reader.at = end
  }
  if (count === 0) return undefined
  if (count === header.recordCount) return buffer.subarray(at, at + header.sizeBytes)
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + bytes)
  buffer.copy(batch, 0, at, at + BATCH_HEADER_BYTES)
  copyRanges(buffer, ranges, batch)
  batch.writeInt32BE(batch.length - AT.leaderEpoch, AT.length)
  batch.writeInt32BE(count, AT.recordCount)
  batch.writeUInt32BE(crc32c(batch.subarray(AT.attributes)), AT.crc)
  return batch
}

/** Into one buffer, because one more part to write and to sum up costs more than the copy of a record. */
function copyRanges(from: Buffer, ranges: readonly number[], to: Buffer): void {
  let at = BATCH_HEADER_BYTES
  for (let index = 0; index < ranges.length; index += 2) {
    at += from.copy(to, at, ranges[index], ranges[index + 1])
  }
}

/** Fills `place` from where the reader stands; returns where the record ends. */
function readPlace(reader: VarintReader, header: BatchHeader, place: RecordPlace): number {
  const bytes = reader.next()
  const end = reader.at + bytes
  reader.at += 1 // A record's own attributes: unused in v2.
  reader.next() // Its time.
  place.offset = header.baseOffset + reader.next()
  const keyBytes = reader.next()
  place.keyStart = keyBytes < 0 ? -1 : reader.at
  place.keyEnd = keyBytes < 0 ? -1 : reader.at + keyBytes
  if (keyBytes > 0) reader.at += keyBytes
  place.isTombstone = reader.next() < 0
  if (bytes < 0 || reader.at > end) throw new RangeError('a record whose length is wrong')
  return end
}

function newPlace(): RecordPlace {
  return { offset: 0, keyStart: -1, keyEnd: -1, isTombstone: false }
}
