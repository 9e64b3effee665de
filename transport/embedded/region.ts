/**
 * Reads one region of a segment into one buffer and walks its batches: each must begin with the
 * offset that the one before left, and have the CRC it was written with. Anything else is damage,
 * because the index said that these bytes were acknowledged. In a segment that compaction rewrote a
 * batch may begin later; what follows the last one is told by where the next region begins.
 */
import { asError } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import {
  BATCH_HEADER_BYTES,
  decodeRecords,
  readBatchHeader,
  verifyBatch,
  type BatchHeader,
} from '../record-batch.ts'
import type { BufferPool } from '../buffer-pool.ts'
import { isMissing } from '../../model/missing-file.ts'
import { diskError, logDamaged } from './folder-errors.ts'
import type { Region, Segment } from './segment.ts'

/** What is read, and what of it is wanted. */
export interface RegionRequest {
  readonly segment: Segment
  readonly region: Region
  /** For the message of an error. */
  readonly topic: string
  readonly buffers: BufferPool
  readonly fromOffset: number
  /** Batches that begin at this offset or later are left for another read. */
  readonly limit: number
  /** Batches beyond the first are left for another read where they do not fit. */
  readonly maxBytes: number
  /** Whether a batch's records are not shown. */
  readonly hides: (header: BatchHeader) => boolean
}

/** The byte of a segment at which a batch begins. */
export interface BatchPlace {
  readonly segment: Segment
  readonly start: number
}

/** A stretch of a partition that was read. */
export interface StretchRead {
  /** The offset after the last batch of the stretch. */
  readonly nextOffset: number
  /** Where the batch with `nextOffset` begins, unless a new segment does. */
  readonly nextPlace: BatchPlace
  /** Of all its batches: the stretch ends before one of another epoch. -1 where compaction left none. */
  readonly leaderEpoch: number
  readonly sizeBytes: number
  readonly release: () => void
}

/** The records of a stretch. */
export interface RegionRead extends StretchRead {
  readonly records: readonly LogRecord[]
}

/** The batches of a stretch as they lie in the segment, without the hidden ones; their CRC is not checked. */
export interface RawRead extends StretchRead {
  readonly batches: readonly Buffer[]
}

/** Batches of one epoch in a buffer. */
interface Stretch {
  readonly headers: readonly BatchHeader[]
  readonly leaderEpoch: number
  readonly nextOffset: number
  readonly start: number
  readonly end: number
}

/** Reads from `fromOffset` on what lies in `region` and fits. Throws MILLRACE_LOG_DAMAGED. */
export async function readRegion(request: RegionRequest): Promise<RegionRead> {
  const { stretch, kept, read } = await readStretch(request)
  const records = decode(kept, stretch, request)
  if (records.length === 0) kept.release()
  return { ...read, records }
}

/** As `readRegion`, for somebody else to decode. */
export async function readRawRegion(request: RegionRequest): Promise<RawRead> {
  const { stretch, kept, read } = await readStretch(request)
  const batches = shownBatches(kept, stretch, request)
  if (batches.length === 0) kept.release()
  return { ...read, batches }
}

async function readStretch(
  request: RegionRequest,
): Promise<{ readonly stretch: Stretch; readonly kept: Kept; readonly read: StretchRead }> {
  const { region, buffers } = request
  const size = region.end - region.start
  const pooled = buffers.take(size)
  const bytes = pooled.length === size ? pooled : pooled.subarray(0, size)
  await fill(bytes, request)
  const stretch = findStretch(bytes, request)
  const sizeBytes = stretch.end - stretch.start
  const kept = keep(pooled, stretch, buffers)
  const { nextOffset, leaderEpoch } = stretch
  const nextPlace = { segment: request.segment, start: region.start + stretch.end }
  const { release } = kept
  return { stretch, kept, read: { nextOffset, nextPlace, leaderEpoch, sizeBytes, release } }
}

/** Neighbouring batches are one buffer. */
function shownBatches(
  { bytes }: Kept,
  { headers }: Stretch,
  { hides }: RegionRequest,
): readonly Buffer[] {
  const batches: Buffer[] = []
  let from = 0
  let at = 0
  for (const header of headers) {
    if (hides(header)) {
      if (at > from) batches.push(bytes.subarray(from, at))
      from = at + header.sizeBytes
    }
    at += header.sizeBytes
  }
  if (at > from) batches.push(bytes.subarray(from, at))
  return batches
}

async function fill(bytes: Buffer, request: RegionRequest): Promise<void> {
  const { region, segment } = request
  let bytesRead: number
  try {
    bytesRead = await segment.read(bytes, region.start)
  } catch (error) {
    if (isMissing(error)) throw damaged(request, segment.base, 'the file is missing', error)
    throw diskError(error, segment.path)
  }
  if (bytesRead === bytes.length) return
  const what = `it ends at byte ${region.start + bytesRead}, not ${region.end}`
  throw damaged(request, region.offset, what)
}

function findStretch(bytes: Buffer, request: RegionRequest): Stretch {
  const headers: BatchHeader[] = []
  let nextOffset = request.region.offset
  let leaderEpoch: number | undefined
  let start = 0
  let end = 0
  while (end < bytes.length && nextOffset < request.limit) {
    const header = checkedHeader(bytes, end, { request, expected: nextOffset })
    if (header.baseOffset >= request.limit) break
    if (header.lastOffset < request.fromOffset) {
      start = end + header.sizeBytes
    } else {
      leaderEpoch ??= header.leaderEpoch
      const fits = headers.length === 0 || end + header.sizeBytes - start <= request.maxBytes
      if (header.leaderEpoch !== leaderEpoch || !fits) break
      headers.push(header)
    }
    end += header.sizeBytes
    nextOffset = header.lastOffset + 1
  }
  const { endOffset = nextOffset } = request.region
  if (end === bytes.length) nextOffset = Math.max(nextOffset, endOffset)
  return { headers, leaderEpoch: leaderEpoch ?? -1, nextOffset, start, end }
}

/** A batch's header, if it is the one that must stand here. */
function checkedHeader(
  bytes: Buffer,
  at: number,
  { request, expected }: { readonly request: RegionRequest; readonly expected: number },
): BatchHeader {
  const header = guarded(request, expected, () => readBatchHeader(bytes, at))
  const { segment, region } = request
  const follows =
    segment.rewrites > 0 ? header.baseOffset >= expected : header.baseOffset === expected
  const isBeforeNext = region.endOffset === undefined || header.lastOffset < region.endOffset
  if (follows && isBeforeNext && header.lastOffset >= header.baseOffset) return header
  const what = `the batch at byte ${request.region.start + at} says offset ${header.baseOffset}`
  throw damaged(request, expected, what)
}

/** A stretch's bytes, and what gives them back. */
interface Kept {
  readonly bytes: Buffer
  readonly release: () => void
}

/** Keeps the buffer where the stretch fills it well; else a copy, so that small batches do not pin large buffers. */
function keep(pooled: Buffer, { start, end }: Stretch, buffers: BufferPool): Kept {
  if ((end - start) * 2 < pooled.length) {
    const bytes = Buffer.allocUnsafe(end - start)
    pooled.copy(bytes, 0, start, end)
    buffers.give(pooled)
    return { bytes, release: () => {} }
  }
  let isReleased = false
  const release = (): void => {
    if (isReleased) return
    isReleased = true
    buffers.give(pooled)
  }
  return { bytes: pooled.subarray(start, end), release }
}

function decode({ bytes }: Kept, { headers }: Stretch, request: RegionRequest): LogRecord[] {
  const records: LogRecord[] = []
  let at = 0
  for (const header of headers) {
    const from = at
    const end = at + header.sizeBytes
    guarded(request, header.baseOffset, () => {
      const batchCrc = verifyBatch(bytes, from, header)
      if (request.hides(header)) return
      const source = { buffer: bytes, at: from + BATCH_HEADER_BYTES, end }
      decodeRecords(source, header, { into: records, fromOffset: request.fromOffset, batchCrc })
    })
    at = end
  }
  return records
}

function guarded<T>(request: RegionRequest, offset: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw damaged(request, offset, asError(error).message, error)
  }
}

// oxlint-disable-next-line max-params -- the place, the offset, what and why of one message.
function damaged(request: RegionRequest, offset: number, what: string, cause?: unknown): Error {
  return logDamaged(what, { file: request.segment.path, offset, topic: request.topic }, cause)
}
