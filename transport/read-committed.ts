/**
 * What read_committed hides, exactly.
 *
 * A log keeps a TransactionIndex per partition: which transactions are open there (they hold the
 * last stable offset back) and which were aborted, from their first record to their marker. A read
 * asks for the aborted ones that overlap what it read, and walks its batches in offset order through
 * a CommittedFilter. So a marker may lie far behind the records it takes back: the index knows it,
 * and nothing beyond the last stable offset is read. What a record's key looks like plays no part.
 *
 * Source: `TransactionIndex` and `CompletedFetch` of Apache Kafka. Rejected: to look for the marker
 * in the batches at hand, which shows aborted records whose marker is not among them.
 */
import type { ControlType } from './record-batch.ts'

/** A transaction whose records in a partition never count. */
export interface AbortedTransaction {
  readonly producerId: number
  /** Offset of its first record in the partition. */
  readonly firstOffset: number
}

/** What the filter needs to know of a batch. */
export interface TransactionalBatch {
  readonly lastOffset: number
  readonly producerId: number
  readonly transactional: boolean
  /** Set where the batch is a transaction's marker. */
  readonly control: ControlType | undefined
}

/** Tells committed batches of one read from others. Ask it about every batch, in offset order. */
export class CommittedFilter {
  readonly #upcoming: AbortedTransaction[]
  readonly #aborted = new Set<number>()

  /** `aborted`: in any order, all that overlap the range read. */
  constructor(aborted: readonly AbortedTransaction[]) {
    this.#upcoming = aborted.toSorted((a, b) => b.firstOffset - a.firstOffset)
  }

  /** Whether the batch's records are shown. A marker has none. */
  shows(batch: TransactionalBatch): boolean {
    for (
      let next = this.#upcoming.at(-1);
      next !== undefined && next.firstOffset <= batch.lastOffset;
      next = this.#upcoming.at(-1)
    ) {
      this.#aborted.add(next.producerId)
      this.#upcoming.pop()
    }
    if (batch.control === 'abort') this.#aborted.delete(batch.producerId)
    if (batch.control !== undefined) return false
    return !(batch.transactional && this.#aborted.has(batch.producerId))
  }
}

interface IndexEntry extends AbortedTransaction {
  /** Offset of its marker. */
  readonly lastOffset: number
  /** The last stable offset once the marker was written: no later entry overlaps what lies below. */
  readonly lastStableOffset: number
}

/** The open and the aborted transactions of one partition. */
export class TransactionIndex {
  /** Producer id to first offset. In the order of the first offsets, because appends are. */
  readonly #open = new Map<number, number>()
  /** In the order of their markers. */
  #aborted: IndexEntry[] = []

  /** Notes a transactional batch; only the first of its transaction matters. */
  begin(producerId: number, firstOffset: number): void {
    if (!this.#open.has(producerId)) this.#open.set(producerId, firstOffset)
  }

  /** Notes a marker. One without records before it ends nothing. */
  end(producerId: number, type: ControlType, markerOffset: number): void {
    const firstOffset = this.#open.get(producerId)
    if (firstOffset === undefined) return
    this.#open.delete(producerId)
    if (type === 'commit') return
    const lastStableOffset = this.lastStableOffset(markerOffset + 1)
    this.#aborted.push({ producerId, firstOffset, lastOffset: markerOffset, lastStableOffset })
  }

  /** First offset of the oldest open transaction, or the partition's end. */
  lastStableOffset(endOffset: number): number {
    for (const firstOffset of this.#open.values()) return firstOffset
    return endOffset
  }

  /** The aborted transactions that overlap the offsets from `from` up to but without `to`. */
  aborted(from: number, to: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (let at = this.#firstEndingAt(from); at < this.#aborted.length; at += 1) {
      const entry = this.#aborted[at]
      if (entry === undefined) break
      if (entry.firstOffset < to) found.push(entry)
      if (entry.lastStableOffset >= to) break
    }
    return found
  }

  /** Forgets what lies wholly below `startOffset`, the first offset that is kept. */
  trimBefore(startOffset: number): void {
    this.#aborted = this.#aborted.slice(this.#firstEndingAt(startOffset))
  }

  /** Index of the first entry whose marker is at or after `offset`. */
  #firstEndingAt(offset: number): number {
    let low = 0
    let high = this.#aborted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#aborted[middle]?.lastOffset ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
