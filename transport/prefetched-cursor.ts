/** One partition's side of a prefetching reader: its queue, and what it waits for. */
import assert from 'node:assert/strict'
import type { Offset, Partition, Topic } from '../model/position.ts'
import type { Cursor, CursorStart, FetchedBatch } from './transport.ts'

/** What the reader wants to hear from its cursor. */
export interface CursorOwner {
  readonly topicId: string
  onTake(batch: FetchedBatch): void
  /** Called once, before the queue is dropped. */
  onClose(): void
}

/** A cursor whose queue transport/prefetch.ts fills. Its writable fields are that file's. */
export class PrefetchedCursor implements Cursor {
  readonly topic: Topic
  readonly partition: Partition
  readonly topicId: string
  readonly #owner: CursorOwner
  #queue: FetchedBatch[] = []
  #queuedBytes = 0
  #position: Offset
  #fetchOffset: Offset
  #leaderEpoch: number | undefined
  #isClosed = false

  lastStableOffset: Offset | undefined
  /** Thrown by `take` once the queue is empty. */
  failure: Error | undefined
  /** A fetch is in flight. */
  fetching = false
  /** A retry waits for its time. */
  backingOff = false
  /** Retries since the last answer. */
  retries = 0
  /** The last answer was "nothing", and the partition has not changed since. */
  idle = false
  /** The partition changed since the fetch in flight was sent: its "nothing" may be out of date. */
  changed = false
  /** Ends the subscription to the partition's changes. */
  unwatch: () => void = () => {}

  constructor(at: CursorStart, owner: CursorOwner) {
    this.topic = at.topic
    this.partition = at.partition
    this.topicId = owner.topicId
    this.#owner = owner
    this.#position = at.offset
    this.#fetchOffset = at.offset
    this.#leaderEpoch = at.leaderEpoch
  }

  get position(): Offset {
    return this.#position
  }

  /** Where the next fetch begins. */
  get fetchOffset(): Offset {
    return this.#fetchOffset
  }

  /** Of the last batch fetched; before the first what it was opened with. */
  get leaderEpoch(): number | undefined {
    return this.#leaderEpoch
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  /** Whether it competes for the budget: it holds bytes or may have something to read. */
  get isActive(): boolean {
    return !this.isEmpty || !(this.idle || this.failure !== undefined)
  }

  get mayFetch(): boolean {
    return !(this.fetching || this.backingOff || this.idle || this.failure !== undefined)
  }

  /** Appends a fetched batch. A run of empty ones is kept as its last: it tells no less, and is bounded. */
  push(batch: FetchedBatch): void {
    assert(batch.nextOffset > this.#fetchOffset, 'a fetched batch must lead further')
    this.#fetchOffset = batch.nextOffset
    this.#leaderEpoch = batch.leaderEpoch
    this.#queuedBytes += batch.sizeBytes
    const last = this.#queue.at(-1)
    const replacesLast =
      batch.records.length === 0 && last?.records.length === 0 && last.sizeBytes === 0
    if (replacesLast) this.#queue[this.#queue.length - 1] = batch
    else this.#queue.push(batch)
  }

  take(): FetchedBatch | undefined {
    const batch = this.#queue.shift()
    if (batch !== undefined) {
      this.#position = batch.nextOffset
      this.#queuedBytes -= batch.sizeBytes
      this.#owner.onTake(batch)
      return batch
    }
    if (this.failure !== undefined) throw this.failure
    return undefined
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.unwatch()
    this.#owner.onClose()
    for (const batch of this.#queue) batch.release()
    this.#queue = []
    this.#queuedBytes = 0
  }
}
