/**
 * The boxes of an mp4 or mov file (ISO/IEC 14496-12, section 4.2). A box is a length, a type of four
 * characters, and a body that may hold further boxes. Nothing that a length claims is believed before
 * it was compared with the bytes that are there.
 */
import { VideoError } from './video-error.ts'
import { readBytes, type VideoSource } from './video-source.ts'

/** One box: `[start, end)` with its header, `[bodyStart, end)` without it. Offsets count from where the buffer or file begins. */
export interface Box {
  /** Four characters, e.g. `moov`. Empty for bytes after the last box, which belong to none. */
  readonly type: string
  readonly start: number
  readonly bodyStart: number
  readonly end: number
}

/** A part of a file in memory, and the file's name for messages. */
export interface BoxBytes {
  readonly bytes: Buffer
  readonly place: string
}

/** Nine hours in fragments of one frame each; a box costs memory. */
export const MAX_TOP_LEVEL_BOXES = 1_000_000

const HEADER_BYTES = 16
/** What is read at once: of many small boxes side by side, some hundred headers. */
const WINDOW_BYTES = 4096

/**
 * The boxes of a whole file. Rejects with MILLRACE_VIDEO_TRUNCATED where a box goes beyond the end of
 * the file, and with MILLRACE_VIDEO_CORRUPT for a length that cannot be. Bytes after the header box
 * (`moov`) that are no box, as some cameras leave them, are one box without a type.
 */
export async function topLevelBoxes(source: VideoSource): Promise<readonly Box[]> {
  const { place, sizeBytes } = source
  const boxes: Box[] = []
  let sawHeader = false
  let window: { readonly at: number; readonly bytes: Buffer } = { at: 0, bytes: Buffer.alloc(0) }
  for (let at = 0; at < sizeBytes; at = boxes.at(-1)?.end ?? sizeBytes) {
    if (at + Math.min(HEADER_BYTES, sizeBytes - at) > window.at + window.bytes.length) {
      const length = Math.min(WINDOW_BYTES, sizeBytes - at)
      window = { at, bytes: await readBytes(source, at, length) }
    }
    const head = window.bytes.subarray(at - window.at)
    const box = headerAt({ bytes: head, place }, 0, sizeBytes - at)
    if (box === undefined) {
      if (!sawHeader) throw corrupt(place, `the box at byte ${at} has an impossible length`)
      boxes.push({ type: '', start: at, bodyStart: at, end: sizeBytes })
      break
    }
    if (at + box.end > sizeBytes) {
      throw truncated(
        place,
        `the box ${box.type} at byte ${at} should go on to byte ${at + box.end}, but the file ends at ${sizeBytes}`,
      )
    }
    sawHeader ||= box.type === 'moov'
    boxes.push({ type: box.type, start: at, bodyStart: at + box.bodyStart, end: at + box.end })
    if (boxes.length > MAX_TOP_LEVEL_BOXES) {
      throw corrupt(place, `it has more than ${MAX_TOP_LEVEL_BOXES} boxes side by side`)
    }
  }
  return boxes
}

/** The boxes in `[start, end)` of a buffer. Throws MILLRACE_VIDEO_CORRUPT for one that leaves the range. */
export function boxesIn(file: BoxBytes, start: number, end: number): readonly Box[] {
  const boxes: Box[] = []
  for (let at = start; at < end; at = boxes.at(-1)?.end ?? end) {
    const box = headerAt(file, at, end)
    // QuickTime ends some boxes with four zero bytes.
    if (box === undefined && end - at < 8) break
    if (box === undefined || box.end > end) {
      throw corrupt(
        file.place,
        `a box inside its header, ${at} bytes into it, has an impossible length`,
      )
    }
    boxes.push(box)
  }
  return boxes
}

/** The first box of `type` inside `parent`. */
export function childBox(file: BoxBytes, parent: Box, type: string): Box | undefined {
  return boxesIn(file, parent.bodyStart, parent.end).find((box) => box.type === type)
}

/** The child that must be there. */
export function requiredBox(file: BoxBytes, parent: Box, type: string): Box {
  const box = childBox(file, parent, type)
  if (box === undefined) throw corrupt(file.place, `its header has no ${type} in ${parent.type}`)
  return box
}

/** The ticks a second of an `mdhd` or `mvhd` box, which begin alike. */
export function readTimescale(moov: BoxBytes, box: Box): number {
  const at = box.bodyStart + (moov.bytes[box.bodyStart] === 1 ? 20 : 12)
  if (at + 4 > box.end) throw corrupt(moov.place, `its ${box.type} is too short`)
  return moov.bytes.readUInt32BE(at)
}

/** The error for a file whose parts contradict each other. */
export function corrupt(place: string, what: string): VideoError {
  return new VideoError(
    'MILLRACE_VIDEO_CORRUPT',
    `${place} is damaged: ${what}. Make it new, for example with: ffmpeg -i in.mp4 -c copy out.mp4`,
    { place },
  )
}

/** The error for a file that ends too early. */
export function truncated(place: string, what: string): VideoError {
  return new VideoError(
    'MILLRACE_VIDEO_TRUNCATED',
    `${place} is not whole: ${what}. Copy or record it again.`,
    { place },
  )
}

/** The header at `at`, its end not yet compared with the file; undefined where no length can be read or none that is possible. */
function headerAt({ bytes }: BoxBytes, at: number, limit: number): Box | undefined {
  if (limit - at < 8) return undefined
  const size = bytes.readUInt32BE(at)
  const type = bytes.toString('latin1', at + 4, at + 8)
  if (size === 0) return { type, start: at, bodyStart: at + 8, end: limit }
  if (size >= 8) return { type, start: at, bodyStart: at + 8, end: at + size }
  if (size !== 1 || limit - at < HEADER_BYTES) return undefined
  const large = Number(bytes.readBigUInt64BE(at + 8))
  if (large < HEADER_BYTES || !Number.isSafeInteger(at + large)) return undefined
  return { type, start: at, bodyStart: at + HEADER_BYTES, end: at + large }
}
