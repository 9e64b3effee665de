/**
 * One round of compaction in one partition: the last record of each key stays, at its offset.
 *
 * 1. The keys that came since the last round are taken into memory with their last offsets, as many
 *    as there is room for.
 * 2. Every complete segment before where that ended is rewritten without the records that a later
 *    one of those replaces, without those of aborted transactions, and without tombstones whose time
 *    is over. Neighbours that fit into one segment become one. Each rewritten file takes the place of
 *    its originals by one batch of the index.
 * 3. Only then is it noted how far the round came. A round that ends halfway has removed nothing
 *    that a later record does not replace, and is done again.
 *
 * A tombstone may go once it was there for `delete.retention.ms` after the round that removed
 * everything before it: since then it deletes nothing in the log, and only a reader that began
 * earlier may still need it. If a round left an older record behind and was noted all the same, that
 * record would come back with the end of its tombstone; so a round in which a segment could not be
 * replaced is not noted.
 *
 * It is a generator, so that whoever runs it decides how much is done at a time. Source of the
 * algorithm: Kafka's LogCleaner.
 */
import type { BatchHeader } from '../record-batch.ts'
import type { AbortedRanges } from './aborted-ranges.ts'
import type { CleanedRow, TombstoneRow } from './index-rows.ts'
import { KeyOffsets } from './key-offsets.ts'
import { filterBatch, firstRecord, visitRecords, type KeepRecord } from './record-filter.ts'
import type { CompleteSegment } from './segment-list.ts'
import { scanSegment, wholeBatch, type LargeBatch, type SmallBatches } from './segment-scan.ts'
import type { Segment } from './segment.ts'
import type { SegmentRewrite } from './segment-rewrite.ts'
import type { TopicPolicy } from './topic-policy.ts'

/** Bytes of batches after which a step ends, so that the record loop is not held up. */
const STEP_BYTES = 256 * 1024
/** Bytes that the table of keys needs at most for each byte of records, however small they are. */
const KEY_BYTES_RATIO = 4
/** Part of `delete.retention.ms` within which rounds share one note of their tombstones. */
const TOMBSTONE_STEP = 0.1

/** A partition as compaction sees it. */
export interface CompactedPartition {
  readonly topic: string
  readonly policy: TopicPolicy
  readonly aborted: AbortedRanges
  readonly cleaned: CleanedRow
  /** The first offset that is kept. */
  readonly start: number
  /** Begins the file that is to take the place of these neighbours. */
  rewrite(sources: readonly CompleteSegment[]): SegmentRewrite
  /** Puts it in their place; false, and nothing changed, where one of them is not there any more. */
  replace(sources: readonly CompleteSegment[], by: SegmentRewrite): Promise<boolean>
  /** Notes a finished round; no record of a transaction that was aborted before `coveredEnd` is left. */
  finish(cleaned: CleanedRow, coveredEnd: number): Promise<void>
}

/** How a round is run. */
export interface RoundOptions {
  /** The segments it may rewrite, oldest first, from the first one of the partition on. */
  readonly complete: readonly CompleteSegment[]
  /** Also where no record came since the last round: the time of tombstones may be over. */
  readonly isForced: boolean
  /** Milliseconds since 1970. */
  readonly now: number
  readonly keyBytes: number
  /** Of the table of keys. */
  readonly seed: number
}

/** Runs a round; yields the bytes that each step read. Throws MILLRACE_LOG_DAMAGED, MILLRACE_DISK_FULL. */
export async function* compactionRound(
  partition: CompactedPartition,
  options: RoundOptions,
): AsyncGenerator<number, void> {
  const { complete, now } = options
  const last = complete.at(-1)
  const dirty = Math.max(partition.cleaned.dirty, partition.start)
  if (last === undefined || (last.nextBase <= dirty && !options.isForced)) return
  const mostKeyBytes = KEY_BYTES_RATIO * sizeOf(complete.filter(({ nextBase }) => nextBase > dirty))
  const keys = new KeyOffsets(Math.min(options.keyBytes, mostKeyBytes), options.seed)
  const end = yield* collectKeys(partition, { complete, dirty, keys })
  const covered = complete.filter(({ segment }) => segment.base < end)
  const keep = keepRule(partition, keys, now)
  for (const sources of groups(covered, partition.policy.segmentBytes)) {
    const isReplaced = yield* rewriteGroup(partition, sources, keep)
    if (!isReplaced) return
  }
  const tombstones = noteTombstones(partition, end, now)
  await partition.finish({ dirty: end, tombstones }, covered.at(-1)?.nextBase ?? end)
}

/** Takes in the keys from `dirty` on; returns the offset before which all are in. */
async function* collectKeys(
  { topic, aborted }: CompactedPartition,
  from: {
    readonly complete: readonly CompleteSegment[]
    readonly dirty: number
    readonly keys: KeyOffsets
  },
): AsyncGenerator<number, number> {
  const { complete, dirty, keys } = from
  let full: number | undefined
  const visit: KeepRecord = ({ offset, keyStart, keyEnd }, buffer) => {
    if (full !== undefined) return false
    if (offset < dirty || keyStart < 0) return true
    if (!keys.set(buffer, keyStart, keyEnd, offset)) full = offset
    return full === undefined
  }
  for (const { segment, nextBase } of complete) {
    if (nextBase <= dirty) continue
    for await (const read of scanInUse(segment, topic)) {
      if (read.kind === 'small') yield* visitSmall(read, aborted, visit)
      else if (!isAborted(read.header, aborted)) yield* visitLarge(read, visit)
      if (full !== undefined) return full
    }
  }
  return complete.at(-1)?.nextBase ?? dirty
}

/** Retention may remove a segment at any time: what is left of the scan is nothing then. */
async function* scanInUse(segment: Segment, topic: string): ReturnType<typeof scanSegment> {
  try {
    yield* scanSegment(segment, topic)
  } catch (error) {
    if (!segment.isRetired) throw error
  }
}

function* visitSmall(
  { bytes, headers }: SmallBatches,
  aborted: AbortedRanges,
  visit: KeepRecord,
): Generator<number, void> {
  let at = 0
  let worked = 0
  for (const header of headers) {
    if (!isAborted(header, aborted)) visitRecords(bytes, at, { header, visit })
    at += header.sizeBytes
    worked += header.sizeBytes
    if (worked < STEP_BYTES) continue
    yield worked
    worked = 0
  }
  yield worked
}

async function* visitLarge(batch: LargeBatch, visit: KeepRecord): AsyncGenerator<number, void> {
  const { header, beginning } = batch
  const place = header.recordCount === 1 ? firstRecord(beginning, header) : undefined
  if (place === undefined) {
    visitRecords(await wholeBatch(batch), 0, { header, visit })
    yield header.sizeBytes
    return
  }
  // Its CRC counts before its key does.
  for await (const part of batch.parts()) yield part.length
  visit(place, beginning)
}

/** What stays in the segments before the end of the round. */
function keepRule(
  { start, cleaned, policy }: CompactedPartition,
  keys: KeyOffsets,
  now: number,
): KeepRecord {
  const isOver = ([, since]: TombstoneRow): boolean => now - since >= policy.tombstoneMs
  const [tombstonesFrom] = cleaned.tombstones.findLast(isOver) ?? [0]
  return ({ offset, keyStart, keyEnd, isTombstone }, buffer) => {
    if (keyStart < 0 || offset < start) return false
    if (isTombstone && offset < tombstonesFrom) return false
    return keys.get(buffer, keyStart, keyEnd) <= offset
  }
}

/** Neighbours that fit into one segment together. */
function groups(
  covered: readonly CompleteSegment[],
  segmentBytes: number,
): readonly (readonly CompleteSegment[])[] {
  const found: CompleteSegment[][] = []
  let bytes = Infinity
  for (const complete of covered) {
    bytes += complete.segment.bytes
    if (bytes > segmentBytes) {
      found.push([])
      bytes = complete.segment.bytes
    }
    found.at(-1)?.push(complete)
  }
  return found
}

async function* rewriteGroup(
  partition: CompactedPartition,
  sources: readonly CompleteSegment[],
  keep: KeepRecord,
): AsyncGenerator<number, boolean> {
  await using output = partition.rewrite(sources)
  for (const { segment } of sources) {
    for await (const read of scanInUse(segment, partition.topic)) {
      if (read.kind === 'small') {
        yield* filterSmall(read, { partition, keep, output })
        await output.flush()
      } else if (isAborted(read.header, partition.aborted)) {
        output.drop()
        yield read.beginning.length
      } else {
        yield* filterLarge(read, keep, output)
      }
    }
    if (segment.isRetired) return false
  }
  if (sources.length === 1 && !output.hasDropped) return true
  return await partition.replace(sources, output)
}

function* filterSmall(
  { bytes, headers }: SmallBatches,
  to: {
    readonly partition: CompactedPartition
    readonly keep: KeepRecord
    readonly output: SegmentRewrite
  },
): Generator<number, void> {
  const { partition, keep, output } = to
  let at = 0
  let worked = 0
  for (const header of headers) {
    const kept = isAborted(header, partition.aborted)
      ? undefined
      : filterBatch(bytes, at, { header, keep })
    if (kept === undefined) output.drop()
    else output.add(header, kept)
    at += header.sizeBytes
    worked += header.sizeBytes
    if (worked < STEP_BYTES) continue
    yield worked
    worked = 0
  }
  yield worked
}

async function* filterLarge(
  batch: LargeBatch,
  keep: KeepRecord,
  output: SegmentRewrite,
): AsyncGenerator<number, void> {
  const { header, beginning } = batch
  const place = header.recordCount === 1 ? firstRecord(beginning, header) : undefined
  if (place === undefined) {
    const whole = await wholeBatch(batch)
    const kept = filterBatch(whole, 0, { header, keep })
    if (kept === undefined) output.drop()
    else output.add(header, kept)
    await output.flush()
    yield header.sizeBytes
    return
  }
  const isKept = keep(place, beginning)
  if (isKept) output.begin(header)
  else output.drop()
  // Also one that goes is read: damage is told, never removed.
  for await (const part of batch.parts()) {
    if (isKept) await output.write(part)
    yield part.length
  }
}

/** Since when the tombstones before the end of this round are alone, beside what earlier rounds noted. */
function noteTombstones(
  { cleaned, policy }: CompactedPartition,
  end: number,
  now: number,
): readonly TombstoneRow[] {
  const { tombstones } = cleaned
  const over = tombstones.findLastIndex(([, since]) => now - since >= policy.tombstoneMs)
  const kept = tombstones.slice(Math.max(0, over))
  const last = kept.at(-1)
  const isNear = last !== undefined && Math.abs(now - last[1]) < policy.tombstoneMs * TOMBSTONE_STEP
  return [...(isNear ? kept.slice(0, -1) : kept), [end, now]]
}

function sizeOf(complete: readonly CompleteSegment[]): number {
  return complete.reduce((sum, { segment }) => sum + segment.bytes, 0)
}

function isAborted({ transactional, producerId, baseOffset }: BatchHeader, aborted: AbortedRanges) {
  return transactional && aborted.has(producerId, baseOffset)
}
