/** One try to bring a video into the log: from init, which ends what a predecessor left open, to the row that says complete. */
import path from 'node:path'
import type { Clock } from '../model/clock.ts'
import { asOffset, type TopicPartition } from '../model/position.ts'
import { avro } from '../serdes/avro.ts'
import { LentBuffers } from '../serdes/lent-buffers.ts'
import type { Registry } from '../serdes/registry.ts'
import type { OpenSerde } from '../serdes/serde.ts'
import type { Producer, Transport } from '../transport/transport.ts'
import { chunkRecords, largestRecordBytes } from './chunk-records.ts'
import { StreamDigests } from './digests.ts'
import { firstRow, idTaken, planIngest, type IngestedFile } from './ingest-plan.ts'
import { assertFits, type IngestTopics } from './ingest-topics.ts'
import { writeChunks } from './ingest-writer.ts'
import { Chunk, ChunkKey, VideoState } from './schemas.ts'
import { slices, wholePackets, type Slice } from './slicer.ts'
import { partitionOfVideo } from './topics.ts'
import type { VideoFile } from './video-file.ts'
import { readVideo } from './videos-table.ts'
import { fileDiffers, WrittenChunks } from './written-chunks.ts'

/** How far an ingest is. */
export interface IngestProgress {
  readonly videoId: string
  /** comparing: reading again what is in the log already. writing: the bytes are committed. */
  readonly phase: 'comparing' | 'writing'
  readonly bytes: number
  readonly totalBytes: number
  readonly chunks: number
  readonly totalChunks: number
}

/** What an ingest came to. */
export interface IngestResult {
  readonly outcome: 'ingested' | 'resumed' | 'already complete'
  /** The row of the video, which is complete. */
  readonly video: VideoState
  /** How many chunks were written. */
  readonly chunksWritten: number
}

/** What a try is made with. */
export interface AttemptOptions {
  readonly transport: Transport
  readonly registry: Registry
  readonly clock: Clock
  readonly source: VideoFile
  readonly file: IngestedFile
  readonly topics: IngestTopics
  readonly chunkBytes: number
  readonly transactionBytes?: number | undefined
  readonly transactionMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: IngestProgress) => void) | undefined
}

/** The producer's transactional id: one for each video, so that two ingests of one video cannot both write. */
export function transactionalIdOf(videoId: string): string {
  return `millrace.ingest.${videoId}`
}

/** Brings the video into the log, or goes on with it. */
export async function attemptIngest(options: AttemptOptions): Promise<IngestResult> {
  const { file, topics, transport, signal } = options
  const { videoId } = file
  await using producer = transport.openProducer({ transactionalId: transactionalIdOf(videoId) })
  await producer.init()
  const table = { ...options, topic: topics.videos.topic }
  const plan = planIngest(file, await readVideo(table, videoId, topics.videos.partitions))
  signal?.throwIfAborted()
  if (plan.kind === 'compare') {
    await compareWhole(options, plan.row)
    return { outcome: 'already complete', video: plan.row, chunksWritten: 0 }
  }
  const row = plan.kind === 'resume' ? plan.row : await beginning(options)
  const video = await writeFrom(row, producer, options)
  const outcome = plan.kind === 'resume' ? 'resumed' : 'ingested'
  return { outcome, video, chunksWritten: video.chunks - row.nextIndex }
}

async function beginning({
  file,
  topics,
  transport,
  chunkBytes,
}: AttemptOptions): Promise<VideoState> {
  const [firstLogOffset = asOffset(0)] = await transport.admin.offsets(
    [rawPartition(file, topics)],
    'latest',
    'read_uncommitted',
  )
  const wholeBytes = wholePackets(chunkBytes, file.video.packetBytes)
  return firstRow(file, { chunkBytes: wholeBytes, firstLogOffset, name: path.basename(file.path) })
}

async function writeFrom(
  row: VideoState,
  producer: Producer,
  options: AttemptOptions,
): Promise<VideoState> {
  const { file, source, topics, clock, signal, transactionBytes, transactionMs } = options
  const { videoId, video } = file
  const { chunkBytes, nextIndex: fromIndex, lastTimestamp } = row
  const serdes = await openSerdes(options)
  const recordBytes = largestRecordBytes(serdes, { videoId, video, chunkBytes })
  assertFits(topics.raw, { recordBytes, chunkBytes })
  await using written = fromIndex === 0 ? undefined : await writtenChunks(row, serdes, options)
  const verify = async (slice: Slice, prefixCrc32c: number): Promise<void> => {
    await written?.verify(slice)
    const atEnd = slice.index === fromIndex - 1
    if (atEnd && prefixCrc32c !== row.prefixCrc32c) throw fileDiffers(videoId, file.path, slice)
    report(options, row, { phase: 'comparing', chunks: slice.index + 1 })
  }
  const room = new LentBuffers()
  const chunks = {
    file: source,
    video,
    videoId,
    chunkBytes,
    room,
    clock,
    fromIndex,
    lastTimestamp,
    signal,
  }
  try {
    return await writeChunks(chunkRecords({ ...chunks, ...serdes, verify }), row, {
      producer,
      room,
      clock,
      raw: rawPartition(file, topics),
      videos: partitionIn(topics.videos, videoId),
      rows: serdes.rows,
      transactionBytes,
      transactionMs,
      assertUnchanged: () => source.assertUnchanged(),
      onCommitted: ({ nextIndex }) => report(options, row, { phase: 'writing', chunks: nextIndex }),
      signal,
    })
  } catch (error) {
    // If this fails, too, the next init does it; what is worth telling is the first error.
    await producer.abort().catch(() => undefined)
    throw error
  }
}

/** A video that is complete: whether this file is it, to the last byte. Rejects with MILLRACE_VIDEO_ID_TAKEN. */
async function compareWhole(options: AttemptOptions, row: VideoState): Promise<void> {
  const { file, source, clock, signal } = options
  const { stream } = file.video
  const digests = new StreamDigests(stream, source, clock)
  for await (const slice of slices({ stream, times: null }, row.chunkBytes)) {
    signal?.throwIfAborted()
    await digests.update(slice.bytes)
    report(options, row, { phase: 'comparing', chunks: slice.index + 1 })
  }
  const { sourceSha256 } = await digests.finish()
  await source.assertUnchanged()
  if (sourceSha256 !== row.sourceSha256) throw idTaken(file, row)
}

interface IngestSerdes {
  readonly keys: OpenSerde<ChunkKey>
  readonly chunks: OpenSerde<Chunk>
  readonly rows: OpenSerde<VideoState>
}

async function openSerdes({ registry, topics }: AttemptOptions): Promise<IngestSerdes> {
  const raw = topics.raw.topic
  return {
    keys: await avro(ChunkKey).open({ topic: raw, role: 'key', registry }),
    chunks: await avro(Chunk).open({ topic: raw, role: 'value', registry }),
    rows: await avro(VideoState).open({ topic: topics.videos.topic, role: 'value', registry }),
  }
}

async function writtenChunks(
  { videoId, firstLogOffset }: VideoState,
  { keys, chunks }: IngestSerdes,
  { transport, clock, file, topics, signal }: AttemptOptions,
): Promise<WrittenChunks> {
  const place = rawPartition(file, topics)
  const [start = asOffset(0)] = await transport.admin.offsets(
    [place],
    'earliest',
    'read_uncommitted',
  )
  const purged = start > firstLogOffset
  const scan = { ...place, transport, clock, from: firstLogOffset, signal }
  return new WrittenChunks({ ...scan, videoId, file: file.path, keys, chunks, purged })
}

function rawPartition({ videoId }: IngestedFile, { raw }: IngestTopics): TopicPartition {
  return partitionIn(raw, videoId)
}

function partitionIn(topic: IngestTopics['raw'], videoId: string): TopicPartition {
  return { topic: topic.topic, partition: partitionOfVideo(videoId, topic.partitions) }
}

function report(
  { onProgress }: AttemptOptions,
  { videoId, chunkBytes, streamBytes, chunks: totalChunks }: VideoState,
  { phase, chunks }: Pick<IngestProgress, 'phase' | 'chunks'>,
): void {
  const bytes = Math.min(chunks * chunkBytes, streamBytes)
  onProgress?.({ videoId, phase, bytes, totalBytes: streamBytes, chunks, totalChunks })
}
