/** What an ingest has to do, decided from the video's row before anything is written. */
import type { ProbedVideo } from './probe.ts'
import type { VideoState } from './schemas.ts'
import type { VideoSummary } from './slice-times.ts'
import { sliceCount } from './slicer.ts'
import { VideoError } from './video-error.ts'

/** Begin, go on, or find out that it is done already (after the file's hash was compared). */
export type IngestPlan =
  | { readonly kind: 'begin' }
  | { readonly kind: 'resume'; readonly row: VideoState }
  | { readonly kind: 'compare'; readonly row: VideoState }

/** The file that is to be ingested. */
export interface IngestedFile {
  readonly videoId: string
  readonly path: string
  readonly sizeBytes: number
  readonly fingerprint: string
  readonly video: ProbedVideo
}

/** Rejects with MILLRACE_VIDEO_ID_TAKEN where the row is another file's, and with MILLRACE_FILE_CHANGED where this file's stream is not what was begun. */
export function planIngest(file: IngestedFile, row: VideoState | undefined): IngestPlan {
  if (row === undefined) return { kind: 'begin' }
  if (row.sourceBytes !== file.sizeBytes || row.fingerprint !== file.fingerprint) {
    throw idTaken(file, row)
  }
  if (row.status === 'complete') return { kind: 'compare', row }
  if (row.streamBytes !== file.video.stream.sizeBytes || row.layout !== file.video.layout) {
    throw new VideoError(
      'MILLRACE_FILE_CHANGED',
      `${file.path} has changed since its ingest as video ${file.videoId} was interrupted: its stream has another form. Ingest it under another id, or bring back the file as it was.`,
      { place: file.path },
    )
  }
  return { kind: 'resume', row }
}

/** The error for an id under which another file is known. */
export function idTaken(file: IngestedFile, row: VideoState): VideoError {
  return new VideoError(
    'MILLRACE_VIDEO_ID_TAKEN',
    `The video id ${file.videoId} belongs to ${row.name} of ${row.sourceBytes} bytes (${row.status}), and ${file.path} is not that file: give it another id, or bring back the file as it was.`,
    { place: file.path },
  )
}

/** What the row of a video says of its times: null where nothing is known, or not yet. */
export type TimeFacts = Pick<
  VideoState,
  'durationUs' | 'frames' | 'frameRate' | 'constantFrameRate'
>

/** The facts of a whole video. */
export function timeFacts(times: VideoSummary | null): TimeFacts {
  if (times === null) {
    return { durationUs: null, frames: null, frameRate: null, constantFrameRate: null }
  }
  const { durationUs, frames, constantFrameRate } = times
  const frameRate = durationUs === 0 ? null : (frames * 1e6) / durationUs
  return { durationUs, frames, frameRate, constantFrameRate }
}

/** The row of a video of which nothing is in the log yet. */
export function firstRow(
  file: IngestedFile,
  {
    chunkBytes,
    firstLogOffset,
    name,
  }: { chunkBytes: number; firstLogOffset: number; name: string },
): VideoState {
  const { video, videoId, sizeBytes, fingerprint } = file
  const { times, track, stream } = video
  return {
    videoId,
    name,
    status: 'ingesting',
    container: video.container,
    layout: video.layout,
    sourceBytes: sizeBytes,
    streamBytes: stream.sizeBytes,
    chunkBytes,
    chunks: sliceCount(stream.sizeBytes, chunkBytes),
    ...timeFacts(times),
    codec: track?.codec ?? null,
    width: track?.width ?? null,
    height: track?.height ?? null,
    fingerprint,
    sourceSha256: null,
    streamSha256: null,
    nextIndex: 0,
    nextOffset: 0,
    prefixCrc32c: 0,
    firstLogOffset,
    lastTimestamp: 0,
  }
}
