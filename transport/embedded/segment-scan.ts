/**
 * Reads a segment from its beginning in windows of bounded size, whatever its batches are: small ones
 * come many at a time, and a large one comes alone, of which only the beginning is read before
 * somebody asks for more. Every byte's CRC is checked before anything is decided by it.
 */
import { asError } from '../../model/errors.ts'
import { crc32c } from '../../model/crc32c.ts'
import {
  AT,
  batchSizeBytes,
  readBatchHeader,
  readPartialHeader,
  verifyBatch,
  type BatchHeader,
} from '../record-batch.ts'
import { isMissing } from '../../model/missing-file.ts'
import { diskError, logDamaged } from './folder-errors.ts'
import type { Segment } from './segment.ts'

/** Bytes of one window: a batch as producers gather them by default fits. */
export const WINDOW_BYTES = 1024 * 1024 + 4096

/** Whole batches in one buffer, which is used again for the next window. */
export interface SmallBatches {
  readonly kind: 'small'
  readonly bytes: Buffer
  /** Each begins where the one before ends, the first at 0. */
  readonly headers: readonly BatchHeader[]
}

/** A batch that is larger than a window. */
export interface LargeBatch {
  readonly kind: 'large'
  readonly header: BatchHeader
  /** The bytes from its beginning that were read. */
  readonly beginning: Buffer
  /** Reads it in parts, from its beginning, into one buffer; throws after the last one where the CRC was not right. */
  readonly parts: () => AsyncGenerator<Buffer>
}

/** Goes over the batches of a complete segment. Throws MILLRACE_LOG_DAMAGED. */
export async function* scanSegment(
  segment: Segment,
  topic: string,
): AsyncGenerator<SmallBatches | LargeBatch> {
  const window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  // Made once, where there is a large batch at all: a fresh one costs a page fault for each 4 KiB.
  let part: Buffer | undefined
  let offset = segment.base
  for (let at = 0; at < segment.bytes;) {
    const bytes = window.subarray(0, Math.min(WINDOW_BYTES, segment.bytes - at))
    const place: Place = { segment, topic, at, offset }
    await read(bytes, place)
    const headers = wholeBatches(bytes, place)
    const [first] = headers
    if (first === undefined) {
      const header = guarded(place, () => readPartialHeader(bytes, 0))
      if (at + header.sizeBytes > segment.bytes) throw damaged(place, 'its last batch is cut off')
      const into = (part ??= Buffer.allocUnsafeSlow(WINDOW_BYTES))
      yield { kind: 'large', header, beginning: bytes, parts: () => partsOf(header, place, into) }
      at += header.sizeBytes
      offset = header.lastOffset + 1
      continue
    }
    yield { kind: 'small', bytes, headers }
    for (const header of headers) at += header.sizeBytes
    offset = (headers.at(-1) ?? first).lastOffset + 1
  }
}

/** All of a large batch in one buffer. */
export async function wholeBatch({ header, parts }: LargeBatch): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(header.sizeBytes)
  let at = 0
  for await (const part of parts()) at += part.copy(whole, at)
  return whole
}

interface Place {
  readonly segment: Segment
  readonly topic: string
  readonly at: number
  readonly offset: number
}

/** The headers of the batches that are whole in `bytes`, checked. */
function wholeBatches(bytes: Buffer, place: Place): BatchHeader[] {
  const headers: BatchHeader[] = []
  let offset = place.offset
  for (let at = 0; ;) {
    const size = batchSizeBytes(bytes, at)
    if (size === undefined || at + size > bytes.length) return headers
    const from = at
    const header = guarded({ ...place, offset }, () => {
      const found = readBatchHeader(bytes, from)
      verifyBatch(bytes, from, found)
      return found
    })
    headers.push(header)
    at += header.sizeBytes
    offset = header.lastOffset + 1
  }
}

async function* partsOf(header: BatchHeader, place: Place, into: Buffer): AsyncGenerator<Buffer> {
  let crc = 0
  let stored = 0
  for (let done = 0; done < header.sizeBytes;) {
    const bytes = into.subarray(0, Math.min(WINDOW_BYTES, header.sizeBytes - done))
    await read(bytes, { ...place, at: place.at + done })
    if (done === 0) stored = bytes.readUInt32BE(AT.crc)
    crc = crc32c(done === 0 ? bytes.subarray(AT.attributes) : bytes, crc)
    done += bytes.length
    yield bytes
  }
  if (crc !== stored)
    throw damaged(place, 'a large batch has another CRC-32C than it was written with')
}

async function read(bytes: Buffer, place: Place): Promise<void> {
  const { segment, at } = place
  let bytesRead: number
  try {
    bytesRead = await segment.read(bytes, at)
  } catch (error) {
    if (isMissing(error)) throw damaged(place, 'the file is missing', error)
    throw diskError(error, segment.path)
  }
  if (bytesRead < bytes.length) {
    throw damaged(place, `it ends at byte ${at + bytesRead}, not ${segment.bytes}`)
  }
}

function guarded<T>(place: Place, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw damaged(place, asError(error).message, error)
  }
}

function damaged({ segment, topic, offset }: Place, what: string, cause?: unknown): Error {
  return logDamaged(what, { file: segment.path, offset, topic }, cause)
}
