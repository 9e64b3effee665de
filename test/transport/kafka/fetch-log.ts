/** One partition of a pretended cluster: real record batches, and the rules by which a broker reads them. */
import { asTopic, type Topic } from '../../../model/position.ts'
import { crc32c } from '../../../model/crc32c.ts'
import { NO_HEADERS } from '../../../model/record.ts'
import { AT, BATCH_HEADER_BYTES } from '../../../transport/record-batch.ts'
import { RecordBatchBuilder, placeBatch } from '../../../transport/record-batch-builder.ts'
import { TransactionIndex, type AbortedTransaction } from '../../../transport/read-committed.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import type { FetchedPartition } from '../../../transport/kafka/api/fetch.ts'
import type { AskedPartition } from '../../../transport/kafka/reader/fetch-session.ts'
import { compress, COMPRESSION_ID, type Compression } from '../../../transport/kafka/codecs.ts'
import { makeMarker } from '../control-marker.ts'

interface StoredBatch {
  readonly base: number
  readonly last: number
  bytes: Buffer
}

interface Written {
  readonly offset: number
  readonly value: string
  readonly transaction: { state: 'open' | 'commit' | 'abort' } | undefined
}

/** How records are written. */
export interface WriteOptions {
  /** Of a transactional producer. */
  readonly producerId?: number
  readonly compression?: Compression
}

/** What a read may bring. */
export interface ReadBounds {
  readonly isCommitted: boolean
  readonly maxBytes: number
  /** Whether a first batch comes whole even where it is larger. */
  readonly isFirst: boolean
  readonly rack: string
}

const MARKER_VALUE = Buffer.alloc(6)

export class FetchLog {
  readonly topic: Topic
  readonly partition: number
  topicId: string
  leader: number
  leaderEpoch = 0
  start = 0
  end = 0
  /** Where a leader that was just elected ends what it shows, until it has heard of its followers. */
  shownTo = Infinity
  /** So many fetches bring nothing, since what they ask for is in remote storage and late. */
  late = 0
  /** A broker that readers in a rack are sent to. */
  replica: number | undefined
  /** Answered instead of what the log would answer, so many times. */
  readonly errors: number[] = []
  #batches: StoredBatch[] = []
  #written: Written[] = []
  #epochs: { readonly epoch: number; readonly start: number }[] = [{ epoch: 0, start: 0 }]
  readonly #index = new TransactionIndex()
  readonly #open = new Map<number, NonNullable<Written['transaction']>>()

  constructor(
    topic: string,
    partition: number,
    { topicId, leader }: { topicId: string; leader: number },
  ) {
    this.topic = asTopic(topic)
    this.partition = partition
    this.topicId = topicId
    this.leader = leader
  }

  get highWatermark(): number {
    return Math.min(this.end, this.shownTo)
  }

  get lastStableOffset(): number {
    return Math.min(this.#index.lastStableOffset(this.end), this.shownTo)
  }

  /** Whether the leader shows less than what was there when it was elected: then it does not tell an end (KIP-207). */
  get isBehindItsEpoch(): boolean {
    return this.highWatermark < (this.#epochs.at(-1)?.start ?? 0)
  }

  get largestBatchBytes(): number {
    return Math.max(0, ...this.#batches.map(({ bytes }) => bytes.length))
  }

  /** What read_committed shows once all transactions have ended. */
  get committed(): readonly string[] {
    return this.#written
      .filter(({ transaction }) => transaction === undefined || transaction.state === 'commit')
      .map(({ offset, value }) => `${offset}:${value}`)
  }

  get all(): readonly string[] {
    return this.#written.map(({ offset, value }) => `${offset}:${value}`)
  }

  /** Appends one batch. */
  write(values: readonly string[], { producerId, compression = 'none' }: WriteOptions = {}): void {
    const builder = new RecordBatchBuilder()
    let transaction = producerId === undefined ? undefined : this.#open.get(producerId)
    if (producerId !== undefined && transaction === undefined) {
      transaction = { state: 'open' }
      this.#open.set(producerId, transaction)
      this.#index.begin(producerId, this.end)
    }
    for (const [index, value] of values.entries()) {
      builder.append({ key: null, value: Buffer.from(value), timestamp: 7, headers: NO_HEADERS })
      this.#written.push({ offset: this.end + index, value, transaction })
    }
    if (compression !== 'none') {
      const packed = compress(compression, Buffer.concat(builder.records()))
      if (!(packed instanceof Buffer)) throw new TypeError('a test writes small batches')
      builder.replaceRecords(packed, COMPRESSION_ID[compression])
    }
    this.#append(builder, values.length, producerId)
  }

  /** Ends a producer's transaction, if it has one here. */
  endTransaction(producerId: number, how: 'commit' | 'abort'): void {
    const transaction = this.#open.get(producerId)
    if (transaction === undefined) return
    this.#open.delete(producerId)
    transaction.state = how
    const builder = new RecordBatchBuilder()
    const key = Buffer.from([0, 0, 0, how === 'abort' ? 0 : 1])
    builder.append({ key, value: MARKER_VALUE, timestamp: 7, headers: NO_HEADERS })
    this.#index.end(producerId, how, this.end)
    this.#append(builder, 1, producerId)
    const marker = this.#batches.at(-1)
    if (marker !== undefined) makeMarker(marker.bytes)
  }

  /** Takes the records out of the batch that has an offset, as the cleaner leaves the last one of a producer. */
  empty(offset: number): void {
    const batch = this.#batches.find(({ base, last }) => base <= offset && offset <= last)
    if (batch === undefined) return
    const bytes = Buffer.from(batch.bytes.subarray(0, BATCH_HEADER_BYTES))
    bytes.writeInt32BE(BATCH_HEADER_BYTES - AT.leaderEpoch, AT.length)
    bytes.writeInt32BE(0, AT.recordCount)
    bytes.writeUInt32BE(crc32c(bytes.subarray(AT.attributes)), AT.crc)
    batch.bytes = bytes
    this.#written = this.#written.filter(
      (one) => one.offset < batch.base || one.offset > batch.last,
    )
  }

  /** Changes the stored bytes of the batch that has an offset. */
  damage(offset: number, change: (bytes: Buffer) => void): void {
    const batch = this.#batches.find(({ base, last }) => base <= offset && offset <= last)
    if (batch !== undefined) change(batch.bytes)
  }

  elect(leader: number): void {
    this.leader = leader
    this.leaderEpoch += 1
    this.#epochs.push({ epoch: this.leaderEpoch, start: this.end })
  }

  /** An unclean election: the new leader has no records from that offset on. */
  truncate(offset: number, leader: number): void {
    this.#batches = this.#batches.filter(({ last }) => last < offset)
    this.#written = this.#written.filter((one) => one.offset < offset)
    this.end = (this.#batches.at(-1)?.last ?? this.start - 1) + 1
    this.#epochs = this.#epochs.filter(({ start }) => start <= this.end)
    this.elect(leader)
  }

  /** Retention: records before an offset are gone. */
  purge(offset: number): void {
    this.start = offset
    this.#batches = this.#batches.filter(({ last }) => last >= offset)
    this.#written = this.#written.filter((one) => one.offset >= offset)
  }

  /** As OffsetForLeaderEpoch. */
  endOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } {
    if (epoch === this.leaderEpoch) return { epoch, endOffset: this.end }
    const next = this.#epochs.find((one) => one.epoch > epoch)
    const own = this.#epochs.findLast((one) => one.epoch <= epoch)
    if (next === undefined || own === undefined) return { epoch: -1, endOffset: -1 }
    return { epoch: own.epoch, endOffset: next.start }
  }

  /** As the broker `node` answers for this partition. */
  fetch(asked: AskedPartition, node: number, bounds: ReadBounds): FetchedPartition {
    const error = this.errors.shift() ?? this.#error(asked, node)
    if (error !== undefined && error !== CODE.none) return this.#answer({ errorCode: error })
    if (asked.lastFetchedEpoch >= 0) {
      const end = this.endOfEpoch(asked.lastFetchedEpoch)
      if (end.epoch < 0) return this.#answer({ errorCode: CODE.offsetOutOfRange })
      if (end.epoch < asked.lastFetchedEpoch || end.endOffset < asked.offset) {
        return this.#answer({ divergingEpoch: end })
      }
    }
    if (asked.offset < this.start || asked.offset > this.end) {
      return this.#answer({ errorCode: CODE.offsetOutOfRange })
    }
    if (bounds.rack !== '' && this.replica !== undefined && node === this.leader) {
      return this.#answer({ preferredReplica: this.replica })
    }
    if (this.late > 0) {
      this.late -= 1
      return this.#answer({})
    }
    return this.#answer(this.#read(asked, bounds))
  }

  #error(asked: AskedPartition, node: number): number | undefined {
    if (asked.topicId !== this.topicId) return CODE.unknownTopicId
    if (node !== this.leader && node !== this.replica) return CODE.notLeaderOrFollower
    if (asked.currentLeaderEpoch < 0 || asked.currentLeaderEpoch === this.leaderEpoch)
      return undefined
    return asked.currentLeaderEpoch < this.leaderEpoch
      ? CODE.fencedLeaderEpoch
      : CODE.unknownLeaderEpoch
  }

  #read({ offset, maxBytes }: AskedPartition, bounds: ReadBounds): Partial<FetchedPartition> {
    const limit = bounds.isCommitted ? this.lastStableOffset : this.highWatermark
    const readable = this.#batches.filter(({ base, last }) => last >= offset && base < limit)
    const bytes = Buffer.concat(readable.map((batch) => batch.bytes))
    const [first] = readable
    const aborted: readonly AbortedTransaction[] | null = bounds.isCommitted
      ? this.#index.aborted(offset, limit).toReversed()
      : null
    if (first === undefined) return { aborted }
    const allowed = Math.min(maxBytes, bounds.maxBytes)
    // A broker cuts where the limit is, and leaves out what would be only part of a first batch.
    if (first.bytes.length > allowed && !bounds.isFirst) return { aborted }
    return { aborted, records: bytes.subarray(0, Math.max(allowed, first.bytes.length)) }
  }

  #answer(part: Partial<FetchedPartition>): FetchedPartition {
    return {
      topic: '',
      topicId: this.topicId,
      partition: this.partition,
      errorCode: CODE.none,
      highWatermark: this.highWatermark,
      lastStableOffset: this.lastStableOffset,
      logStartOffset: this.start,
      divergingEpoch: undefined,
      currentLeader: undefined,
      aborted: null,
      preferredReplica: -1,
      records: null,
      ...part,
    }
  }

  #append(builder: RecordBatchBuilder, count: number, producerId: number | undefined): void {
    const parts = builder.seal({
      baseOffset: this.end,
      leaderEpoch: this.leaderEpoch,
      producerId: producerId ?? -1,
      producerEpoch: 0,
      baseSequence: -1,
      transactional: producerId !== undefined,
    })
    const bytes = Buffer.concat(parts)
    placeBatch(bytes, { baseOffset: this.end, leaderEpoch: this.leaderEpoch })
    this.#batches.push({ base: this.end, last: this.end + count - 1, bytes })
    this.end += count
  }
}
