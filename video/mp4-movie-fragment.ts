/**
 * One fragment of a fragmented mp4 (ISO/IEC 14496-12, section 8.8): a `moof` box lists the frames
 * that lie in the `mdat` after it, track by track (`traf`) and run by run (`trun`). What a run does
 * not say of its frames, the track's part of the fragment says (`tfhd`), and what that does not say,
 * the file's header (`trex`).
 *
 * Runs of sound are read as well: where nothing says where a run begins, it begins behind the run
 * before it, whichever track that was.
 */
import { BoxFields } from './box-fields.ts'
import { boxesIn, childBox, corrupt, requiredBox, type Box, type BoxBytes } from './mp4-boxes.ts'
import { MAX_SAMPLES } from './mp4-sample-places.ts'
import type { SampleColumns } from './sample-columns.ts'

/** What holds for a frame of which nothing else is said. */
export interface SampleDefaults {
  readonly duration: number
  readonly sizeBytes: number
  readonly flags: number
}

/** A track of a fragmented file, and what was read of it. */
export interface FragmentedTrack {
  readonly defaults: SampleDefaults
  /** Where its frames go; undefined for a track of which only the extent counts. */
  readonly columns: SampleColumns | undefined
  /** How many frames it has so far. */
  count: number
  /** When its next frame is decoded, where a fragment does not say it; ticks. */
  nextTime: number
}

/** A `moof` box in memory. */
export interface MovieFragment extends BoxBytes {
  /** Where it begins in the file. */
  readonly offset: number
}

/** Adds the frames of a fragment to its tracks, which are known by their ids. Throws MILLRACE_VIDEO_CORRUPT. */
export function readMovieFragment(
  moof: MovieFragment,
  tracks: ReadonlyMap<number, FragmentedTrack>,
): void {
  const [root] = boxesIn(moof, 0, moof.bytes.length)
  if (root === undefined) throw corrupt(moof.place, 'a fragment is empty')
  let end = moof.offset
  for (const traf of boxesIn(moof, root.bodyStart, root.end)) {
    if (traf.type === 'traf') end = readTrackFragment(moof, traf, { tracks, behind: end })
  }
}

const BASE_DATA_OFFSET = 0x1
const SAMPLE_DESCRIPTION = 0x2
const DEFAULT_DURATION = 0x8
const DEFAULT_SIZE = 0x10
const DEFAULT_FLAGS = 0x20
const BASE_IS_MOOF = 0x20000

/** Gives where the track's data ends; `behind` is where that of the track before it ended. */
function readTrackFragment(
  moof: MovieFragment,
  traf: Box,
  { tracks, behind }: { tracks: ReadonlyMap<number, FragmentedTrack>; behind: number },
): number {
  const head = new BoxFields(moof, requiredBox(moof, traf, 'tfhd'))
  const track = tracks.get(head.uint32())
  // A track that the header does not have: nobody could decode it.
  if (track === undefined) return behind
  const has = (flag: number): boolean => (head.flags & flag) !== 0
  let base = has(BASE_IS_MOOF) ? moof.offset : behind
  if (has(BASE_DATA_OFFSET)) base = head.uint64()
  if (has(SAMPLE_DESCRIPTION)) head.take(4)
  const defaults: SampleDefaults = {
    duration: has(DEFAULT_DURATION) ? head.uint32() : track.defaults.duration,
    sizeBytes: has(DEFAULT_SIZE) ? head.uint32() : track.defaults.sizeBytes,
    flags: has(DEFAULT_FLAGS) ? head.uint32() : track.defaults.flags,
  }
  const start = decodeTimeOf(moof, traf)
  if (start !== undefined) track.nextTime = start
  let end = base
  for (const trun of boxesIn(moof, traf.bodyStart, traf.end)) {
    if (trun.type === 'trun') end = readRun(moof, trun, { track, defaults, base, behind: end })
  }
  return end
}

/** When the fragment's first frame of the track is decoded; undefined where it goes on from the one before. */
function decodeTimeOf(moof: MovieFragment, traf: Box): number | undefined {
  const box = childBox(moof, traf, 'tfdt')
  if (box === undefined) return undefined
  const fields = new BoxFields(moof, box)
  return fields.version === 0 ? fields.uint32() : fields.uint64()
}

const RUN_OFFSET = 0x1
const FIRST_SAMPLE_FLAGS = 0x4
const SAMPLE_DURATION = 0x100
const SAMPLE_SIZE = 0x200
const SAMPLE_FLAGS = 0x400
const SAMPLE_COMPOSITION_OFFSET = 0x800
/** Set in the flags of a frame that needs others to be decoded. */
const NOT_SYNC = 0x10000

interface RunPlace {
  readonly track: FragmentedTrack
  readonly defaults: SampleDefaults
  readonly base: number
  /** Where the run before it ended, or `base`. */
  readonly behind: number
}

/** Gives where the run's data ends. */
function readRun(moof: MovieFragment, trun: Box, place: RunPlace): number {
  const { track, defaults, base, behind } = place
  const fields = new BoxFields(moof, trun)
  const count = fields.uint32()
  const has = (flag: number): boolean => (fields.flags & flag) !== 0
  let offset = has(RUN_OFFSET) ? base + fields.int32() : behind
  const firstFlags = has(FIRST_SAMPLE_FLAGS) ? fields.uint32() : undefined
  // Equal frames cost a hostile file no bytes, so their number needs a bound of its own.
  track.count += count
  if (track.count > MAX_SAMPLES) {
    throw corrupt(moof.place, `it claims to have more than ${MAX_SAMPLES} frames`)
  }
  for (let i = 0; i < count; i += 1) {
    const duration = has(SAMPLE_DURATION) ? fields.uint32() : defaults.duration
    const sizeBytes = has(SAMPLE_SIZE) ? fields.uint32() : defaults.sizeBytes
    const ownFlags = has(SAMPLE_FLAGS) ? fields.uint32() : defaults.flags
    const flags = i === 0 ? (firstFlags ?? ownFlags) : ownFlags
    // Unsigned in version 0 by the standard, but files with negative offsets in it exist, and ffmpeg reads both as signed.
    const shownLater = has(SAMPLE_COMPOSITION_OFFSET) ? fields.int32() : 0
    const time = track.nextTime + shownLater
    const keyframe = (flags & NOT_SYNC) === 0
    track.columns?.add({ offset, sizeBytes, time, duration, keyframe })
    track.nextTime += duration
    offset += sizeBytes
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(track.nextTime)) {
    throw corrupt(moof.place, `the fragment at byte ${moof.offset} has impossible places or times`)
  }
  return offset
}
