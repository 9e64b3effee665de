/**
 * A file into the log, once and whole.
 *
 * The rule: at every moment the video's row in the table `videos` says exactly which of its chunks
 * are in the log, for both are written in the same transactions. So an ingest that is killed anywhere
 * is simply started again. It looks the row up, compares what is there with the file, and goes on
 * behind it. The same file again adds nothing; another file under the same id is refused. The
 * producer's transactional id is the video's: whoever starts last goes on, and who was at it before
 * is fenced and can write no more.
 */
import { sleep, type Clock } from '../model/clock.ts'
import { isMillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import type { Registry } from '../serdes/registry.ts'
import { TransportError } from '../transport/errors.ts'
import type { Transport } from '../transport/transport.ts'
import { fingerprintOf } from './digests.ts'
import { attemptIngest, type IngestProgress, type IngestResult } from './ingest-attempt.ts'
import type { IngestedFile } from './ingest-plan.ts'
import { prepareTopics } from './ingest-topics.ts'
import { probeVideo } from './probe.ts'
import { DEFAULT_CHUNK_BYTES, RAW_TOPIC, VIDEOS_TOPIC } from './topics.ts'
import { VideoError } from './video-error.ts'
import { VideoFile } from './video-file.ts'

/** How often an ingest whose log failed it in passing is begun again from what is in the log. */
export const INGEST_ATTEMPTS = 5
/** The wait before the second attempt; it doubles with each further one, and is drawn by lot below that. */
export const INGEST_RETRY_MS = 200
/** A video id is part of every key, and of the transactional id. In UTF-8. */
export const MAX_VIDEO_ID_BYTES = 200
/** Chunks between this and MAX_CHUNK_BYTES are taken. */
export const MIN_CHUNK_BYTES = 1024
/** Beyond this a record no longer fits what brokers and clients are set up for. */
export const MAX_CHUNK_BYTES = 256 * 2 ** 20

/** What is ingested, and into what. */
export interface IngestOptions {
  readonly transport: Transport
  readonly registry: Registry
  readonly clock: Clock
  /** The video file: mp4, mov or ts (with times), webm, mkv or flv (without). */
  readonly path: string
  /** The video's id. Default: a hash of the file's size, first and last MiB, 32 hexadecimal digits. */
  readonly id?: string | undefined
  /** Default: DEFAULT_CHUNK_BYTES. Of a ts, the largest multiple of its packets below it. A video that was begun goes on with the size it was begun with. */
  readonly chunkBytes?: number | undefined
  /** Partitions of topics that have to be made. Default: 1. */
  readonly partitions?: number | undefined
  /** Default: RAW_TOPIC. */
  readonly rawTopic?: Topic | undefined
  /** Default: VIDEOS_TOPIC. */
  readonly videosTopic?: Topic | undefined
  /** Default: TRANSACTION_BYTES. */
  readonly transactionBytes?: number | undefined
  /** Default: TRANSACTION_MS. */
  readonly transactionMs?: number | undefined
  /** Stops the ingest; it can be started again. */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: IngestProgress) => void) | undefined
}

/**
 * Ingests one file. Rejects with the codes of VideoFile.open and probeVideo, and with
 * MILLRACE_VIDEO_ID_INVALID, MILLRACE_CHUNK_SIZE_INVALID, MILLRACE_VIDEO_ID_TAKEN,
 * MILLRACE_CHUNK_TOO_LARGE (all before anything is written), MILLRACE_FILE_CHANGED,
 * MILLRACE_INGEST_MISMATCH, MILLRACE_INGEST_TAKEN_OVER, or the log's own error.
 */
export async function ingest(options: IngestOptions): Promise<IngestResult> {
  const { chunkBytes = DEFAULT_CHUNK_BYTES, clock, transport } = options
  assertChunkSize(chunkBytes)
  await using source = await VideoFile.open(options.path)
  const video = await probeVideo(source)
  const fingerprint = await fingerprintOf(source)
  const videoId = options.id ?? fingerprint.slice(0, 32)
  assertVideoId(videoId)
  const { sizeBytes } = source
  const file: IngestedFile = { videoId, path: options.path, sizeBytes, fingerprint, video }
  const { rawTopic = RAW_TOPIC, videosTopic = VIDEOS_TOPIC, partitions = 1 } = options
  for (let attempt = 1; ; attempt += 1) {
    try {
      const names = { rawTopic, videosTopic, partitions, chunkBytes }
      const topics = await prepareTopics(transport, names)
      return await attemptIngest({ ...options, chunkBytes, file, source, topics })
    } catch (error) {
      if (error instanceof TransportError && error.kind === 'fenced') throw takenOver(file, error)
      if (!isPassing(error) || attempt === INGEST_ATTEMPTS) throw error
      await sleep(clock, INGEST_RETRY_MS * 2 ** (attempt - 1) * clock.random(), options.signal)
    }
  }
}

function assertChunkSize(chunkBytes: number): void {
  const fits = chunkBytes >= MIN_CHUNK_BYTES && chunkBytes <= MAX_CHUNK_BYTES
  if (fits && Number.isInteger(chunkBytes)) return
  throw new VideoError(
    'MILLRACE_CHUNK_SIZE_INVALID',
    `A chunk cannot have ${chunkBytes} bytes: take a whole number from ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES}; 5 or 10 MiB are usual.`,
  )
}

function assertVideoId(videoId: string): void {
  const bytes = Buffer.byteLength(videoId)
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for.
  const readable = videoId.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(videoId)
  if (bytes > 0 && bytes <= MAX_VIDEO_ID_BYTES && readable) return
  throw new VideoError(
    'MILLRACE_VIDEO_ID_INVALID',
    `${JSON.stringify(videoId)} cannot be a video's id: take 1 to ${MAX_VIDEO_ID_BYTES} bytes of text without control characters.`,
  )
}

/** Whether beginning again from what is in the log may help. */
function isPassing(error: unknown): boolean {
  return isMillraceError(error) && (error.remedy === 'retry' || error.remedy === 'rewind')
}

function takenOver({ videoId, path: place }: IngestedFile, cause: Error): VideoError {
  return new VideoError(
    'MILLRACE_INGEST_TAKEN_OVER',
    `Another ingest of video ${videoId} has begun after this one and goes on with it: let that one finish.`,
    { place, cause },
  )
}
