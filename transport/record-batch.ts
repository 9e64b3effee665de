/**
 * Kafka's record batch, format v2: the shape in which records lie in a log, on a wire or in a file.
 * Source: `org.apache.kafka.common.record.DefaultRecordBatch` and `DefaultRecord`.
 *
 *      0 int64  base offset          21 int16 attributes          51 int16 producer epoch
 *      8 int32  bytes after this one 23 int32 last offset delta   53 int32 base sequence
 *     12 int32  leader epoch         27 int64 base timestamp      57 int32 record count
 *     16 int8   magic: 2             35 int64 max timestamp       61       records
 *     17 uint32 CRC-32C of 21..end   43 int64 producer id
 *
 * Base offset and leader epoch stand before the CRC, so that the log which gives them out does not
 * compute it again. Reading copies nothing: a LogRecord is a set of ranges in the batch's buffer.
 * transport/record-batch-builder.ts writes what this file reads.
 */
import { crc32c, crc32cOfPart } from '../model/crc32c.ts'
import { LogRecord, NO_HEADERS, type Header, type Headers } from '../model/record.ts'
import { TransportError } from './errors.ts'
import { VarintReader } from './varint.ts'

/** Bytes of a batch before its first record. */
export const BATCH_HEADER_BYTES = 61
/** Bytes from which the size of a batch can be told: base offset and length. */
export const BATCH_PREFIX_BYTES = 12

/** Places in the header that both halves of the codec use. */
export const AT = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const

/** Bits of the attributes. The lowest three tell the compression: 0 is none. */
export const ATTRIBUTE = {
  compression: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
} as const

const MAGIC = 2
/** A value of this many bytes or more has its CRC told from its batch's. Below, that would cost more than a few per cent of verifying the batch, and not everybody asks. */
const TOLD_CRC_BYTES = 512 * 1024

/** What a batch says of itself. */
export interface BatchHeader {
  readonly baseOffset: number
  readonly lastOffset: number
  /** Bytes of the whole batch, header included. */
  readonly sizeBytes: number
  readonly leaderEpoch: number
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly compression: number
  readonly transactional: boolean
  /** Whether it holds a transaction's marker instead of records. */
  readonly control: boolean
  readonly logAppendTime: boolean
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** -1 where the producer is not idempotent. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** How a transaction ended, as its marker says. */
export type ControlType = 'abort' | 'commit'

/** Bytes of the whole batch that begins at `at`, or undefined where the buffer ends before it can be told. */
export function batchSizeBytes(buffer: Buffer, at: number): number | undefined {
  if (buffer.length - at < BATCH_PREFIX_BYTES) return undefined
  return BATCH_PREFIX_BYTES + buffer.readInt32BE(at + AT.length)
}

/**
 * Reads the header of the batch at `at`. Throws MILLRACE_RECORD_CORRUPT where the buffer ends
 * before the batch does or the bytes cannot be a batch of format v2. The CRC is `verifyBatch`'s.
 */
export function readBatchHeader(buffer: Buffer, at: number): BatchHeader {
  const sizeBytes = batchSizeBytes(buffer, at)
  if (sizeBytes === undefined || at + sizeBytes > buffer.length) {
    throw corrupt(`a batch of ${sizeBytes ?? 'unknown'} bytes where ${buffer.length - at} are left`)
  }
  return readPartialHeader(buffer, at)
}

/** As `readBatchHeader`, where the buffer need have no more of the batch than its header. */
export function readPartialHeader(buffer: Buffer, at: number): BatchHeader {
  const sizeBytes = batchSizeBytes(buffer, at) ?? 0
  if (sizeBytes < BATCH_HEADER_BYTES || at + BATCH_HEADER_BYTES > buffer.length) {
    throw corrupt(`a batch of ${sizeBytes} bytes where ${buffer.length - at} are left`)
  }
  const magic = buffer[at + AT.magic]
  if (magic !== MAGIC) throw corrupt(`a batch of magic ${magic}, only 2 is known`)
  const attributes = buffer.readInt16BE(at + AT.attributes)
  const baseOffset = readLong(buffer, at + AT.baseOffset)
  return {
    baseOffset,
    lastOffset: baseOffset + buffer.readInt32BE(at + AT.lastOffsetDelta),
    sizeBytes,
    leaderEpoch: buffer.readInt32BE(at + AT.leaderEpoch),
    compression: attributes & ATTRIBUTE.compression,
    transactional: (attributes & ATTRIBUTE.transactional) !== 0,
    control: (attributes & ATTRIBUTE.control) !== 0,
    logAppendTime: (attributes & ATTRIBUTE.logAppendTime) !== 0,
    baseTimestamp: readLong(buffer, at + AT.baseTimestamp),
    maxTimestamp: readLong(buffer, at + AT.maxTimestamp),
    producerId: readLong(buffer, at + AT.producerId),
    producerEpoch: buffer.readInt16BE(at + AT.producerEpoch),
    baseSequence: buffer.readInt32BE(at + AT.baseSequence),
    recordCount: buffer.readInt32BE(at + AT.recordCount),
  }
}

/** Compares the batch's CRC-32C with its bytes and returns it; throws MILLRACE_RECORD_CORRUPT where they differ. */
export function verifyBatch(buffer: Buffer, at: number, header: BatchHeader): number {
  const stored = buffer.readUInt32BE(at + AT.crc)
  const computed = crc32c(buffer.subarray(at + AT.attributes, at + header.sizeBytes))
  if (stored !== computed) {
    throw corrupt(
      `a batch at offset ${header.baseOffset} whose CRC-32C is ${hex(computed)}, not ${hex(stored)}`,
    )
  }
  return stored
}

/** Which records are wanted, and what is known of their batch. */
interface DecodeWish {
  readonly into: LogRecord[]
  readonly fromOffset?: number
  readonly batchCrc?: number
}

/**
 * Appends to `into` the records at or after `fromOffset` of an uncompressed batch. `at` is where its
 * records begin: the batch's place + BATCH_HEADER_BYTES, or the start of their decompressed bytes.
 * Records that compaction removed are simply not there. `batchCrc` is what `verifyBatch` returned,
 * where the records lie behind their header: a large value that is alone in its batch gets its own
 * CRC from it. Throws MILLRACE_RECORD_CORRUPT.
 */
export function decodeRecords(
  source: { readonly buffer: Buffer; readonly at: number; readonly end: number },
  header: BatchHeader,
  { into, fromOffset = 0, batchCrc }: DecodeWish,
): void {
  const { buffer, end } = source
  const lone =
    batchCrc === undefined || header.recordCount !== 1 ? undefined : { ...source, batchCrc }
  const reader = new VarintReader(buffer, source.at)
  try {
    for (let index = 0; index < header.recordCount; index += 1) {
      const bytes = reader.next()
      const recordEnd = reader.at + bytes
      if (bytes < 0 || recordEnd > end) throw new RangeError('a record that ends after its batch')
      const record = decodeRecord(reader, header, lone)
      if (reader.at !== recordEnd) throw new RangeError('a record whose length is wrong')
      if (record.offset >= fromOffset) into.push(record)
    }
    if (reader.at !== end) throw new RangeError('bytes after the last record')
  } catch (error) {
    if (error instanceof RangeError)
      throw corrupt(`${error.message}, at offset ${header.baseOffset}`, error)
    throw error
  }
}

/** Where the records of a batch that holds one alone begin and end, and its CRC. */
interface LoneRecord {
  readonly at: number
  readonly end: number
  readonly batchCrc: number
}

function decodeRecord(
  reader: VarintReader,
  header: BatchHeader,
  lone: LoneRecord | undefined,
): LogRecord {
  const { buffer } = reader
  reader.at += 1 // A record's own attributes: unused in v2.
  const timestamp = header.baseTimestamp + reader.next()
  const offset = header.baseOffset + reader.next()
  const keyBytes = reader.next()
  const keyStart = reader.at
  if (keyBytes > 0) reader.at += keyBytes
  const keyEnd = keyBytes < 0 ? -1 : reader.at
  const valueBytes = reader.next()
  const valueStart = reader.at
  if (valueBytes > 0) reader.at += valueBytes
  const valueEnd = valueBytes < 0 ? -1 : reader.at
  const headerCount = reader.next()
  return new LogRecord(
    offset,
    header.logAppendTime ? header.maxTimestamp : timestamp,
    buffer,
    keyStart,
    keyEnd,
    buffer,
    valueStart,
    valueEnd,
    headerCount === 0 ? NO_HEADERS : decodeHeaders(reader, headerCount),
    lone !== undefined && valueBytes >= TOLD_CRC_BYTES
      ? crcOfValue(buffer, { start: valueStart, end: valueEnd }, lone)
      : undefined,
  )
}

function crcOfValue(
  buffer: Buffer,
  value: { readonly start: number; readonly end: number },
  { at, end, batchCrc }: LoneRecord,
): number {
  return crc32cOfPart(batchCrc, {
    before: buffer.subarray(at - BATCH_HEADER_BYTES + AT.attributes, value.start),
    sizeBytes: value.end - value.start,
    after: buffer.subarray(value.end, end),
  })
}

function decodeHeaders(reader: VarintReader, count: number): Headers {
  if (count < 0 || count > reader.buffer.length)
    throw new RangeError(`a record with ${count} headers`)
  const headers: Header[] = []
  for (let index = 0; index < count; index += 1) {
    const key = decodeBytes(reader)
    if (key === null) throw new RangeError('a header without a key')
    headers.push({ key: key.toString('utf8'), value: decodeBytes(reader) })
  }
  return headers
}

function decodeBytes(reader: VarintReader): Buffer | null {
  const bytes = reader.next()
  if (bytes < 0) return null
  const start = reader.at
  reader.at += bytes
  if (reader.at > reader.buffer.length) throw new RangeError('a header that ends after its batch')
  return reader.buffer.subarray(start, reader.at)
}

/** How the transaction ended whose marker this is, from the record of a control batch; undefined for markers of other kinds, which readers skip. */
export function controlType(record: LogRecord): ControlType | undefined {
  const key = record.key
  if (key === null || key.length < 4)
    throw corrupt(`a control record without a type, at offset ${record.offset}`)
  const type = key.readInt16BE(2)
  return type === 0 ? 'abort' : type === 1 ? 'commit' : undefined
}

/** A 64-bit integer as a number. Throws MILLRACE_RECORD_CORRUPT beyond 2^53 - 1 (offsets are numbers here). */
export function readLong(buffer: Buffer, at: number): number {
  const value = buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
  if (!Number.isSafeInteger(value)) throw corrupt(`a 64-bit number beyond 2^53 - 1 at byte ${at}`)
  return value
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}

function corrupt(what: string, cause?: unknown): TransportError {
  return new TransportError('MILLRACE_RECORD_CORRUPT', 'fatal', {
    message: `The log holds bytes that are no valid record batch: ${what}. Read from another copy of the log, or skip past this offset.`,
    cause,
  })
}
