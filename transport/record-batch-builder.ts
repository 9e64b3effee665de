/**
 * Writes Kafka's record batch v2 (transport/record-batch.ts has the layout). A batch is encoded
 * while records are sent and stamped when it leaves: producer, sequence and CRC are known only then,
 * and an epoch bump stamps the same bytes anew. Small keys and values are copied into one buffer;
 * a big value stays where the caller has it and becomes a part of its own, for one writev. The CRC
 * is carried over the parts; over one whose own CRC the caller knows it is without reading the part.
 * Joining the parts instead was the larger half of the cost of a 5 MiB record.
 */
import { crc32c, crc32cOfJoined } from '../model/crc32c.ts'
import type { Headers } from '../model/record.ts'
import { AT, ATTRIBUTE, BATCH_HEADER_BYTES } from './record-batch.ts'
import { MAX_VARINT_BYTES, varintBytes, writeVarint } from './varint.ts'

/** A key or value of this many bytes or more is not copied: below, the copy is cheaper than one more part. */
export const IN_PLACE_BYTES = 8 * 1024
/** What a record takes besides its key, value and headers: six varints and a byte. */
const FIXED_BYTES_AT_MOST = 6 * MAX_VARINT_BYTES + 1
const FIRST_SCRATCH_BYTES = 1024
const LARGEST_SCRATCH_BYTES = 256 * 1024

/** What a batch needs of a record. */
export interface BatchRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Milliseconds since 1970; -1 for none. */
  readonly timestamp: number
  readonly headers: Headers
  /** The CRC-32C of the value, where it is known. */
  readonly valueCrc?: number | undefined
}

/** What is known of a batch only when it leaves. */
export interface BatchStamp {
  readonly baseOffset: number
  readonly leaderEpoch: number
  /** -1 where the producer is not idempotent. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly transactional: boolean
}

/** A batch under construction. */
export class RecordBatchBuilder {
  readonly #parts: Buffer[] = []
  /** What is known of the CRCs of parts. Made when it is needed: most batches know none. */
  #partCrcs: Map<Buffer, number> | undefined
  /** The buffer being filled; what lies before `#flushed` is in `#parts` already. */
  #scratch = Buffer.allocUnsafe(FIRST_SCRATCH_BYTES)
  #flushed = 0
  #used = BATCH_HEADER_BYTES
  #partBytes = 0
  #recordCount = 0
  #baseTimestamp = -1
  #maxTimestamp = -1
  #compression = 0

  get recordCount(): number {
    return this.#recordCount
  }

  /** Bytes of the whole batch so far, header included. */
  get sizeBytes(): number {
    return this.#partBytes + this.#used - this.#flushed
  }

  /** Adds a record. Its big buffers must not change until the batch was written. */
  append(record: BatchRecord): void {
    const { key, value, headers, timestamp, valueCrc } = record
    if (this.#recordCount === 0) {
      this.#baseTimestamp = timestamp
      this.#maxTimestamp = timestamp
    } else if (timestamp > this.#maxTimestamp) {
      this.#maxTimestamp = timestamp
    }
    const timestampDelta = timestamp - this.#baseTimestamp
    const bytes = bodyBytes(record, timestampDelta, this.#recordCount)
    this.#reserve(4 * MAX_VARINT_BYTES + 1)
    this.#varint(bytes)
    this.#scratch[this.#used] = 0
    this.#used += 1
    this.#varint(timestampDelta)
    this.#varint(this.#recordCount)
    this.#bytes(key)
    this.#bytes(value)
    if (valueCrc !== undefined && value !== null && this.#parts.at(-1) === value) {
      this.#partCrcs ??= new Map()
      this.#partCrcs.set(value, valueCrc)
    }
    this.#reserve(MAX_VARINT_BYTES)
    this.#varint(headers.length)
    for (const header of headers) {
      this.#bytes(Buffer.from(header.key, 'utf8'))
      this.#bytes(header.value)
    }
    this.#recordCount += 1
  }

  /** The records so far as parts, without the header: what a codec compresses. Nothing may be appended afterwards. */
  records(): readonly Buffer[] {
    this.#flushScratch()
    const [head, ...rest] = this.#parts
    return head === undefined ? [] : [head.subarray(BATCH_HEADER_BYTES), ...rest]
  }

  /** Puts the compressed form of `records()` in their place. `compression` is its number in the attributes. */
  replaceRecords(compressed: Buffer, compression: number): void {
    this.#parts.splice(0, this.#parts.length, Buffer.alloc(BATCH_HEADER_BYTES), compressed)
    this.#partBytes = BATCH_HEADER_BYTES + compressed.length
    // The buffer that was filled is let go: its bytes lie in the compressed form now.
    this.#scratch = Buffer.alloc(0)
    this.#flushed = 0
    this.#used = 0
    this.#compression = compression
  }

  /**
   * Stamps the batch and returns its parts, to be written one after the other. Nothing may be
   * appended afterwards; sealing again with another stamp gives the same parts with a new header.
   */
  seal(stamp: BatchStamp): readonly Buffer[] {
    if (this.#recordCount === 0) throw new TypeError('a batch needs a record')
    this.#flushScratch()
    const head = this.#parts[0]
    if (head === undefined) throw new TypeError('a sealed batch without its header')
    placeBatch(head, stamp)
    head.writeInt32BE(this.#partBytes - AT.leaderEpoch, AT.length)
    head[AT.magic] = 2
    const transactional = stamp.transactional ? ATTRIBUTE.transactional : 0
    head.writeInt16BE(this.#compression | transactional, AT.attributes)
    head.writeInt32BE(this.#recordCount - 1, AT.lastOffsetDelta)
    writeLong(head, AT.baseTimestamp, this.#baseTimestamp)
    writeLong(head, AT.maxTimestamp, this.#maxTimestamp)
    writeLong(head, AT.producerId, stamp.producerId)
    head.writeInt16BE(stamp.producerEpoch, AT.producerEpoch)
    head.writeInt32BE(stamp.baseSequence, AT.baseSequence)
    head.writeInt32BE(this.#recordCount, AT.recordCount)
    let crc = crc32c(head.subarray(AT.attributes))
    for (let index = 1; index < this.#parts.length; index += 1) {
      const part = this.#parts[index]
      if (part === undefined) continue
      const known = this.#partCrcs?.get(part)
      const sizeBytes = part.length
      crc =
        known === undefined ? crc32c(part, crc) : crc32cOfJoined(crc, { part: known, sizeBytes })
    }
    head.writeUInt32BE(crc, AT.crc)
    return this.#parts
  }

  #varint(value: number): void {
    this.#used = writeVarint(this.#scratch, this.#used, value)
  }

  /** A length and as many bytes; -1 for null. */
  #bytes(bytes: Buffer | null): void {
    this.#reserve(MAX_VARINT_BYTES)
    if (bytes === null) {
      this.#varint(-1)
      return
    }
    this.#varint(bytes.length)
    if (bytes.length >= IN_PLACE_BYTES) {
      this.#flushScratch()
      this.#parts.push(bytes)
      this.#partBytes += bytes.length
      return
    }
    this.#reserve(bytes.length)
    this.#scratch.set(bytes, this.#used)
    this.#used += bytes.length
  }

  #flushScratch(): void {
    if (this.#used === this.#flushed) return
    this.#parts.push(this.#scratch.subarray(this.#flushed, this.#used))
    this.#partBytes += this.#used - this.#flushed
    this.#flushed = this.#used
  }

  /** Makes room for `bytes`. A full buffer is kept as a part, so that nothing is copied twice. */
  #reserve(bytes: number): void {
    if (this.#scratch.length - this.#used >= bytes) return
    this.#flushScratch()
    const next = Math.max(bytes, Math.min(this.#scratch.length * 4, LARGEST_SCRATCH_BYTES))
    this.#scratch = Buffer.allocUnsafe(next)
    this.#used = 0
    this.#flushed = 0
  }
}

/** Gives a sealed batch, by its first part, the place where it lies: neither field is under the CRC. */
export function placeBatch(
  head: Buffer,
  { baseOffset, leaderEpoch }: { readonly baseOffset: number; readonly leaderEpoch: number },
): void {
  writeLong(head, AT.baseOffset, baseOffset)
  head.writeInt32BE(leaderEpoch, AT.leaderEpoch)
}

/** Bytes of a batch that holds `record` alone: what a topic's `max.message.bytes` is compared with. */
export function loneBatchBytes(record: BatchRecord): number {
  const body = bodyBytes(record, 0, 0)
  return BATCH_HEADER_BYTES + varintBytes(body) + body
}

/** Bytes by which `record` can make a batch longer, at most: a bound that is cheap to tell. */
export function recordBytesAtMost({ key, value, headers }: BatchRecord): number {
  let bytes = FIXED_BYTES_AT_MOST + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) {
    // A UTF-16 unit takes at most three bytes in UTF-8.
    bytes += 2 * MAX_VARINT_BYTES + header.key.length * 3 + (header.value?.length ?? 0)
  }
  return bytes
}

function bodyBytes(record: BatchRecord, timestampDelta: number, offsetDelta: number): number {
  let bytes = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta)
  bytes += lengthAndBytes(record.key) + lengthAndBytes(record.value)
  bytes += varintBytes(record.headers.length)
  for (const header of record.headers) {
    const keyBytes = Buffer.byteLength(header.key, 'utf8')
    bytes += varintBytes(keyBytes) + keyBytes + lengthAndBytes(header.value)
  }
  return bytes
}

function lengthAndBytes(bytes: Buffer | null): number {
  return bytes === null ? 1 : varintBytes(bytes.length) + bytes.length
}

function writeLong(buffer: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32)
  buffer.writeInt32BE(high, at)
  buffer.writeUInt32BE(value - high * 2 ** 32, at + 4)
}
