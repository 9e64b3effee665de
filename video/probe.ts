/**
 * Looks at a file before anything is written: what it is, whether it is whole, and what its stream
 * will be. Every mistake that can be seen beforehand is found here.
 */
import { detectContainer, DETECTION_BYTES, type Container } from './containers.ts'
import { headerFirst, isHeaderLast } from './faststart.ts'
import { corrupt, topLevelBoxes, truncated, type Box } from './mp4-boxes.ts'
import { isFragmented, readFragments } from './mp4-fragments.ts'
import { readSampleTable, type SampleTable } from './mp4-sample-table.ts'
import { probeTransportStream } from './mpegts-probe.ts'
import { readTransportMap, TransportTimes } from './mpegts-times.ts'
import { PiecewiseStream, type Piece } from './piecewise-stream.ts'
import type { SliceTimes } from './slice-times.ts'
import { TimeMap } from './time-map.ts'
import { VideoError } from './video-error.ts'
import { readBytes, type VideoSource } from './video-source.ts'

/** How the stream lies to the file: byte for byte the same, or with the header moved to the front. */
export type StreamLayout = 'asIs' | 'moovFirst'

/** What is known of a file before it is read. */
export interface ProbedVideo {
  readonly container: Container
  readonly layout: StreamLayout
  /** What is sliced. */
  readonly stream: PiecewiseStream
  /** Bytes and times of all of it, where the file says them at once; null where it has to be read for them, or says none. */
  readonly times: TimeMap | null
  /** Begins a walk through the stream that tells when its slices are shown; null for a container that says no times. */
  readonly openTimes: () => SliceTimes | null
  /** Reads the whole stream for its map where it is not known yet; null for a container that says no times. */
  readonly readTimes: () => Promise<TimeMap | null>
  /** Slices should begin at multiples of so many bytes, so that no packet is cut in two. */
  readonly packetBytes: number
  /** What the video track says of itself; null where it was not read. */
  readonly track: VideoTrackFacts | null
}

/** The picture and how it is coded. */
export interface VideoTrackFacts {
  readonly codec: string
  /** Pixels; null where it was not read. */
  readonly width: number | null
  readonly height: number | null
}

/** A header of hours of video with sound has tens of megabytes; it is held in memory. */
export const MAX_MOOV_BYTES = 256 * 2 ** 20

/**
 * Rejects with MILLRACE_NOT_A_VIDEO, MILLRACE_VIDEO_TRUNCATED, MILLRACE_VIDEO_CORRUPT,
 * MILLRACE_VIDEO_FRAGMENTED, MILLRACE_VIDEO_UNSUPPORTED or MILLRACE_NO_VIDEO_TRACK.
 */
export async function probeVideo(file: VideoSource): Promise<ProbedVideo> {
  const head = await readBytes(file, 0, Math.min(DETECTION_BYTES, file.sizeBytes))
  const container = detectContainer(head)
  if (container === undefined) {
    throw new VideoError(
      'MILLRACE_NOT_A_VIDEO',
      `${file.place} is not a video that is known here: ingest mp4, mov, webm, mkv, ts or flv.`,
      { place: file.place },
    )
  }
  if (container === 'mp4' || container === 'mov') return probeMp4(file, container)
  const stream = new PiecewiseStream(file, [whole(file)])
  const plain = { container, layout: 'asIs', stream, times: null } as const
  if (container !== 'mpegts') {
    const [openTimes, readTimes] = [() => null, async () => null]
    return { ...plain, openTimes, readTimes, packetBytes: 1, track: null }
  }
  const transport = await probeTransportStream(file, head)
  return {
    ...plain,
    openTimes: () => new TransportTimes(stream, transport),
    readTimes: () => readTransportMap(stream, transport),
    packetBytes: transport.stride,
    track: { codec: transport.picture.codec, width: null, height: null },
  }
}

async function probeMp4(file: VideoSource, container: Container): Promise<ProbedVideo> {
  const boxes = await topLevelBoxes(file)
  const moov = boxes.find((box) => box.type === 'moov')
  if (moov === undefined) {
    throw truncated(file.place, 'it has no header (moov box), as when a recording was cut off')
  }
  const header = { bytes: await readHeader(file, moov), place: file.place }
  const layout = { boxes, moov }
  const fragmented = isFragmented(header)
  if (!isHeaderLast(layout)) {
    const stream = new PiecewiseStream(file, [whole(file)])
    const table = fragmented
      ? await readFragments({ file, boxes, moov: header })
      : readSampleTable(header)
    return described({ container, layout: 'asIs', stream }, table)
  }
  // What its fragments say of their places would have to be rewritten as well; no recorder makes such a file.
  if (fragmented) throw headerBehindFragments(file.place)
  // Read before it is rewritten: what makes a header unreadable should be said in its own words.
  readSampleTable(header)
  const moved = headerFirst(layout, header)
  const stream = new PiecewiseStream(file, moved.pieces)
  const table = readSampleTable({ bytes: moved.moov, place: file.place })
  return described({ container, layout: 'moovFirst', stream }, table)
}

async function readHeader(file: VideoSource, moov: Box): Promise<Buffer> {
  const length = moov.end - moov.start
  if (length > MAX_MOOV_BYTES) throw corrupt(file.place, `its header claims ${length} bytes`)
  return await readBytes(file, moov.start, length)
}

function described(
  { container, layout, stream }: Pick<ProbedVideo, 'container' | 'layout' | 'stream'>,
  table: SampleTable,
): ProbedVideo {
  assertInside(table, stream)
  const { codec, width, height } = table
  const times = new TimeMap(table)
  return {
    container,
    layout,
    stream,
    times,
    openTimes: () => times,
    readTimes: async () => times,
    packetBytes: 1,
    track: { codec, width, height },
  }
}

function headerBehindFragments(place: string): VideoError {
  return new VideoError(
    'MILLRACE_VIDEO_FRAGMENTED',
    `${place} is a fragmented mp4 whose header lies behind its media, which cannot be read as a stream. Rewrite it first: ffmpeg -i in.mp4 -c copy out.mp4`,
    { place },
  )
}

/** A file can be cut off inside its media although all its boxes fit: some writers give the last box no length. */
function assertInside({ offsets, sizes }: SampleTable, stream: VideoSource): void {
  let end = 0
  for (let i = 0; i < offsets.length; i += 1) {
    end = Math.max(end, (offsets[i] ?? 0) + (sizes[i] ?? 0))
  }
  if (end > stream.sizeBytes) {
    throw truncated(
      stream.place,
      `its last frame should end at byte ${end}, but there are only ${stream.sizeBytes}`,
    )
  }
}

function whole(file: VideoSource): Piece {
  return { kind: 'file', offset: 0, length: file.sizeBytes }
}
