/**
 * Records of one partition on their way to the log. A batch has no number while it is queued: it gets
 * producer, epoch and sequence when it first leaves, keeps them through every repetition (that is how
 * the log tells a repetition from a new batch), and loses them only where the log is known not to have it.
 */
import type { LogRecord } from '../../../model/record.ts'
import { BATCH_HEADER_BYTES, decodeRecords, readBatchHeader } from '../../record-batch.ts'
import {
  RecordBatchBuilder,
  recordBytesAtMost,
  type BatchRecord,
} from '../../record-batch-builder.ts'
import { COMPRESSION_ID, compress, decompress, type Compression } from '../codecs.ts'
import type { ProducerIdentity } from './producer-identity.ts'

/** The number of a batch. */
export interface BatchNumber {
  readonly identity: ProducerIdentity
  readonly baseSequence: number
  readonly transactional: boolean
}

/** Decompressing what was compressed here needs no protection from endless answers. */
const OWN_RECORDS_BYTES = 2 ** 31 - 1

/** One batch, from its first record to its acknowledgement. */
export class PendingBatch {
  /** When its first record was queued, on the monotonic clock. */
  readonly queuedAtMs: number
  /** Which transaction it belongs to, counted by its queue. */
  readonly turn: number
  /** Which flush answers for it, counted by its queue. */
  readonly flush: number
  /** Times it was sent. */
  attempts = 0
  /** Whether the answer to a try was lost: the log may have it. */
  isUncertain = false
  /** Where a part of a batch that was refused stands among numbered ones: that batch's sequence. */
  place: number | undefined
  /** What went wrong at the last try. */
  problem: Error | undefined
  readonly #builder = new RecordBatchBuilder()
  #number: BatchNumber | undefined
  #parts: readonly Buffer[] | undefined
  #state: 'open' | 'closing' | 'closed' = 'open'
  #countedBytes = 0
  readonly #settled = Promise.withResolvers<void>()

  constructor({ queuedAtMs, turn, flush }: Pick<PendingBatch, 'queuedAtMs' | 'turn' | 'flush'>) {
    this.queuedAtMs = queuedAtMs
    this.turn = turn
    this.flush = flush
  }

  get recordCount(): number {
    return this.#builder.recordCount
  }

  /** Bytes as they go out. */
  get sizeBytes(): number {
    return this.#builder.sizeBytes
  }

  /** Bytes as the queue counts them: before they were compressed. */
  get countedBytes(): number {
    return this.#countedBytes
  }

  /** Whether records may still be added. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Whether it can leave: closed, and compressed where it has to be. */
  get isReady(): boolean {
    return this.#state === 'closed'
  }

  /** Its number; undefined before it first left, and where it may get another one. */
  get number(): BatchNumber | undefined {
    return this.#number
  }

  /** Resolves when it was acknowledged, or given up. */
  get settled(): Promise<void> {
    return this.#settled.promise
  }

  /** Adds a record; returns the bytes that the batch grew by. */
  append(record: BatchRecord): number {
    const before = this.#countedBytes
    this.#builder.append(record)
    this.#countedBytes = this.#builder.sizeBytes
    return this.#countedBytes - before
  }

  /** Takes no more records. Returns a promise where compressing takes its time; never rejects before that is known. */
  close(compression: Compression): Promise<void> | undefined {
    if (this.#state !== 'open') return undefined
    if (compression === 'none') {
      this.#state = 'closed'
      return undefined
    }
    this.#state = 'closing'
    const compressed = compress(compression, joined(this.#builder.records()))
    if (!(compressed instanceof Promise)) {
      this.#compressed(compressed, compression)
      return undefined
    }
    return compressed.then((bytes) => this.#compressed(bytes, compression))
  }

  /** Gives it its number and returns its parts. The same number again costs nothing. */
  seal(number: BatchNumber): readonly Buffer[] {
    if (this.#parts !== undefined && this.#number === number) return this.#parts
    this.#number = number
    const { identity, baseSequence, transactional } = number
    const stamp = { ...identity, baseSequence, transactional }
    // Offset and epoch are the log's to give out.
    this.#parts = this.#builder.seal({ ...stamp, baseOffset: 0, leaderEpoch: -1 })
    return this.#parts
  }

  /** Takes its number back: the log is known not to have it. */
  unnumber(): void {
    this.place = undefined
    this.#number = undefined
    this.isUncertain = false
  }

  /** It is done with, one way or the other. */
  settle(): void {
    this.#settled.resolve()
  }

  /** The same records in batches of up to `batchBytes`, or of one record, without a number. */
  split(batchBytes: number): readonly PendingBatch[] {
    const parts: PendingBatch[] = []
    let newest: PendingBatch | undefined
    for (const { key, value, timestamp, headers } of this.#decoded()) {
      const record = { key, value, timestamp, headers }
      if (newest === undefined || newest.sizeBytes + recordBytesAtMost(record) > batchBytes) {
        newest = new PendingBatch(this)
        parts.push(newest)
      }
      newest.append(record)
    }
    // Who waits for the whole waits for all of its parts.
    void Promise.all(parts.map((part) => part.settled)).then(() => this.settle())
    return parts
  }

  /** Bytes of its only record as a batch, before compression; what a limit is compared with in messages. */
  get loneRecord(): BatchRecord | undefined {
    return this.recordCount === 1 ? this.#decoded()[0] : undefined
  }

  #compressed(bytes: Buffer, compression: Compression): void {
    // Pictures and archives do not get smaller: they go out as they are, and nobody expands them in vain.
    const isSmaller = bytes.length < this.#builder.sizeBytes - BATCH_HEADER_BYTES
    if (isSmaller) this.#builder.replaceRecords(bytes, COMPRESSION_ID[compression])
    this.#state = 'closed'
  }

  #decoded(): readonly LogRecord[] {
    const stamp = { baseOffset: 0, leaderEpoch: -1, baseSequence: 0, transactional: false }
    const bytes = joined(this.#builder.seal({ ...stamp, producerId: -1, producerEpoch: -1 }))
    // Its header was written anew: it is sealed again before it leaves.
    this.#parts = undefined
    const header = readBatchHeader(bytes, 0)
    const body = bytes.subarray(BATCH_HEADER_BYTES)
    const buffer =
      header.compression === COMPRESSION_ID.none
        ? body
        : decompress(header.compression, body, OWN_RECORDS_BYTES)
    const into: LogRecord[] = []
    decodeRecords({ buffer, at: 0, end: buffer.length }, header, { into })
    return into
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}
