/**
 * Where each frame of an mp4 lies and when it is shown, read from the file's header box (`moov`;
 * ISO/IEC 14496-12, sections 8.4 to 8.7). A header can be tens of megabytes for hours of video, so a
 * frame is a row over columns of numbers, not an object. Counts are believed only as far as the bytes
 * for them are there; where real files are sloppy and ffmpeg has a way with it, this is ffmpeg's way,
 * because its times are what annotators see.
 */
import { readEdits, type Edit } from './mp4-edit-list.ts'
import {
  boxesIn,
  childBox,
  corrupt,
  readTimescale,
  requiredBox,
  type Box,
  type BoxBytes,
} from './mp4-boxes.ts'
import { BoxFields } from './box-fields.ts'
import { fillChunkOffsets, fillSizes, sampleCount } from './mp4-sample-places.ts'
import { fillTimes } from './mp4-sample-times.ts'
import { VideoError } from './video-error.ts'

/** The video track of an mp4: its frames in decode order, one row each over all columns. */
export interface SampleTable {
  /** Four characters, e.g. `avc1`. */
  readonly codec: string
  readonly width: number
  readonly height: number
  /** Ticks a second, for every time below. */
  readonly timescale: number
  readonly count: number
  /** Byte offset of each frame in the file. */
  readonly offsets: Float64Array
  /** Bytes of each frame. */
  readonly sizes: Uint32Array
  /** When each frame is shown, in the media's own time (before the edit list), ticks. */
  readonly times: Float64Array
  /** Ticks from each frame to the next one in decode order. */
  readonly durations: Uint32Array
  /** 1 for frames that decoding may begin with. */
  readonly sync: Uint8Array
  /** Which parts of the media are shown, in order. Empty: all of it. */
  readonly edits: readonly Edit[]
}

/**
 * Reads the first video track with frames of a `moov` box, given whole. Throws
 * MILLRACE_NO_VIDEO_TRACK, MILLRACE_VIDEO_UNSUPPORTED (encrypted, or a compressed header) or
 * MILLRACE_VIDEO_CORRUPT.
 */
export function readSampleTable(moov: BoxBytes): SampleTable {
  const root = headerRoot(moov)
  const track = videoTracks(moov, root).find(({ stbl }) => sampleCount(moov, stbl) > 0)
  if (track === undefined) throw noVideoTrack(moov, root)
  return readTrack(moov, root, track)
}

/** A track with a picture. */
export interface VideoTrack {
  readonly trak: Box
  readonly mdia: Box
  readonly stbl: Box
}

/** The header's outer box. Throws MILLRACE_VIDEO_UNSUPPORTED where it is compressed. */
export function headerRoot(moov: BoxBytes): Box {
  const [root] = boxesIn(moov, 0, moov.bytes.length)
  if (root === undefined) throw corrupt(moov.place, 'its header is empty')
  if (childBox(moov, root, 'cmov') !== undefined) {
    throw unsupported(moov.place, 'its header is compressed')
  }
  return root
}

/** The tracks with a picture, in the file's order. */
export function videoTracks(moov: BoxBytes, root: Box): readonly VideoTrack[] {
  return tracksOf(moov, root)
    .filter(({ kind }) => kind === 'vide')
    .map(({ trak, mdia }) => {
      const stbl = requiredBox(moov, requiredBox(moov, mdia, 'minf'), 'stbl')
      return { trak, mdia, stbl }
    })
}

/** What the header itself lists of a track: of a fragmented file's, usually no frame. */
export function readTrack(moov: BoxBytes, root: Box, track: VideoTrack): SampleTable {
  const { trak, mdia, stbl } = track
  const timescale = timescaleOf(moov, mdia)
  const entry = sampleEntry(moov, stbl)
  const count = sampleCount(moov, stbl)
  const table = {
    codec: moov.bytes.toString('latin1', entry + 4, entry + 8),
    width: moov.bytes.readUInt16BE(entry + 32),
    height: moov.bytes.readUInt16BE(entry + 34),
    timescale,
    count,
    offsets: new Float64Array(count),
    sizes: new Uint32Array(count),
    times: new Float64Array(count),
    durations: new Uint32Array(count),
    sync: new Uint8Array(count),
    edits: readEdits(moov, { root, trak, timescale }),
  }
  if (count === 0) return table
  fillSizes(moov, stbl, table.sizes)
  fillChunkOffsets(moov, stbl, table)
  fillTimes(moov, stbl, table)
  return table
}

/** The number by which fragments name a track. */
export function trackId(moov: BoxBytes, { trak }: VideoTrack): number {
  const fields = new BoxFields(moov, requiredBox(moov, trak, 'tkhd'))
  fields.take(fields.version === 1 ? 16 : 8)
  return fields.uint32()
}

/** The error for a file without a picture. */
export function noVideoTrack(moov: BoxBytes, root: Box): VideoError {
  const kinds = tracksOf(moov, root).map(({ kind }) => kind)
  return new VideoError(
    'MILLRACE_NO_VIDEO_TRACK',
    `${moov.place} has no video track with frames (its tracks: ${kinds.join(', ') || 'none'}): ingest a file with a picture.`,
    { place: moov.place },
  )
}

/** Bytes of a sample entry up to its height: header, reserved, index, 16 reserved, width, height. */
const VISUAL_ENTRY_BYTES = 36

function tracksOf(
  moov: BoxBytes,
  root: Box,
): readonly { readonly trak: Box; readonly mdia: Box; readonly kind: string }[] {
  return boxesIn(moov, root.bodyStart, root.end)
    .filter(({ type }) => type === 'trak')
    .map((trak) => {
      const mdia = requiredBox(moov, trak, 'mdia')
      return { trak, mdia, kind: handlerOf(moov, mdia) }
    })
}

function handlerOf(moov: BoxBytes, mdia: Box): string {
  const hdlr = requiredBox(moov, mdia, 'hdlr')
  if (hdlr.end - hdlr.bodyStart < 12) throw corrupt(moov.place, 'a track does not say its kind')
  return moov.bytes.toString('latin1', hdlr.bodyStart + 8, hdlr.bodyStart + 12)
}

function timescaleOf(moov: BoxBytes, mdia: Box): number {
  const timescale = readTimescale(moov, requiredBox(moov, mdia, 'mdhd'))
  if (timescale === 0) throw corrupt(moov.place, 'its video track counts no time')
  return timescale
}

function sampleEntry(moov: BoxBytes, stbl: Box): number {
  const stsd = requiredBox(moov, stbl, 'stsd')
  const entry = stsd.bodyStart + 8
  if (entry + VISUAL_ENTRY_BYTES > stsd.end) {
    throw corrupt(moov.place, 'its video track does not say how it is coded')
  }
  if (moov.bytes.toString('latin1', entry + 4, entry + 8) === 'encv') {
    throw unsupported(moov.place, 'it is encrypted')
  }
  return entry
}

function unsupported(place: string, why: string): VideoError {
  return new VideoError(
    'MILLRACE_VIDEO_UNSUPPORTED',
    `${place} cannot be read: ${why}. Convert it to a plain mp4 first.`,
    { place },
  )
}
