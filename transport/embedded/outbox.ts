/** What a producer has for one partition: records gathered to batches, not yet written or on their way. */
import type { Offset } from '../../model/position.ts'
import { RecordBatchBuilder } from '../record-batch-builder.ts'
import type { ProducerRecord } from '../transport.ts'
import type { AppendRequest } from './broker.ts'
import type { Append } from './partition-writer.ts'
import { sequenceAfter } from './producer-sequences.ts'
import type { ProducerIdentity } from './producers.ts'

/** Records for one partition. */
export class Outbox {
  readonly at: AppendRequest['at']
  /** The largest batch that records are gathered to; one record alone may be larger. */
  readonly #batchBytes: number
  readonly #batches: RecordBatchBuilder[] = []
  /** The last of `#batches`. */
  #newest: RecordBatchBuilder | undefined
  #nextSequence = 0
  #acknowledgedSequence = 0
  #acknowledged: Offset | undefined
  /** Writes under way. */
  writesInFlight = 0
  /** A write failed: nothing more goes out before `restart`. */
  hasFailed = false

  constructor(at: AppendRequest['at'], batchBytes: number) {
    this.at = at
    this.#batchBytes = batchBytes
  }

  get isEmpty(): boolean {
    return this.#newest === undefined
  }

  /** Adds a record of at most `mostBytes`; returns the bytes that the queue grew by. */
  add(record: ProducerRecord, mostBytes: number): number {
    let batch = this.#newest
    let before = batch?.sizeBytes ?? 0
    if (batch === undefined || before + mostBytes > this.#batchBytes) {
      batch = new RecordBatchBuilder()
      before = 0
      this.#newest = batch
      this.#batches.push(batch)
    }
    batch.append(record)
    return batch.sizeBytes - before
  }

  /** Takes batches of up to `maxBytes`, or the first one, out of the queue. */
  take(maxBytes: number): readonly RecordBatchBuilder[] {
    let bytes = 0
    let count = 0
    for (const { sizeBytes } of this.#batches) {
      bytes += sizeBytes
      if (count > 0 && bytes > maxBytes) break
      count += 1
    }
    const taken = this.#batches.splice(0, count)
    if (this.#batches.length === 0) this.#newest = undefined
    return taken
  }

  /** Drops what is queued; returns its bytes. */
  drop(): number {
    return this.take(Infinity).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  }

  /** Seals batches as this producer's next ones. */
  seal(batches: readonly RecordBatchBuilder[], identity: ProducerIdentity): Append {
    const { producerId, producerEpoch } = identity
    const transactional = identity.transactionalId !== undefined
    const baseSequence = this.#nextSequence
    const sealed = batches.map((batch) => {
      const stamp = { producerId, producerEpoch, transactional, baseSequence: this.#nextSequence }
      // The log gives out offsets: it places the batch when it writes it.
      const parts = batch.seal({ ...stamp, baseOffset: 0, leaderEpoch: 0 })
      this.#nextSequence = sequenceAfter(this.#nextSequence, batch.recordCount)
      return { parts, sizeBytes: batch.sizeBytes, recordCount: batch.recordCount }
    })
    return { producerId, producerEpoch, transactional, baseSequence, batches: sealed }
  }

  /** The log has an append. Acknowledgements come in the order of the appends. */
  acknowledge({ baseSequence, batches }: Append, lastOffset: Offset): void {
    const records = batches.reduce((sum, { recordCount }) => sum + recordCount, 0)
    this.#acknowledgedSequence = sequenceAfter(baseSequence, records)
    this.#acknowledged = lastOffset
  }

  /** The last offset acknowledged since this was asked before. */
  takeAcknowledged(): Offset | undefined {
    const offset = this.#acknowledged
    this.#acknowledged = undefined
    return offset
  }

  /** Goes on under another epoch, whose sequences begin anew. No write may be under way. */
  renew(): void {
    this.#acknowledgedSequence = 0
    this.restart()
  }

  /** Goes on behind the last acknowledged record. No write may be under way. */
  restart(): void {
    this.#nextSequence = this.#acknowledgedSequence
    this.hasFailed = false
  }
}
