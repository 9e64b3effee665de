/**
 * What one answer brought of one partition: whole batches, decoded when they are taken.
 *
 * - The headers are walked once, on arrival: that tells where the next fetch begins, so it can be on
 *   its way before anything is decoded. CRC, decompression and records wait for their take: what is
 *   queued is as small as on the wire, and no record object lies idle.
 * - A part of a batch at the end is left alone; it comes again, whole. Batches of formats before v2
 *   end the slice with an error that says so.
 * - Which batches were aborted is told by the answer, in any order, for all that it brought; a filter
 *   walks them once, since batches are taken in order.
 */
import type { LogRecord } from '../../../model/record.ts'
import { asError } from '../../../model/errors.ts'
import { TransportError } from '../../errors.ts'
import { CommittedFilter, type AbortedTransaction } from '../../read-committed.ts'
import {
  AT,
  BATCH_HEADER_BYTES,
  batchSizeBytes,
  controlType,
  decodeRecords,
  readBatchHeader,
  readLong,
  verifyBatch,
  type BatchHeader,
} from '../../record-batch.ts'
import { decompress } from '../codecs.ts'
import type { ResponseBuffer } from './response-buffers.ts'

/** What an answer says of a partition. */
export interface FetchedSlice {
  /** Whole batches and, at the end, perhaps a part of one. */
  readonly records: Buffer
  /** Undefined where records of open and aborted transactions are to be seen. */
  readonly aborted: readonly AbortedTransaction[] | undefined
  readonly lastStableOffset: number
  /** What the records are views of. */
  readonly body: ResponseBuffer
  /** `topic[partition]`, for messages. */
  readonly place: string
}

/** How much one take gives. */
export interface TakeLimits {
  readonly takeMaxBytes: number
  readonly decompressedMaxBytes: number
}

/** Batches that were taken together. */
export interface TakenBatches {
  readonly records: readonly LogRecord[]
  readonly nextOffset: number
  /** Of the last batch. */
  readonly leaderEpoch: number
  /** Bytes they took in the slice. */
  readonly queuedBytes: number
  /** Bytes that their records are views of. */
  readonly sizeBytes: number
}

/** The batches of one partition in one answer. */
export class RecordSlice {
  readonly body: ResponseBuffer
  readonly lastStableOffset: number
  /** Where what comes after the last whole batch begins; undefined where there is no whole batch. */
  readonly nextOffset: number | undefined
  /** Of the last whole batch; -1 where there is none. */
  readonly leaderEpoch: number
  /** Bytes of the last whole batch. */
  readonly lastBatchBytes: number
  /** What stands behind the last whole batch that can never be read. */
  readonly failure: TransportError | undefined
  readonly #records: Buffer
  readonly #filter: CommittedFilter | undefined
  readonly #place: string
  readonly #end: number
  #at = 0

  constructor({ records, aborted, lastStableOffset, body, place }: FetchedSlice) {
    this.body = body
    this.lastStableOffset = lastStableOffset
    this.#records = records
    this.#filter = aborted === undefined ? undefined : new CommittedFilter(aborted)
    this.#place = place
    const walked = walk(records, place)
    this.#end = walked.end
    this.nextOffset = walked.nextOffset
    this.leaderEpoch = walked.leaderEpoch
    this.lastBatchBytes = walked.lastBatchBytes
    this.failure = walked.failure
  }

  /** Bytes of the whole batches not yet taken. */
  get leftBytes(): number {
    return this.#end - this.#at
  }

  /**
   * The next batches: as many as fit, and one where none does. Throws MILLRACE_RECORD_CORRUPT where
   * the first of them cannot be read; those before it were taken then.
   */
  take(position: number, limits: TakeLimits): TakenBatches {
    const start = this.#at
    const records: LogRecord[] = []
    let nextOffset = position
    let leaderEpoch = -1
    let sizeBytes = 0
    do {
      try {
        const header = readBatchHeader(this.#records, this.#at)
        const batchCrc = verifyBatch(this.#records, this.#at, header)
        const to = { into: records, fromOffset: position, batchCrc }
        sizeBytes += this.#decode(header, to, limits)
        nextOffset = Math.max(nextOffset, header.lastOffset + 1)
        leaderEpoch = header.leaderEpoch
        this.#at += header.sizeBytes
      } catch (error) {
        if (this.#at > start) break
        throw corrupt(this.#place, error)
      }
    } while (this.leftBytes > 0 && this.#at - start + this.#nextBytes() <= limits.takeMaxBytes)
    return { records, nextOffset, leaderEpoch, queuedBytes: this.#at - start, sizeBytes }
  }

  /** Appends what is to be seen of a batch; returns the bytes that its records are views of. */
  #decode(
    header: BatchHeader,
    to: {
      readonly into: LogRecord[]
      readonly fromOffset: number
      readonly batchCrc: number
    },
    { decompressedMaxBytes }: TakeLimits,
  ): number {
    const { into, fromOffset, batchCrc } = to
    if (header.control) {
      this.#filter?.shows({ ...header, control: this.#marker(header) })
      return header.sizeBytes
    }
    if (this.#filter?.shows({ ...header, control: undefined }) === false) return header.sizeBytes
    const source = {
      buffer: this.#records,
      at: this.#at + BATCH_HEADER_BYTES,
      end: this.#at + header.sizeBytes,
    }
    if (header.compression === 0 || header.recordCount === 0) {
      decodeRecords(source, header, { into, fromOffset, batchCrc })
      return header.sizeBytes
    }
    const compressed = source.buffer.subarray(source.at, source.end)
    const buffer = decompress(header.compression, compressed, decompressedMaxBytes)
    decodeRecords({ buffer, at: 0, end: buffer.length }, header, { into, fromOffset })
    return BATCH_HEADER_BYTES + buffer.length
  }

  /** How a transaction ended; undefined for control batches of other kinds, and where compaction took the marker. */
  #marker(header: BatchHeader): 'abort' | 'commit' | undefined {
    const into: LogRecord[] = []
    const at = this.#at + BATCH_HEADER_BYTES
    decodeRecords({ buffer: this.#records, at, end: this.#at + header.sizeBytes }, header, { into })
    const [marker] = into
    return marker === undefined ? undefined : controlType(marker)
  }

  #nextBytes(): number {
    return batchSizeBytes(this.#records, this.#at) ?? 0
  }
}

interface Walked {
  readonly end: number
  readonly nextOffset: number | undefined
  readonly leaderEpoch: number
  readonly lastBatchBytes: number
  readonly failure: TransportError | undefined
}

/** Where the whole batches end, and what the last of them says. */
function walk(records: Buffer, place: string): Walked {
  let end = 0
  let last = -1
  let failure: TransportError | undefined
  while (records.length - end > AT.magic) {
    const sizeBytes = batchSizeBytes(records, end) ?? 0
    const magic = records[end + AT.magic] ?? 0
    if (magic < 2) failure = oldFormat(place, records, end)
    else if (magic > 2 || sizeBytes < BATCH_HEADER_BYTES) {
      failure = corrupt(place, `a batch of magic ${magic} and ${sizeBytes} bytes`)
    }
    if (failure !== undefined || end + sizeBytes > records.length) break
    last = end
    end += sizeBytes
  }
  if (last < 0) return { end, nextOffset: undefined, leaderEpoch: -1, lastBatchBytes: 0, failure }
  const lastOffset = readLong(records, last) + records.readInt32BE(last + AT.lastOffsetDelta)
  const leaderEpoch = records.readInt32BE(last + AT.leaderEpoch)
  return { end, nextOffset: lastOffset + 1, leaderEpoch, lastBatchBytes: end - last, failure }
}

function oldFormat(place: string, records: Buffer, at: number): TransportError {
  const where = `${place}@${readLong(records, at)}`
  return new TransportError('MILLRACE_RECORD_FORMAT_TOO_OLD', 'fatal', {
    message: `${where} was written in the message format of Kafka before 0.11 (magic ${records[at + AT.magic]}), which is not read. Begin behind those records, or copy the topic with a client that still reads them.`,
    place: where,
  })
}

function corrupt(place: string, cause: unknown): TransportError {
  const why = typeof cause === 'string' ? cause : asError(cause).message
  return new TransportError('MILLRACE_RECORD_CORRUPT', 'fatal', {
    message: `${place} holds bytes that are no valid record batch: ${why.replace(/\.$/, '')}. Read from another copy of the log, or skip past this offset.`,
    place,
    cause: typeof cause === 'string' ? undefined : cause,
  })
}
