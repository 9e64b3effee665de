/**
 * What removes records from a partition: the deletion of records before an offset, retention, and
 * compaction. The rule of all three: one batch of the index says what is there from now on, the memory
 * follows, and only then do files go. A crash in between leaves files that the index does not name,
 * which the next opening removes. The batches are synced, in every durability, because what a loss of
 * power must not bring back is the mention of a file that is gone.
 */
import { rm } from 'node:fs/promises'
import { asOffset, type TopicPartition } from '../../model/position.ts'
import { deletionOutOfRange } from '../log-errors.ts'
import type { Isolation } from '../transport.ts'
import type { AbortedRanges } from './aborted-ranges.ts'
import { compactionRound, type CompactedPartition } from './compaction.ts'
import { padded, type CleanedRow, type PartitionKeys, type SegmentRow } from './index-rows.ts'
import type { RowChange } from './log-index.ts'
import { segmentPath, type WriterResources } from './partition-writer.ts'
import { isDue, retentionStart } from './retention.ts'
import type { CompleteSegment, SegmentList } from './segment-list.ts'
import { SegmentRewrite } from './segment-rewrite.ts'
import type { TopicPolicy } from './topic-policy.ts'

/** The partition whose records are removed. */
export interface CleanedLog extends TopicPartition {
  /** Throws what stopped the partition. */
  endFor(isolation: Isolation): number
  /** Throws what stopped the partition. */
  assertUsable(): void
}

/** What cleaning needs to know of the partition. */
export interface CleaningState {
  readonly keys: PartitionKeys
  readonly folder: string
  readonly start: number
  readonly cleaned: CleanedRow
  readonly policy: TopicPolicy
  readonly segments: SegmentList
  readonly aborted: AbortedRanges
}

/** What cleaning works with, and whom it tells. */
export interface CleaningResources extends Pick<
  WriterResources,
  'index' | 'files' | 'durability' | 'clock'
> {
  /** Completes the segment that is written to. */
  readonly roll: () => Promise<void>
  /** Records before this offset are gone. */
  readonly startMoved: (start: number) => void
}

/** Removes records from one partition. */
export class PartitionCleaning {
  readonly #log: CleanedLog
  readonly #state: CleaningState
  readonly #resources: CleaningResources
  #start: number
  #cleaned: CleanedRow
  #turn: Promise<unknown> = Promise.resolve()

  constructor(log: CleanedLog, state: CleaningState, resources: CleaningResources) {
    this.#log = log
    this.#state = state
    this.#resources = resources
    this.#start = state.start
    this.#cleaned = state.cleaned
  }

  /** Deletes the records before an offset. Throws MILLRACE_OFFSET_OUT_OF_RANGE beyond the last stable offset. */
  async deleteBefore(offset: number): Promise<void> {
    const { topic, partition } = this.#log
    const end = this.#log.endFor('read_committed')
    const at = { topic, partition, offset: asOffset(offset) }
    if (offset > end) throw deletionOutOfRange(at, { start: this.#start, end })
    await this.#moveStart(offset)
    await this.#removeSegments(Infinity)
  }

  /** Removes what is too old or too much, at most so many segments; true where more is left. */
  async retain(now: number, segmentsAtMost: number): Promise<boolean> {
    const { policy, segments } = this.#state
    const stable = this.#log.endFor('read_committed')
    if (isDue(segments.last, policy, now)) await this.#resources.roll()
    const all = segments.completeBefore(stable)
    const complete = all.slice(0, segmentsAtMost)
    const { sizeBytes } = segments
    const start = retentionStart({ complete, policy, sizeBytes, now })
    await this.#moveStart(start)
    const isLeft = await this.#removeSegments(segmentsAtMost)
    return isLeft || (complete.length < all.length && start === complete.at(-1)?.nextBase)
  }

  /** Part of the bytes that came since the last round; undefined where nothing did, or nothing may be compacted. */
  dirtyRatio(now: number): number | undefined {
    const { policy } = this.#state
    if (!policy.compacts) return undefined
    const complete = this.#compactable(now - policy.minCompactionLagMs)
    const bytesOf = (some: readonly CompleteSegment[]): number =>
      some.reduce((sum, { segment }) => sum + segment.bytes, 0)
    const dirty = bytesOf(complete.filter(({ nextBase }) => nextBase > this.#cleaned.dirty))
    if (dirty === 0) return undefined
    const ratio = dirty / bytesOf(complete)
    return ratio >= policy.minDirtyRatio ? ratio : undefined
  }

  /** One round of compaction; yields the bytes that each step read. */
  compact(keyBytes: number): AsyncGenerator<number, void> {
    const newestAtMost = this.#resources.clock.now() - this.#state.policy.minCompactionLagMs
    return this.#round(keyBytes, { newestAtMost, isForced: false })
  }

  /** Rounds until everything that is stable now is compacted, whatever its age and the topic's policy. */
  async *compactAll(keyBytes: number): AsyncGenerator<number, void> {
    await this.#resources.roll()
    const end = this.#compactable(Infinity).at(-1)?.nextBase ?? 0
    do yield* this.#round(keyBytes, { newestAtMost: Infinity, isForced: true })
    while (this.#cleaned.dirty < end)
  }

  /** Waits until no change of the index is under way. */
  async settle(): Promise<void> {
    await this.#turn
  }

  #round(
    keyBytes: number,
    of: { readonly newestAtMost: number; readonly isForced: boolean },
  ): AsyncGenerator<number, void> {
    const { clock } = this.#resources
    return compactionRound(this.#compacted(), {
      complete: this.#compactable(of.newestAtMost),
      isForced: of.isForced,
      keyBytes,
      now: clock.now(),
      seed: Math.floor(clock.random() * 2 ** 32),
    })
  }

  #compactable(newestAtMost: number): readonly CompleteSegment[] {
    const { segments } = this.#state
    const complete = segments.completeBefore(this.#log.endFor('read_committed'))
    const young = complete.findIndex(({ segment }) => (segment.newest ?? 0) > newestAtMost)
    return young < 0 ? complete : complete.slice(0, young)
  }

  #compacted(): CompactedPartition {
    const { policy, aborted, folder } = this.#state
    return {
      topic: this.#log.topic,
      policy,
      aborted,
      cleaned: this.#cleaned,
      start: this.#start,
      rewrite: (sources) => {
        const base = sources[0]?.segment.base ?? 0
        const rewrites = 1 + Math.max(...sources.map(({ segment }) => segment.rewrites))
        const newest = Math.max(...sources.map(({ segment }) => segment.newest ?? 0))
        const path = segmentPath(folder, base, rewrites)
        return new SegmentRewrite(base, { path, files: this.#resources.files, newest, rewrites })
      },
      replace: (sources, by) => this.#replace(sources, by),
      finish: (cleaned, coveredEnd) => this.#finish(cleaned, coveredEnd),
    }
  }

  /** The row first, so that no reader learns of a start that a crash takes back. */
  async #moveStart(offset: number): Promise<void> {
    if (offset <= this.#start) return
    await this.#inTurn(async () => {
      if (offset <= this.#start) return
      const row = { key: this.#state.keys.start, value: offset }
      await this.#resources.index.write([row], { sync: this.#resources.durability === 'fsync' })
      this.#start = offset
      this.#resources.startMoved(offset)
    })
  }

  /** Removes segments that lie wholly before the start; true where more are left. */
  async #removeSegments(atMost: number): Promise<boolean> {
    const { segments, aborted } = this.#state
    if (segments.firstBase >= this.#start) return false
    const isLastGone = segments.last.base < this.#start
    if (isLastGone && this.#start >= this.#log.endFor('read_uncommitted')) {
      await this.#resources.roll()
    }
    return await this.#inTurn(async () => {
      const gone = segments.completeBefore(this.#start)
      const some = gone.slice(0, atMost)
      const end = some.at(-1)?.nextBase
      if (end === undefined) return false
      const rows = [...(await this.#removingRows(some)), ...this.#forgettingRows(end)]
      await this.#resources.index.write(rows, { sync: true })
      await this.#swap(some, undefined)
      aborted.forgetBefore(end)
      return some.length < gone.length
    })
  }

  async #replace(sources: readonly CompleteSegment[], by: SegmentRewrite): Promise<boolean> {
    await by.sync()
    return await this.#inTurn(async () => {
      this.#log.assertUsable()
      if (sources.some(({ segment }) => segment.isRetired)) return false
      const rows = await this.#removingRows(sources)
      const { base, bytes, newest = 0, rewrites } = by.segment
      if (bytes > 0) {
        const value: SegmentRow = { bytes, newest, rewrites }
        rows.push({ key: `${this.#state.keys.segmentPrefix}${padded(base)}`, value })
        for (const [offset, start] of by.places) {
          rows.push({ key: `${this.#state.keys.batchPrefix}${padded(offset)}`, value: start })
        }
      }
      await this.#resources.index.write(rows, { sync: true })
      await this.#swap(sources, by)
      return true
    })
  }

  async #finish(cleaned: CleanedRow, coveredEnd: number): Promise<void> {
    await this.#inTurn(async () => {
      this.#log.assertUsable()
      const row = { key: this.#state.keys.cleaned, value: cleaned }
      await this.#resources.index.write([row, ...this.#forgettingRows(coveredEnd)], { sync: false })
      this.#cleaned = cleaned
      this.#state.aborted.forgetBefore(coveredEnd)
    })
  }

  /** The index knows it: readers see it from here on, and the files go. */
  async #swap(gone: readonly CompleteSegment[], by: SegmentRewrite | undefined): Promise<void> {
    const segments = gone.map(({ segment }) => segment)
    this.#state.segments.replace(segments, by?.take())
    for (const { path, bytes } of segments) {
      if (bytes === 0) continue
      await this.#resources.files.drop(path)
      await rm(path, { force: true })
    }
  }

  /** Take the rows of neighbouring segments, and of the places in them, out of the index. */
  async #removingRows(gone: readonly CompleteSegment[]): Promise<RowChange[]> {
    const { segmentPrefix, batchPrefix } = this.#state.keys
    const keys = gone.map(({ segment }) => `${segmentPrefix}${padded(segment.base)}`)
    const from = padded(gone[0]?.segment.base ?? 0)
    const before = padded(gone.at(-1)?.nextBase ?? 0)
    for (const [offset] of await this.#resources.index.list(batchPrefix, { from, before })) {
      keys.push(`${batchPrefix}${offset}`)
    }
    return keys.map((key) => ({ key, value: undefined }))
  }

  #forgettingRows(end: number): readonly RowChange[] {
    const { abortedPrefix } = this.#state.keys
    return this.#state.aborted.before(end).map(([producerId, first]) => ({
      key: `${abortedPrefix}${producerId}:${padded(first)}`,
      value: undefined,
    }))
  }

  /** Changes of the index come one after the other, whether the one before failed or not. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
