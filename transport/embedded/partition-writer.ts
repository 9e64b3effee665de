/**
 * The writing end of a partition. Writes take turns. Each puts its batches behind what was written
 * before, then hands the index the rows that make them count; the next write begins meanwhile. A
 * write that fails moves nothing, so that the next one goes over whatever it left.
 */
import { join } from 'node:path'
import type { Clock } from '../../model/clock.ts'
import { AT, readLong } from '../record-batch.ts'
import { placeBatch } from '../record-batch-builder.ts'
import type { FilePool } from './file-pool.ts'
import { padded, type EndRow, type PartitionKeys, type SegmentRow } from './index-rows.ts'
import type { Durability } from './limits.ts'
import { diskError } from './folder-errors.ts'
import type { LogIndex, RowChange } from './log-index.ts'
import type { ProducerSequences } from './producer-sequences.ts'
import { needsPlace, Segment } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import type { TopicPolicy } from './topic-policy.ts'

/** What the writers of a log share. */
export interface WriterResources {
  readonly clock: Clock
  readonly index: LogIndex
  readonly files: FilePool
  readonly durability: Durability
  /** For topics that name no `segment.bytes`. */
  readonly segmentBytes: number
  /** Stamped on what is written: how many times the folder was opened. */
  readonly leaderEpoch: number
}

/** A batch that is sealed, all but its base offset and leader epoch. */
export interface SealedBatch {
  readonly parts: readonly Buffer[]
  readonly sizeBytes: number
  readonly recordCount: number
}

/** Batches of one producer for one partition: whole or not at all. */
export interface Append {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly transactional: boolean
  readonly batches: readonly SealedBatch[]
}

/** What a write did. */
export interface Written {
  readonly lastOffset: number
  /** Resolves with the new end once the index has it. */
  readonly recorded: Promise<void>
}

/** Whom a writer tells. */
export interface WriteWatcher {
  /** A producer's records begin at this offset; returns the rows that go with them. */
  written(append: Append, baseOffset: number): readonly RowChange[]
  /** The index has everything before `end`. */
  recorded(end: number): void
}

/** Where in which segment a write goes. */
interface Target {
  readonly segment: Segment
  readonly start: number
  /** The segment that this one follows, complete now. */
  readonly complete: Segment | undefined
  readonly now: number
}

/** The batches of a write with their places. */
interface Layout {
  readonly buffers: readonly Buffer[]
  readonly places: readonly (readonly [number, number])[]
  readonly lastPlace: number
  readonly endOffset: number
  readonly endStart: number
  /** The largest timestamp; -1 where no record has one. */
  readonly newest: number
}

/** The writing end of one partition. */
export class PartitionWriter {
  readonly #resources: WriterResources
  readonly #watcher: WriteWatcher
  readonly #keys: PartitionKeys
  readonly #folder: string
  readonly #segments: SegmentList
  readonly #policy: TopicPolicy
  readonly #sequences: ProducerSequences
  #nextOffset: number
  #nextStart: number
  #lastPlace: number
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    from: {
      readonly keys: PartitionKeys
      readonly folder: string
      readonly row: EndRow
      readonly segments: SegmentList
      readonly policy: TopicPolicy
      readonly sequences: ProducerSequences
    },
    resources: WriterResources,
    watcher: WriteWatcher,
  ) {
    this.#resources = resources
    this.#watcher = watcher
    this.#keys = from.keys
    this.#folder = from.folder
    this.#segments = from.segments
    this.#policy = from.policy
    this.#sequences = from.sequences
    this.#nextOffset = from.row.end
    this.#nextStart = from.row.bytes
    this.#lastPlace = from.segments.last.lastPlace
  }

  /** The offset that the next write gets. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Takes its turn, then writes. The result is in the segment; `recorded` tells when it counts. */
  append(append: Append): Promise<Written> {
    return this.#inTurn(() => this.#write(append))
  }

  /** Completes the segment that is written to, unless it is empty; the next write begins another one. */
  roll(): Promise<void> {
    return this.#inTurn(async () => {
      const bytes = this.#nextStart
      if (bytes === 0) return
      const end: EndRow = { end: this.#nextOffset, segment: this.#nextOffset, bytes: 0 }
      const rows = [{ key: this.#keys.end, value: end }, this.#completeRow(this.#segments.last)]
      this.#segments.push(this.#newSegment())
      this.#nextStart = 0
      this.#lastPlace = 0
      await this.#resources.index.write(rows, { sync: false })
    })
  }

  /** Waits until the index was handed all that is under way. */
  async settle(): Promise<void> {
    await this.#turn
  }

  /** The next one has its turn whether this one failed or not. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #write(append: Append): Promise<Written> {
    const recordCount = append.batches.reduce((sum, batch) => sum + batch.recordCount, 0)
    const sequenced = { ...append, recordCount }
    const before = this.#sequences.find(sequenced)
    if (before !== undefined) {
      // What the index was given before is there when this is: also the append that this one repeats.
      return { lastOffset: before, recorded: this.#resources.index.write([], { sync: false }) }
    }
    const now = this.#resources.clock.now()
    const target = this.#target(append.batches, now)
    const layout = this.#lay(append.batches, target.start)
    await this.#put(layout, target)
    const baseOffset = this.#nextOffset
    const sequence = this.#sequences.remember(sequenced, baseOffset, now)
    noteTimes(layout, target)
    const rows = [
      ...this.#rows(layout, target),
      { key: `${this.#keys.sequencePrefix}${append.producerId}`, value: sequence },
      ...this.#watcher.written(append, baseOffset),
    ]
    if (target.segment !== this.#segments.last) this.#segments.push(target.segment)
    this.#nextOffset = layout.endOffset
    this.#nextStart = layout.endStart
    this.#lastPlace = layout.lastPlace
    return {
      lastOffset: layout.endOffset - 1,
      recorded: this.#record(rows, { layout, target, append }),
    }
  }

  /** The last segment while there is room in it and it is not too old, else a new one. */
  #target(batches: readonly SealedBatch[], now: number): Target {
    const bytes = batches.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const start = this.#nextStart
    const { last } = this.#segments
    const { segmentBytes, segmentMs } = this.#policy
    const isDue = now - (last.since ?? now) >= segmentMs
    if (start === 0 || (start + bytes <= segmentBytes && !isDue)) {
      return { segment: last, start, complete: undefined, now }
    }
    return { segment: this.#newSegment(), start: 0, complete: last, now }
  }

  #newSegment(): Segment {
    const path = segmentPath(this.#folder, this.#nextOffset)
    const file = { path, files: this.#resources.files, bytes: 0 }
    return new Segment(this.#nextOffset, file).startEmpty()
  }

  #lay(batches: readonly SealedBatch[], from: number): Layout {
    const places: (readonly [number, number])[] = []
    let lastPlace = from === 0 ? 0 : this.#lastPlace
    let baseOffset = this.#nextOffset
    let start = from
    let newest = -1
    for (const { parts, sizeBytes, recordCount } of batches) {
      const [head] = parts
      if (head === undefined) throw new TypeError('a batch without parts')
      placeBatch(head, { baseOffset, leaderEpoch: this.#resources.leaderEpoch })
      newest = Math.max(newest, readLong(head, AT.maxTimestamp))
      if (needsPlace(start, sizeBytes, lastPlace)) {
        places.push([baseOffset, start])
        lastPlace = start
      }
      baseOffset += recordCount
      start += sizeBytes
    }
    const buffers = batches.flatMap(({ parts }) => parts)
    return { buffers, places, lastPlace, endOffset: baseOffset, endStart: start, newest }
  }

  async #put(layout: Layout, { segment, start }: Target): Promise<void> {
    try {
      await segment.write(layout.buffers, start)
      // Before any row that mentions these bytes: LevelDB's log is one, so that whichever batch is
      // synced next takes this append's row to the disk with it.
      if (this.#resources.durability === 'fsync') await segment.sync()
    } catch (error) {
      // What was written in part takes room that somebody may need; the next write goes over it anyway.
      await segment.truncate(start).catch(() => undefined)
      throw diskError(error, segment.path)
    }
  }

  #rows(layout: Layout, { segment, complete, now }: Target): readonly RowChange[] {
    const { base, newest = now, since = now } = segment
    const at = { end: layout.endOffset, segment: base, bytes: layout.endStart }
    const end: EndRow = { ...at, newest, since }
    const rows: RowChange[] = [{ key: this.#keys.end, value: end }]
    for (const [offset, start] of layout.places) {
      rows.push({ key: `${this.#keys.batchPrefix}${padded(offset)}`, value: start })
    }
    if (complete !== undefined) rows.push(this.#completeRow(complete))
    return rows
  }

  /** The row of the segment that was written to until now. */
  #completeRow({ base, newest, rewrites }: Segment): RowChange {
    const key = `${this.#keys.segmentPrefix}${padded(base)}`
    const { clock } = this.#resources
    const value: SegmentRow = { bytes: this.#nextStart, newest: newest ?? clock.now(), rewrites }
    return { key, value }
  }

  async #record(
    rows: readonly RowChange[],
    write: { readonly layout: Layout; readonly target: Target; readonly append: Append },
  ): Promise<void> {
    const { layout, target, append } = write
    const sync = this.#resources.durability === 'fsync' && !append.transactional
    await this.#resources.index.write(rows, { sync })
    for (const [offset, start] of layout.places) target.segment.addPlace(offset, start)
    target.segment.bytes = layout.endStart
    this.#watcher.recorded(layout.endOffset)
  }
}

/** A record that came without a time counts from when it was written. */
function noteTimes({ newest }: Layout, { segment, now }: Target): void {
  segment.since ??= now
  segment.newest = Math.max(segment.newest ?? -1, newest < 0 ? now : newest)
}

/** The file of the segment that begins at `base`: the name is padded so that files sort, and another one after each time it was rewritten. */
export function segmentPath(folder: string, base: number, rewrites = 0): string {
  return join(folder, rewrites === 0 ? `${padded(base)}.log` : `${padded(base)}-${rewrites}.log`)
}
