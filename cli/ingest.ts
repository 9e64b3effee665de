/** `millrace ingest`: puts video files into the log in chunks. */
import { basename } from 'node:path'
import type { IngestProgress, IngestResult } from '../video/ingest-attempt.ts'
import { ingest } from '../video/ingest.ts'
import { defineCommand } from './command.ts'
import { logOptions, logPlaceOf } from './log-place.ts'
import { openLog } from './open-log.ts'
import { count, optional, size, text, withDefault } from './options.ts'
import type { Output, Progress } from './output.ts'
import { formatBytes } from './quantities.ts'
import { usageError } from './usage-error.ts'

/** The command. */
export const ingestCommand = defineCommand({
  name: 'ingest',
  summary: 'puts videos into the log in chunks',
  details:
    'A file that was interrupted goes on where it was; one that is there already adds nothing.\n' +
    'The header of an mp4 that has it at the end is moved to the front.',
  operands: { usage: '<file…>', least: 1, most: Infinity },
  options: {
    ...logOptions,
    chunk: withDefault(size, '5MiB', 'how large a chunk is'),
    id: optional(text, "the video's id, for a single file; otherwise a hash of its bytes"),
    partitions: optional(count, 'partitions of the topics, where they have to be made'),
  },
  examples: [
    { line: 'millrace ingest clip.mp4 --embedded data', says: 'one file, in chunks of 5 MiB' },
    { line: 'millrace ingest *.mp4 --embedded data --chunk 10MiB', says: 'many, in larger chunks' },
    {
      line: 'millrace ingest clip.mp4 --embedded data --id holiday',
      says: 'under an id of your own',
    },
    {
      line: 'millrace ingest clip.mp4 --brokers localhost:9092 --registry http://localhost:8081',
      says: 'into a Kafka cluster',
    },
  ],
  run: async ({ operands, options, output, clock, signal }) => {
    if (options.id !== undefined && operands.length > 1) {
      throw usageError('--id is for a single file: ingest the files one by one, or leave it out')
    }
    const place = logPlaceOf(options)
    await using log = await openLog(place, { clock, signal, needsSchemas: true })
    for (const path of operands) {
      const progress = output.progress(basename(path), { unit: 'bytes' })
      const { transport, registry } = log
      const result = await ingest({
        transport,
        registry,
        clock,
        path,
        id: options.id,
        chunkBytes: options.chunk,
        partitions: options.partitions,
        signal,
        onProgress: (state) => showProgress(progress, state),
      })
      progress.end()
      showResult(output, path, result)
    }
    return undefined
  },
})

/** Shows how far an ingest is. */
export function showProgress(progress: Progress, state: IngestProgress): void {
  progress.setTotal(state.totalBytes)
  const chunks = `chunk ${state.chunks} of ${state.totalChunks}`
  progress.update(state.bytes, state.phase === 'comparing' ? `comparing, ${chunks}` : chunks)
}

/** Shows what an ingest came to. */
export function showResult(output: Output, path: string, result: IngestResult): void {
  const { video, outcome, chunksWritten } = result
  const what = `${basename(path)}: ${outcome} as ${video.videoId}`
  const size = `${video.chunks} chunks, ${formatBytes(video.streamBytes)}`
  output.result('ingested', `${what}, ${size}`, {
    path,
    videoId: video.videoId,
    outcome,
    bytes: video.streamBytes,
    chunks: video.chunks,
    chunksWritten,
  })
}
