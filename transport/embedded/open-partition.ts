/**
 * Opens a partition as the index has it. Bytes behind the end that the index has are a write that was
 * never acknowledged: they are cut. Bytes missing before it, or changed in its last stretch, are
 * damage, and the partition takes no use until somebody decided; other partitions go on. Older
 * stretches are checked when they are read, for a check of the whole log would cost its size.
 */
import { readdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { TopicPartition } from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import type { TopicConfig } from '../transport.ts'
import { AbortedRanges } from './aborted-ranges.ts'
import {
  padded,
  partitionKeys,
  type AbortedRow,
  type BatchRow,
  type CleanedRow,
  type EndRow,
  type OpenRow,
  type PartitionKeys,
  type SegmentRow,
  type SequenceRow,
  type StartRow,
} from './index-rows.ts'
import { isMissing } from '../../model/missing-file.ts'
import { diskError, logDamaged } from './folder-errors.ts'
import type { LogIndex } from './log-index.ts'
import { PartitionLog, type LogResources } from './partition-log.ts'
import { segmentPath } from './partition-writer.ts'
import { ProducerSequences } from './producer-sequences.ts'
import { readRegion } from './region.ts'
import { Segment } from './segment.ts'
import { SegmentList } from './segment-list.ts'
import { topicPolicy } from './topic-policy.ts'

/** Where a partition lies, and what decides which rows of it are kept. */
export interface PartitionPlace extends TopicPartition {
  readonly topicId: string
  readonly folder: string
  readonly config: TopicConfig
  /** Sequences last used before this moment are forgotten. */
  readonly keepSequencesSince: number
}

/** Opens the partition at `place`. Rejects only where the disk fails, not for damage. */
export async function openPartition(
  place: PartitionPlace,
  resources: LogResources,
): Promise<PartitionLog> {
  const { topicId, folder } = place
  const { index } = resources
  const keys = partitionKeys(topicId, place.partition)
  const row = ((await index.read(keys.end)) ?? { end: 0, segment: 0, bytes: 0 }) as EndRow
  const segments = await knownSegments({ keys, folder, row }, resources)
  const damage = await findDamage({ place, row, segments }, resources)
  const rows = { open: new Map<number, number>(), aborted: new AbortedRanges() }
  for (const [id, first] of await index.list(keys.openPrefix))
    rows.open.set(Number(id), first as OpenRow)
  for (const [rest, last] of await index.list(keys.abortedPrefix)) {
    const [id, first] = rest.split(':').map(Number)
    rows.aborted.add(id ?? 0, first ?? 0, last as AbortedRow)
  }
  const sequences = await loadSequences(place, keys, index)
  const start = ((await index.read(keys.start)) ?? 0) as StartRow
  const nothing: CleanedRow = { dirty: 0, tombstones: [] }
  const cleaned = ((await index.read(keys.cleaned)) ?? nothing) as CleanedRow
  const policy = topicPolicy(place.config, resources)
  const list = new SegmentList(segments)
  const from = { topicId, keys, folder, row, start, cleaned, policy, segments: list, sequences }
  return new PartitionLog(place, { ...from, damage, ...rows }, resources)
}

/** What a row has of a segment. */
interface KnownSegment {
  readonly base: number
  readonly bytes: number
  readonly newest?: number
  readonly since?: number
  readonly rewrites?: number
}

async function knownSegments(
  from: { readonly keys: PartitionKeys; readonly folder: string; readonly row: EndRow },
  { index, files }: LogResources,
): Promise<Segment[]> {
  const { keys, folder, row } = from
  const complete = (await index.list(keys.segmentPrefix)).map(([base, value]) => {
    const known = value as SegmentRow
    return { base: Number(base), ...(typeof known === 'number' ? { bytes: known } : known) }
  })
  const known: readonly KnownSegment[] = [...complete, { ...row, base: row.segment }]
  const segments = known.map(({ base, bytes, newest, since, rewrites = 0 }, at) => {
    const next = known[at + 1]
    const range = { from: padded(base), ...(next && { before: padded(next.base) }) }
    const path = segmentPath(folder, base, rewrites)
    const file = { path, files, bytes, newest, since, rewrites }
    return new Segment(base, file, async () => {
      const rows = await index.list(keys.batchPrefix, range)
      return rows.map(([offset, start]) => [Number(offset), start as BatchRow] as const)
    })
  })
  await segments.at(-1)?.load()
  return segments
}

async function loadSequences(
  place: PartitionPlace,
  keys: PartitionKeys,
  index: LogIndex,
): Promise<ProducerSequences> {
  const rows = new Map<number, SequenceRow>()
  const expired: string[] = []
  for (const [id, value] of await index.list(keys.sequencePrefix)) {
    const row = value as SequenceRow
    if (row.usedAt < place.keepSequencesSince) expired.push(`${keys.sequencePrefix}${id}`)
    else rows.set(Number(id), row)
  }
  if (expired.length > 0) {
    await index.write(
      expired.map((key) => ({ key, value: undefined })),
      { sync: false },
    )
  }
  return new ProducerSequences(place, rows)
}

interface Checked {
  readonly place: PartitionPlace
  readonly row: EndRow
  readonly segments: readonly Segment[]
}

async function findDamage(checked: Checked, resources: LogResources): Promise<Error | undefined> {
  try {
    for (const segment of checked.segments) await cutOrMiss(segment, checked)
    await removeUnknown(checked)
    await readTail(checked, resources)
    return undefined
  } catch (error) {
    if (error instanceof TransportError && error.code === 'MILLRACE_LOG_DAMAGED') return error
    throw diskError(error, checked.place.folder)
  }
}

/** Cuts what lies behind the bytes that count. Throws where some of those are missing. */
async function cutOrMiss(segment: Segment, { place }: Checked): Promise<void> {
  const { size, mtimeMs } = await statOf(segment.path)
  // What format 1 did not note: when the file was last written is about when its records were.
  if (segment.bytes > 0) segment.newest ??= mtimeMs
  if (size === segment.bytes || (size === undefined && segment.bytes === 0)) return
  if (size !== undefined && size > segment.bytes) {
    await truncate(segment.path, segment.bytes)
    return
  }
  const what =
    size === undefined ? 'the file is missing' : `it has ${size} bytes, not ${segment.bytes}`
  const offset = size === undefined ? segment.base : await lastPlaceBefore(segment, size)
  throw logDamaged(what, { file: segment.path, offset, topic: place.topic })
}

/** An offset that is still whole, near where a segment of `size` bytes ends. */
async function lastPlaceBefore(segment: Segment, size: number): Promise<number> {
  await segment.load()
  return segment.placeBefore(size)
}

/** Segments that were begun and never acknowledged. */
async function removeUnknown({ place, segments }: Checked): Promise<void> {
  const known = new Set(segments.map(({ path }) => path))
  for (const name of await namesIn(place.folder)) {
    const path = join(place.folder, name)
    if (name.endsWith('.log') && !known.has(path)) await rm(path)
  }
}

/** Reads the last stretch, where a crash of the machine would show first. */
async function readTail({ place, row, segments }: Checked, resources: LogResources): Promise<void> {
  const last = segments.at(-1)
  if (last === undefined || last.bytes === 0) return
  const { topic } = place
  const { buffers } = resources
  const whole = last.region(row.end - 1)
  let { offset, start } = whole
  while (start < whole.end && offset < row.end) {
    const region = { offset, start, end: whole.end, endOffset: undefined }
    const bounds = { fromOffset: offset, limit: row.end, maxBytes: whole.end - start }
    const read = await readRegion({ segment: last, region, topic, buffers, ...bounds, hides })
    offset = read.nextOffset
    start = read.nextPlace.start
  }
  if (start === whole.end && offset === row.end) return
  const what = `its records end at offset ${offset} and byte ${start}, not ${row.end} and ${whole.end}`
  throw logDamaged(what, { file: last.path, offset, topic })
}

/** The check wants the CRC, not the records. */
function hides(): boolean {
  return true
}

async function statOf(
  path: string,
): Promise<{ readonly size: number | undefined; readonly mtimeMs: number }> {
  try {
    return await stat(path)
  } catch (error) {
    if (isMissing(error)) return { size: undefined, mtimeMs: 0 }
    throw error
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
