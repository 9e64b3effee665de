/**
 * The writing end of a partition. Writes take turns. Each puts its batches behind what was written
 * before, then hands the index the rows that make them count; the next write begins meanwhile. A
 * write that fails moves nothing, so that the next one goes over whatever it left.
 */
import { join } from 'node:path'
import type { Clock } from '../../model/clock.ts'
import { placeBatch } from '../record-batch-builder.ts'
import type { FilePool } from './file-pool.ts'
import { padded, type EndRow, type PartitionKeys } from './index-rows.ts'
import type { Durability } from './limits.ts'
import { diskError } from './folder-errors.ts'
import type { LogIndex, RowChange } from './log-index.ts'
import type { ProducerSequences } from './producer-sequences.ts'
import { PLACE_BYTES, Segment } from './segment.ts'

/** What the writers of a log share. */
export interface WriterResources {
  readonly clock: Clock
  readonly index: LogIndex
  readonly files: FilePool
  readonly durability: Durability
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
  readonly complete: { readonly base: number; readonly bytes: number } | undefined
}

/** The batches of a write with their places. */
interface Layout {
  readonly buffers: readonly Buffer[]
  readonly places: readonly (readonly [number, number])[]
  readonly lastPlace: number
  readonly endOffset: number
  readonly endStart: number
}

/** The writing end of one partition. */
export class PartitionWriter {
  readonly #resources: WriterResources
  readonly #watcher: WriteWatcher
  readonly #keys: PartitionKeys
  readonly #folder: string
  readonly #segments: Segment[]
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
      readonly segments: Segment[]
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
    this.#sequences = from.sequences
    this.#nextOffset = from.row.end
    this.#nextStart = from.row.bytes
    this.#lastPlace = from.segments.at(-1)?.lastPlace ?? 0
  }

  /** The offset that the next write gets. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Takes its turn, then writes. The result is in the segment; `recorded` tells when it counts. */
  append(append: Append): Promise<Written> {
    return this.#inTurn(() => this.#write(append))
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
    const target = this.#target(append.batches)
    const layout = this.#lay(append.batches, target.start)
    await this.#put(layout, target)
    const baseOffset = this.#nextOffset
    const sequence = this.#sequences.remember(sequenced, baseOffset, this.#resources.clock.now())
    const rows = [
      ...this.#rows(layout, target),
      { key: `${this.#keys.sequencePrefix}${append.producerId}`, value: sequence },
      ...this.#watcher.written(append, baseOffset),
    ]
    if (target.segment !== this.#segments.at(-1)) this.#segments.push(target.segment)
    this.#nextOffset = layout.endOffset
    this.#nextStart = layout.endStart
    this.#lastPlace = layout.lastPlace
    return {
      lastOffset: layout.endOffset - 1,
      recorded: this.#record(rows, { layout, target, append }),
    }
  }

  /** The last segment while there is room in it, else a new one. */
  #target(batches: readonly SealedBatch[]): Target {
    const bytes = batches.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const start = this.#nextStart
    const last = this.#segments.at(-1)
    if (last !== undefined && (start === 0 || start + bytes <= this.#resources.segmentBytes)) {
      return { segment: last, start, complete: undefined }
    }
    const path = segmentPath(this.#folder, this.#nextOffset)
    const file = { path, files: this.#resources.files, bytes: 0 }
    const segment = new Segment(this.#nextOffset, file).startEmpty()
    return { segment, start: 0, complete: last && { base: last.base, bytes: start } }
  }

  #lay(batches: readonly SealedBatch[], from: number): Layout {
    const places: (readonly [number, number])[] = []
    let lastPlace = from === 0 ? 0 : this.#lastPlace
    let baseOffset = this.#nextOffset
    let start = from
    for (const { parts, sizeBytes, recordCount } of batches) {
      const [head] = parts
      if (head === undefined) throw new TypeError('a batch without parts')
      placeBatch(head, { baseOffset, leaderEpoch: this.#resources.leaderEpoch })
      if (start > 0 && (sizeBytes >= PLACE_BYTES || start - lastPlace >= PLACE_BYTES)) {
        places.push([baseOffset, start])
        lastPlace = start
      }
      baseOffset += recordCount
      start += sizeBytes
    }
    const buffers = batches.flatMap(({ parts }) => parts)
    return { buffers, places, lastPlace, endOffset: baseOffset, endStart: start }
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

  #rows(layout: Layout, { segment, complete }: Target): readonly RowChange[] {
    const end: EndRow = { end: layout.endOffset, segment: segment.base, bytes: layout.endStart }
    const rows: RowChange[] = [{ key: this.#keys.end, value: end }]
    for (const [offset, at] of layout.places) {
      rows.push({ key: `${this.#keys.batchPrefix}${padded(offset)}`, value: at })
    }
    if (complete !== undefined) {
      const key = `${this.#keys.segmentPrefix}${padded(complete.base)}`
      rows.push({ key, value: complete.bytes })
    }
    return rows
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

/** The file of the segment that begins at `base`: the name is padded so that files sort. */
export function segmentPath(folder: string, base: number): string {
  return join(folder, `${padded(base)}.log`)
}
