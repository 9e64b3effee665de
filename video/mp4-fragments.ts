/**
 * Where each frame of a fragmented mp4 lies and when it is shown. Such a file has a header without
 * frames and lists them fragment by fragment, each list in front of its media (mp4-movie-fragment.ts),
 * as recorders and streaming services write them. The lists alone are read, not the media between
 * them: a thousandth of the file, so the map of all of it is there before its first slice is cut, and
 * the row of the video says at once how long it is.
 *
 * The times are the fragments' own (`tfdt`). The index that some files carry (`sidx`) repeats them
 * and is not read, as the standard lets a reader do.
 */
import { BoxFields } from './box-fields.ts'
import { boxesIn, childBox, corrupt, type Box, type BoxBytes } from './mp4-boxes.ts'
import { readMovieFragment, type FragmentedTrack } from './mp4-movie-fragment.ts'
import {
  headerRoot,
  noVideoTrack,
  readTrack,
  trackId,
  videoTracks,
  type SampleTable,
} from './mp4-sample-table.ts'
import { SampleColumns } from './sample-columns.ts'
import { readBytes, type VideoSource } from './video-source.ts'

/** A fragment's list of some minutes of frames has a hundred kilobytes. */
export const MAX_MOOF_BYTES = 16 * 2 ** 20

/** Whether a header (`moov`) says that fragments follow. */
export function isFragmented(moov: BoxBytes): boolean {
  return childBox(moov, headerRoot(moov), 'mvex') !== undefined
}

/** What the map of a fragmented file is read from. */
export interface FragmentedFile {
  readonly file: VideoSource
  readonly boxes: readonly Box[]
  readonly moov: BoxBytes
}

/**
 * Reads the first video track that has frames. Rejects with MILLRACE_NO_VIDEO_TRACK,
 * MILLRACE_VIDEO_UNSUPPORTED (encrypted) or MILLRACE_VIDEO_CORRUPT.
 */
export async function readFragments({ file, boxes, moov }: FragmentedFile): Promise<SampleTable> {
  const root = headerRoot(moov)
  const videos = videoTracks(moov, root).map((track) => {
    const table = readTrack(moov, root, track)
    const columns = new SampleColumns()
    for (let i = 0; i < table.count; i += 1) columns.add(rowOf(table, i))
    return { id: trackId(moov, track), table, columns }
  })
  const tracks = new Map<number, FragmentedTrack>()
  for (const [id, defaults] of trackDefaults(moov, root)) {
    const video = videos.find((it) => it.id === id)
    const { columns, table } = video ?? {}
    tracks.set(id, { defaults, columns, count: table?.count ?? 0, nextTime: endOf(table) })
  }
  for (const box of boxes) {
    if (box.type !== 'moof') continue
    const length = box.end - box.start
    if (length > MAX_MOOF_BYTES) {
      throw corrupt(file.place, `the fragment at byte ${box.start} claims ${length} bytes`)
    }
    const bytes = await readBytes(file, box.start, length)
    readMovieFragment({ bytes, place: file.place, offset: box.start }, tracks)
  }
  const found = videos.find(({ columns }) => columns.count > 0)
  if (found === undefined) throw noVideoTrack(moov, root)
  const edits = editsOf(found.table)
  return { ...found.table, edits, ...found.columns.finish() }
}

/**
 * An edit list is written before the fragments it would be about. To ffmpeg, and so to annotators, it
 * moves their times and hides none of their frames; of frames that the header lists itself it hides
 * those before its beginning.
 */
function editsOf({ count, edits }: SampleTable): SampleTable['edits'] {
  const start = edits.find(({ mediaTime }) => mediaTime !== undefined)
  return count === 0 || start === undefined ? [] : [{ ...start, duration: undefined }]
}

/** Where the frames that a header lists itself end, which some files begin with: fragments go on from there. */
function endOf(table: SampleTable | undefined): number {
  return table?.durations.reduce((sum, duration) => sum + duration, 0) ?? 0
}

function rowOf(table: SampleTable, i: number) {
  return {
    offset: table.offsets[i] ?? 0,
    sizeBytes: table.sizes[i] ?? 0,
    time: table.times[i] ?? 0,
    duration: table.durations[i] ?? 0,
    keyframe: table.sync[i] === 1,
  }
}

/** What the header says of every track's frames (`trex`). */
function* trackDefaults(
  moov: BoxBytes,
  root: Box,
): Generator<readonly [number, FragmentedTrack['defaults']]> {
  const mvex = childBox(moov, root, 'mvex')
  if (mvex === undefined) return
  for (const trex of boxesIn(moov, mvex.bodyStart, mvex.end)) {
    if (trex.type !== 'trex') continue
    const fields = new BoxFields(moov, trex)
    const id = fields.uint32()
    fields.take(4)
    const [duration, sizeBytes, flags] = [fields.uint32(), fields.uint32(), fields.uint32()]
    yield [id, { duration, sizeBytes, flags }]
  }
}
