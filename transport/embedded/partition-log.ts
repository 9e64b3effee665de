/**
 * One partition: its segments, who has a transaction open in it, and how far readers may see.
 *
 * `end` is what the index has: nobody, not even a read_uncommitted reader, sees further. There are no
 * markers in the segments. The index knows which transactions are open and which were aborted, so
 * that one batch of it ends a transaction in all its partitions, and the memory here follows only
 * once that batch was written.
 */
import type { LogRecord } from '../../model/record.ts'
import {
  asOffset,
  type Offset,
  type Partition,
  type Topic,
  type TopicPartition,
} from '../../model/position.ts'
import { offsetOutOfRange } from '../log-errors.ts'
import type { BatchHeader } from '../record-batch.ts'
import type { Isolation } from '../transport.ts'
import type { AbortedRanges } from './aborted-ranges.ts'
import type { BufferPool } from '../buffer-pool.ts'
import { padded, type CleanedRow, type EndRow, type PartitionKeys } from './index-rows.ts'
import type { RowChange } from './log-index.ts'
import { PartitionCleaning } from './partition-cleaning.ts'
import { PartitionWriter, type Append, type WriterResources } from './partition-writer.ts'
import type { ProducerSequences } from './producer-sequences.ts'
import {
  readRawRegion,
  readRegion,
  type BatchPlace,
  type RawRead,
  type RegionRead,
  type RegionRequest,
  type StretchRead,
} from './region.ts'
import type { FoundSegment, SegmentList } from './segment-list.ts'
import type { TopicPolicy } from './topic-policy.ts'

/** What all partitions of a log share. */
export interface LogResources extends WriterResources {
  readonly buffers: BufferPool
}

/** What is known of a partition when it is opened. */
export interface PartitionState {
  readonly topicId: string
  readonly keys: PartitionKeys
  readonly folder: string
  readonly row: EndRow
  /** The first offset that is kept. */
  readonly start: number
  readonly cleaned: CleanedRow
  readonly policy: TopicPolicy
  readonly segments: SegmentList
  /** First offsets of open transactions, by producer id. */
  readonly open: Map<number, number>
  readonly aborted: AbortedRanges
  readonly sequences: ProducerSequences
  /** Why the partition cannot be used, where it was found damaged. */
  readonly damage: Error | undefined
}

/** How far a read goes. */
export interface ReadBounds {
  readonly isolation: Isolation
  /** Batches beyond the first come only where they fit. */
  readonly maxBytes: number
  /** Where the batch begins, as the read before told it. */
  readonly place?: BatchPlace | undefined
}

/** What is looked for in the segments. */
interface WantedRegion {
  readonly offset: number
  readonly place: BatchPlace | undefined
  readonly limit: number
  readonly maxBytes: number
  readonly hides: (header: BatchHeader) => boolean
}

/** How a transaction ends. */
export type Outcome = 'commit' | 'abort'

/** A partition of the log, as its one writing process sees it. */
export class PartitionLog implements TopicPartition {
  readonly topic: Topic
  readonly partition: Partition
  readonly topicId: string
  /** What retention and compaction do here. */
  readonly cleaning: PartitionCleaning
  readonly #state: PartitionState
  readonly #buffers: BufferPool
  readonly #writer: PartitionWriter
  readonly #watchers = new Set<() => void>()
  #start: number
  #end: number
  #failure: Error | undefined

  constructor(at: TopicPartition, state: PartitionState, resources: LogResources) {
    this.topic = at.topic
    this.partition = at.partition
    this.topicId = state.topicId
    this.#state = state
    this.#buffers = resources.buffers
    this.#start = state.start
    this.#end = state.row.end
    this.#failure = state.damage
    this.#writer = new PartitionWriter(state, resources, {
      written: (append, baseOffset) => this.#began(append, baseOffset),
      recorded: (end) => {
        this.#end = end
        this.#notify()
      },
    })
    this.cleaning = new PartitionCleaning(this, state, {
      ...resources,
      roll: () => this.#writer.roll(),
      startMoved: (start) => {
        this.#start = start
        this.#notify()
      },
    })
  }

  /** Not damaged, not deleted, not closed. */
  get isUsable(): boolean {
    return this.#failure === undefined
  }

  /** Throws what stopped the partition. */
  assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** The first offset that is kept. */
  get start(): Offset {
    this.assertUsable()
    return this.#start as Offset
  }

  /** The end that a reader of this isolation has. Throws what stopped the partition. */
  endFor(isolation: Isolation): Offset {
    this.assertUsable()
    let end = this.#end
    if (isolation === 'read_committed') {
      for (const first of this.#state.open.values()) end = Math.min(end, first)
    }
    return end as Offset
  }

  /** Calls `run` whenever more can be read, or nothing more at all. Returns what ends that. */
  watch(run: () => void): () => void {
    this.#watchers.add(run)
    return () => {
      this.#watchers.delete(run)
    }
  }

  /** Appends; resolves with the offset of the last record once the index has it. */
  async append(append: Append): Promise<Offset> {
    this.assertUsable()
    const { lastOffset, recorded } = await this.#writer.append(append)
    await recorded
    return lastOffset as Offset
  }

  /** The rows that end a producer's transaction here. None of its appends may be under way. */
  endingRows(producerId: number, outcome: Outcome): readonly RowChange[] {
    const first = this.#state.open.get(producerId)
    if (first === undefined) return []
    const { openPrefix, abortedPrefix } = this.#state.keys
    const closed = { key: `${openPrefix}${producerId}`, value: undefined }
    if (outcome === 'commit') return [closed]
    const key = `${abortedPrefix}${producerId}:${padded(first)}`
    return [closed, { key, value: this.#writer.nextOffset - 1 }]
  }

  /** Shows what `endingRows` made so: called once the index has it. */
  endTransaction(producerId: number, outcome: Outcome): void {
    const first = this.#state.open.get(producerId)
    if (first === undefined) return
    if (outcome === 'abort') {
      this.#state.aborted.add(producerId, first, this.#writer.nextOffset - 1)
    }
    this.#state.open.delete(producerId)
    this.#notify()
  }

  /**
   * Reads batches that lie together, the one with `offset` first; undefined where a reader of this
   * isolation sees no more. Throws MILLRACE_OFFSET_OUT_OF_RANGE, MILLRACE_LOG_DAMAGED, or what stopped
   * the partition.
   */
  async read(offset: number, bounds: ReadBounds): Promise<RegionRead | undefined> {
    return await this.#readInUse(() => this.#wanted(offset, bounds), readRegion)
  }

  /** As `read`: the batches as they lie in the segment, the first of which may begin before `offset`. */
  async readRaw(offset: number, bounds: ReadBounds): Promise<RawRead | undefined> {
    return await this.#readInUse(() => this.#wanted(offset, bounds), readRawRegion)
  }

  /** The record at an offset, whatever became of its transaction; undefined where there is none. */
  async readAt(
    offset: number,
  ): Promise<{ readonly record: LogRecord; readonly leaderEpoch: number } | undefined> {
    const read = await this.#readInUse(() => this.#wantedAlone(offset), readRegion)
    const record = read?.records[0]
    return read !== undefined && record?.offset === offset
      ? { record, leaderEpoch: read.leaderEpoch }
      : undefined
  }

  /** The batch that has the record of `readAt`, if there is one, as it lies in the segment. */
  async readRawAt(offset: number): Promise<RawRead | undefined> {
    return await this.#readInUse(() => this.#wantedAlone(offset), readRawRegion)
  }

  /** Producers that have a transaction open here. */
  get openProducers(): readonly number[] {
    return [...this.#state.open.keys()]
  }

  /** Ends every use, for the topic was deleted or the log is closed; waits for the writes under way. */
  async stop(failure: Error): Promise<void> {
    this.#failure = failure
    this.#notify()
    await this.cleaning.settle()
    await this.#writer.settle()
    this.#state.open.clear()
  }

  /**
   * Reads what `wanted` asks for. Cleaning may take the segment away meanwhile: its file may be
   * missing, or the index may no longer know which of its records were aborted. Then the answer does
   * not count, and what is wanted is looked for again where it is now.
   */
  async #readInUse<Read extends StretchRead>(
    wanted: () => WantedRegion | undefined,
    how: (request: RegionRequest) => Promise<Read>,
  ): Promise<Read | (RegionRead & RawRead) | undefined> {
    for (;;) {
      const want = wanted()
      if (want === undefined) return undefined
      const found = this.#state.segments.find(want.offset)
      if (found === undefined) return this.#nothingBefore(this.#state.segments.firstBase)
      try {
        const read = await how(await this.#request(want, found))
        if (!found.segment.isRetired) return read
        read.release()
      } catch (error) {
        if (!found.segment.isRetired) throw error
      }
    }
  }

  #wanted(offset: number, { isolation, maxBytes, place }: ReadBounds): WantedRegion | undefined {
    const hides = isolation === 'read_committed' ? this.#isAborted : shows
    const limit = this.endFor(isolation)
    const range = { start: this.#start, end: this.#end }
    if (offset < range.start || offset > range.end) {
      throw offsetOutOfRange({ ...this.#at, offset: asOffset(offset) }, range)
    }
    return offset < limit ? { offset, place, limit, maxBytes, hides } : undefined
  }

  #wantedAlone(offset: number): WantedRegion | undefined {
    const isInside = offset < this.endFor('read_uncommitted') && offset >= this.#start
    const limit = offset + 1
    return isInside ? { offset, place: undefined, limit, maxBytes: 0, hides: shows } : undefined
  }

  async #request(
    { offset, place, limit, maxBytes, hides }: WantedRegion,
    { segment, nextBase }: FoundSegment,
  ): Promise<RegionRequest> {
    await segment.load()
    const whole = segment.region(offset, nextBase)
    const start = place?.segment === segment ? place.start : 0
    const isInside = start > whole.start && start < whole.end
    const region = isInside ? { ...whole, offset, start } : whole
    const { topic } = this
    const buffers = this.#buffers
    return { segment, region, topic, buffers, fromOffset: offset, limit, maxBytes, hides }
  }

  /** Compaction left nothing between the start and the first segment. */
  #nothingBefore(nextOffset: number): RegionRead & RawRead {
    const nextPlace = { segment: this.#state.segments.last, start: 0 }
    const nothing = { records: [], batches: [], leaderEpoch: -1, sizeBytes: 0, release: () => {} }
    return { ...nothing, nextOffset, nextPlace }
  }

  get #at(): TopicPartition {
    return { topic: this.topic, partition: this.partition }
  }

  readonly #isAborted = ({ transactional, producerId, baseOffset }: BatchHeader): boolean =>
    transactional && this.#state.aborted.has(producerId, baseOffset)

  /** Holds the last stable offset back before anything of the transaction can be seen. */
  #began({ transactional, producerId }: Append, baseOffset: number): readonly RowChange[] {
    if (!transactional || this.#state.open.has(producerId)) return []
    this.#state.open.set(producerId, baseOffset)
    return [{ key: `${this.#state.keys.openPrefix}${producerId}`, value: baseOffset }]
  }

  #notify(): void {
    for (const run of this.#watchers) run()
  }
}

function shows(): boolean {
  return false
}
