/** One partition's side of a Kafka reader: what was fetched of it, and what its next fetch has to know. */
import type { Timer } from '../../../model/clock.ts'
import { asOffset, type Offset, type Partition, type Topic } from '../../../model/position.ts'
import type { LogRecord } from '../../../model/record.ts'
import { asError } from '../../../model/errors.ts'
import type { Cursor, CursorStart, FetchedBatch } from '../../transport.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'
import type { RecordSlice, TakeLimits, TakenBatches } from './record-slice.ts'
import type { ResponseBuffer } from './response-buffers.ts'

/** What a cursor asks of its reader. */
export interface CursorReader {
  readonly limits: TakeLimits
  /** The topic's id as far as metadata is known; the cursor keeps the first it hears of. */
  topicIdOf(cursor: KafkaCursor): string | undefined
  /** So many queued bytes were handed out, or dropped. */
  onTake(cursor: KafkaCursor, queuedBytes: number): void
  /** Called once, before the queue is dropped. */
  onClose(cursor: KafkaCursor): void
}

/**
 * What a cursor waits for:
 * - locating: to hear who leads the partition
 * - resting: for the time of its next try
 * - fetching: a request that names it is on its way
 * - ready: to be in the next request, where the budget lets it
 * - asking: what became of an offset that is out of range
 * - stopped: nothing; it failed or was closed
 */
export type CursorState = 'locating' | 'resting' | 'fetching' | 'ready' | 'asking' | 'stopped'

/** A cursor whose queue the reader fills. Its writable fields are those of the reader's files. */
export class KafkaCursor implements Cursor {
  readonly topic: Topic
  readonly partition: Partition
  readonly #reader: CursorReader
  #slices: RecordSlice[] = []
  #queuedBytes = 0
  #position: Offset
  #fetchOffset: number
  #lastEpoch: number
  #topicId: string | undefined

  state: CursorState = 'locating'
  lastStableOffset: Offset | undefined
  /** Thrown by `take` once the queue is empty. */
  failure: Error | undefined
  /** Who leads it, and under which epoch and topic id. */
  leader: PartitionLeader | undefined
  /** A replica that the leader named, and until when it is asked instead. */
  replica: { readonly node: number; readonly untilMs: number } | undefined
  /** Whether the log is known to go on behind, or known to end at, the next fetch's offset. */
  ahead: 'more' | 'nothing' | 'unknown' = 'unknown'
  /** Bytes of the last batch fetched. */
  batchBytes = 0
  /** When it last got something: who waited longest comes first. */
  servedAt = 0
  /** Retries since the last answer. */
  retries = 0
  /** Since when metadata does not know the partition. */
  unknownSinceMs: number | undefined
  rest: Timer | undefined

  constructor(at: CursorStart, reader: CursorReader) {
    this.topic = at.topic
    this.partition = at.partition
    this.#reader = reader
    this.#position = at.offset
    this.#fetchOffset = at.offset
    this.#lastEpoch = at.leaderEpoch ?? -1
  }

  /** Empty until metadata has told it. */
  get topicId(): string {
    return this.knownTopicId ?? ''
  }

  /** The id under which the topic was first met: another one later is another topic. */
  get knownTopicId(): string | undefined {
    this.#topicId ??= this.#reader.topicIdOf(this)
    return this.#topicId
  }

  get position(): Offset {
    return this.#position
  }

  /** Where the next fetch begins. */
  get fetchOffset(): Offset {
    return asOffset(this.#fetchOffset)
  }

  /** Of the last batch fetched; before the first what it was opened with, -1 for none. */
  get lastEpoch(): number {
    return this.#lastEpoch
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get isEmpty(): boolean {
    return this.#slices.length === 0
  }

  get isClosed(): boolean {
    return this.state === 'stopped' && this.failure === undefined
  }

  /** The broker to ask. */
  node(nowMs: number): number | undefined {
    if (this.replica !== undefined && this.replica.untilMs > nowMs) return this.replica.node
    this.replica = undefined
    return this.leader?.node
  }

  /** Appends what was fetched, which must lead further. */
  push(slice: RecordSlice, nextOffset: number): void {
    this.#fetchOffset = nextOffset
    this.#lastEpoch = slice.leaderEpoch
    this.#queuedBytes += slice.leftBytes
    this.batchBytes = slice.lastBatchBytes
    slice.body.hold()
    this.#slices.push(slice)
  }

  /** Ends the fetching for good. What was fetched before is still handed out. */
  fail(error: Error): void {
    this.rest?.cancel()
    this.state = 'stopped'
    this.failure = error
  }

  take(): FetchedBatch | undefined {
    const [slice] = this.#slices
    if (slice === undefined) {
      if (this.failure !== undefined) throw this.failure
      return undefined
    }
    const taken = this.#taken(slice)
    const batch = new KafkaBatch(this, taken, slice)
    this.#position = batch.nextOffset
    if (slice.leftBytes === 0) this.#shift(slice)
    this.#queuedBytes -= taken.queuedBytes
    this.#reader.onTake(this, taken.queuedBytes)
    return batch
  }

  close(): void {
    if (this.isClosed) return
    this.rest?.cancel()
    this.failure = undefined
    this.state = 'stopped'
    this.#reader.onClose(this)
    this.#drop()
  }

  /** Throws where the slice cannot be read; the cursor has failed then. */
  #taken(slice: RecordSlice): TakenBatches {
    try {
      return slice.take(this.#position, this.#reader.limits)
    } catch (error) {
      const failure = asError(error)
      const droppedBytes = this.#queuedBytes
      this.#drop()
      this.fail(failure)
      this.#reader.onTake(this, droppedBytes)
      throw failure
    }
  }

  #shift(slice: RecordSlice): void {
    this.#slices.shift()
    slice.body.release()
  }

  #drop(): void {
    for (const { body } of this.#slices) body.release()
    this.#slices = []
    this.#queuedBytes = 0
  }
}

/** What one take gives. */
class KafkaBatch implements FetchedBatch {
  readonly topic: Topic
  readonly partition: Partition
  readonly records: readonly LogRecord[]
  readonly nextOffset: Offset
  readonly lastStableOffset: Offset
  readonly leaderEpoch: number
  readonly sizeBytes: number
  #body: ResponseBuffer | undefined

  constructor(of: KafkaCursor, taken: TakenBatches, slice: RecordSlice) {
    this.topic = of.topic
    this.partition = of.partition
    this.records = taken.records
    this.nextOffset = asOffset(taken.nextOffset)
    this.lastStableOffset = asOffset(slice.lastStableOffset)
    this.leaderEpoch = taken.leaderEpoch
    this.sizeBytes = taken.sizeBytes
    this.#body = slice.body
    slice.body.hold()
  }

  release(): void {
    this.#body?.release()
    this.#body = undefined
  }
}
