/** One partition of the memory log: its batches, its ends, its transactions, and who watches it. */
import assert from 'node:assert/strict'
import { asOffset, type Offset, type Partition, type Topic } from '../../model/position.ts'
import type { LogRecord } from '../../model/record.ts'
import { deletionOutOfRange, logTruncated, offsetOutOfRange } from '../log-errors.ts'
import type { FetchAnswer, FetchRequest } from '../prefetch.ts'
import { CommittedFilter, TransactionIndex } from '../read-committed.ts'
import type { ControlType } from '../record-batch.ts'
import type {
  FetchedBatch,
  Isolation,
  LogEnd,
  ProducerRecord,
  TopicDescription,
} from '../transport.ts'
import {
  BATCH_OVERHEAD_BYTES,
  copyRecords,
  recordSizeBytes,
  type StoredBatch,
} from './stored-batch.ts'

/** Records to append, with what makes a repetition of the same append recognizable. */
export interface Append {
  readonly records: readonly ProducerRecord[]
  readonly producerId: number
  readonly epoch: number
  readonly transactional: boolean
  /** Sequence of the first record, from 0 in each epoch of the producer. */
  readonly baseSequence: number
}

/** What was appended to the partitions of one log. */
export interface AppendMeter {
  /** Batches and markers. */
  batches: number
  largestBatchBytes: number
}

interface SequenceState {
  readonly epoch: number
  readonly baseSequence: number
  readonly nextSequence: number
  readonly lastOffset: number
}

/** A partition's records in memory. Everything takes effect at once; delays are the line's business. */
export class PartitionLog {
  readonly topic: Topic
  readonly partition: Partition
  readonly topicId: string
  #batches: StoredBatch[] = []
  #start = 0
  #end = 0
  /** Leader epochs with the end of the log when each began. */
  #epochs: { readonly epoch: number; readonly start: number }[] = [{ epoch: 0, start: 0 }]
  #transactions = new TransactionIndex()
  readonly #sequences = new Map<number, SequenceState>()
  readonly #watchers = new Set<() => void>()
  readonly #meter: AppendMeter

  constructor({ topic, topicId }: TopicDescription, partition: Partition, meter: AppendMeter) {
    this.#meter = meter
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
  }

  /** Appends, unless this is the repetition of the producer's last append; returns the last record's offset either way. */
  append({ records, producerId, epoch, transactional, baseSequence }: Append): number {
    const last = this.#sequences.get(producerId)
    if (last?.epoch === epoch) {
      if (baseSequence === last.baseSequence) return last.lastOffset
      assert.equal(baseSequence, last.nextSequence, 'a gap in the sequences of a producer')
    }
    const baseOffset = this.#end
    const lastOffset = baseOffset + records.length - 1
    this.#sequences.set(producerId, {
      epoch,
      baseSequence,
      nextSequence: baseSequence + records.length,
      lastOffset,
    })
    this.#push({
      baseOffset,
      lastOffset,
      leaderEpoch: this.leaderEpoch,
      producerId,
      transactional,
      control: undefined,
      sizeBytes: records.reduce((sum, one) => sum + recordSizeBytes(one), BATCH_OVERHEAD_BYTES),
      records: copyRecords(records, baseOffset),
    })
    return lastOffset
  }

  /** Appends a transaction's marker, which takes an offset of its own. */
  appendMarker(producerId: number, control: ControlType): void {
    this.#push({
      baseOffset: this.#end,
      lastOffset: this.#end,
      leaderEpoch: this.leaderEpoch,
      producerId,
      transactional: true,
      control,
      sizeBytes: BATCH_OVERHEAD_BYTES,
      records: [],
    })
  }

  get leaderEpoch(): number {
    return this.#epochs.at(-1)?.epoch ?? 0
  }

  get lastStableOffset(): Offset {
    return asOffset(this.#transactions.lastStableOffset(this.#end))
  }

  /** The end asked for. */
  endOf(end: LogEnd, isolation: Isolation): Offset {
    if (end === 'earliest') return asOffset(this.#start)
    return isolation === 'read_committed' ? this.lastStableOffset : asOffset(this.#end)
  }

  /** Batches from an offset on, as PartitionSource.fetch describes. */
  fetch(request: FetchRequest): FetchAnswer {
    const { offset, leaderEpoch, isolation } = request
    this.#checkPosition(request, leaderEpoch)
    const lastStableOffset = this.lastStableOffset
    const limit = this.endOf('latest', isolation)
    const stored = offset < limit ? this.#from(offset, limit, request.maxBytes) : []
    const last = stored.at(-1)
    if (last === undefined) return { batch: undefined, lastStableOffset }
    const nextOffset = asOffset(last.lastOffset + 1)
    const shown = isolation === 'read_committed' ? this.#committed(stored, offset) : stored
    const batch: FetchedBatch = {
      topic: this.topic,
      partition: this.partition,
      records: shown.flatMap(({ records }) => records.filter((one) => one.offset >= offset)),
      nextOffset,
      lastStableOffset,
      leaderEpoch: last.leaderEpoch,
      sizeBytes: shown.reduce(
        (sum, { sizeBytes, records }) => sum + (records.length > 0 ? sizeBytes : 0),
        0,
      ),
      release: () => {},
    }
    return { batch, lastStableOffset }
  }

  /** The record at an offset and the leader epoch it was written in, whatever became of its transaction. */
  find(offset: number): { readonly record: LogRecord; readonly leaderEpoch: number } | undefined {
    if (offset < this.#start) return undefined
    const batch = this.#batches[this.#indexOf(offset)]
    const record = batch?.records.find((one) => one.offset === offset)
    if (batch === undefined || record === undefined) return undefined
    return { record, leaderEpoch: batch.leaderEpoch }
  }

  /** All records that an isolation shows, from the start of the log. */
  shown(isolation: Isolation): LogRecord[] {
    const limit = this.endOf('latest', isolation)
    const stored = this.#batches.filter((batch) => batch.baseOffset < limit)
    const shown = isolation === 'read_committed' ? this.#committed(stored, this.#start) : stored
    return shown.flatMap(({ records }) => records.filter((one) => one.offset >= this.#start))
  }

  /** Drops the records before an offset, as a client may: up to the last stable offset. */
  deleteBefore(offset: Offset): void {
    const { topic, partition, lastStableOffset: end } = this
    if (offset > end) {
      throw deletionOutOfRange({ topic, partition, offset }, { start: this.#start, end })
    }
    this.purgeBefore(offset)
  }

  /** Drops the records before an offset. */
  purgeBefore(offset: number): void {
    assert(offset <= this.#end, 'a purge beyond the end')
    if (offset <= this.#start) return
    this.#start = offset
    this.#batches = this.#batches.slice(this.#indexOf(offset))
    this.#transactions.trimBefore(offset)
    this.#changed()
  }

  /**
   * Keeps of each key the last committed record, drops records without a key and all of aborted
   * transactions. What is not yet stable stays. A batch that lost all records is dropped, but for
   * the last one.
   */
  compact(): void {
    const stable = this.lastStableOffset
    const settled = this.#batches.filter((batch) => batch.lastOffset < stable)
    const last = new Map<string, number>()
    const shown = new Set(this.#committed(settled, this.#start))
    for (const { records } of shown) {
      for (const { key, offset } of records)
        if (key !== null) last.set(key.toString('latin1'), offset)
    }
    const kept = settled.map((batch): StoredBatch => {
      if (batch.control !== undefined) return batch
      const records = batch.records.filter(
        ({ key, offset }) =>
          shown.has(batch) && key !== null && last.get(key.toString('latin1')) === offset,
      )
      return { ...batch, records }
    })
    this.#batches = [
      ...kept.filter(
        (batch, index) =>
          batch.control !== undefined || batch.records.length > 0 || index === kept.length - 1,
      ),
      ...this.#batches.slice(settled.length),
    ]
    this.#changed()
  }

  /** A new leader that has all records. */
  electLeader(): void {
    this.#epochs.push({ epoch: this.leaderEpoch + 1, start: this.#end })
  }

  /** A new leader that lacks the batches which reach `offset` or beyond. */
  truncate(offset: number): void {
    const epoch = this.leaderEpoch + 1
    this.#batches = this.#batches.filter((batch) => batch.lastOffset < offset)
    this.#end = (this.#batches.at(-1)?.lastOffset ?? this.#start - 1) + 1
    this.#epochs = this.#epochs.filter(({ start }) => start < this.#end || start === 0)
    this.#epochs.push({ epoch, start: this.#end })
    this.#sequences.clear()
    this.#transactions = new TransactionIndex()
    for (const batch of this.#batches) this.#note(batch)
    this.#changed()
  }

  /** Calls `onChange` after each change until the returned function is called. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => {
      this.#watchers.delete(onChange)
    }
  }

  /** Tells the watchers that the partition is gone. */
  delete(): void {
    this.#changed()
  }

  #push(batch: StoredBatch): void {
    this.#batches.push(batch)
    this.#end = batch.lastOffset + 1
    this.#meter.batches += 1
    this.#meter.largestBatchBytes = Math.max(this.#meter.largestBatchBytes, batch.sizeBytes)
    this.#note(batch)
    this.#changed()
  }

  #note({ producerId, transactional, control, baseOffset }: StoredBatch): void {
    if (control !== undefined) this.#transactions.end(producerId, control, baseOffset)
    else if (transactional) this.#transactions.begin(producerId, baseOffset)
  }

  #changed(): void {
    for (const onChange of this.#watchers) onChange()
  }

  #checkPosition(at: FetchRequest, epoch: number | undefined): void {
    if (epoch !== undefined) {
      const end = this.#epochs.find((later) => later.epoch > epoch)?.start ?? this.#end
      if (end < at.offset) throw logTruncated(at, { epoch, end })
    }
    if (at.offset < this.#start || at.offset > this.#end) {
      throw offsetOutOfRange(at, { start: this.#start, end: this.#end })
    }
  }

  /** The batches from the one that reaches `offset`, below `limit`, at least one and else within `maxBytes`. */
  #from(offset: number, limit: number, maxBytes: number): StoredBatch[] {
    const found: StoredBatch[] = []
    let sizeBytes = 0
    for (let index = this.#indexOf(offset); index < this.#batches.length; index += 1) {
      const batch = this.#batches[index]
      if (batch === undefined || batch.baseOffset >= limit) break
      sizeBytes += batch.sizeBytes
      if (found.length > 0 && sizeBytes > maxBytes) break
      found.push(batch)
    }
    return found
  }

  #committed(batches: readonly StoredBatch[], from: number): StoredBatch[] {
    const to = (batches.at(-1)?.lastOffset ?? from - 1) + 1
    const filter = new CommittedFilter(this.#transactions.aborted(from, to))
    return batches.filter((batch) => filter.shows(batch))
  }

  /** Index of the first batch that reaches an offset. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#batches[middle]?.lastOffset ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
