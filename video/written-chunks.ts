/**
 * Compares what an earlier attempt has put into the log with the file that is read again. The table
 * `videos` says how far that attempt came; this makes sure that it is so, byte for byte, before more
 * is written behind it. What retention has removed meanwhile cannot be compared: then the checksum of
 * all bytes so far, which the row has, must do.
 */
import { deserializeNow } from '../processors/deserialize.ts'
import { crc32c } from '../model/crc32c.ts'
import { describePosition, asOffset, type TopicPartition } from '../model/position.ts'
import type { OpenSerde } from '../serdes/serde.ts'
import { scanLog, type LogScan } from './log-scan.ts'
import type { Chunk, ChunkKey } from './schemas.ts'
import type { Slice } from './slicer.ts'
import { VideoError } from './video-error.ts'

/** Where the chunks are, and how they are read. */
export interface WrittenChunksOptions extends LogScan {
  readonly videoId: string
  /** For messages. */
  readonly file: string
  readonly keys: OpenSerde<ChunkKey>
  readonly chunks: OpenSerde<Chunk>
  /** Whether the log no longer begins at `from`, so that the first chunks may be gone. */
  readonly purged: boolean
}

/** The chunks of one video in the log, in order. */
export class WrittenChunks implements AsyncDisposable {
  readonly #options: WrittenChunksOptions
  readonly #found: AsyncGenerator<FoundChunk>
  #next: FoundChunk | undefined
  #any = false

  constructor(options: WrittenChunksOptions) {
    this.#options = options
    this.#found = chunksOf(options)
  }

  /** Compares the next slice. Rejects with MILLRACE_INGEST_MISMATCH where the log is at fault, MILLRACE_FILE_CHANGED where the file is. */
  async verify(slice: Slice): Promise<void> {
    this.#next ??= await this.#advance()
    if (this.#next === undefined) {
      if (this.#any || !this.#options.purged) throw this.#mismatch(slice, 'it is not there')
      return
    }
    const { chunk, offset } = this.#next
    if (chunk.index > slice.index && !this.#any && this.#options.purged) return
    this.#any = true
    this.#next = undefined
    const where = describePosition({ ...this.#place(), offset: asOffset(offset) })
    if (chunk.index !== slice.index || chunk.offset !== slice.offset || chunk.last) {
      throw this.#mismatch(slice, `${where} is chunk ${chunk.index} at byte ${chunk.offset}`)
    }
    if (crc32c(chunk.bytes) !== chunk.crc32c) {
      throw this.#mismatch(slice, `${where} does not have its own checksum`)
    }
    if (crc32c(slice.bytes) !== chunk.crc32c) {
      throw fileDiffers(this.#options.videoId, this.#options.file, slice)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#found.return(undefined)
  }

  async #advance(): Promise<FoundChunk | undefined> {
    const result = await this.#found.next()
    return result.done === true ? undefined : result.value
  }

  #place(): TopicPartition {
    return { topic: this.#options.topic, partition: this.#options.partition }
  }

  #mismatch(slice: Slice, what: string): VideoError {
    const { topic, partition, videoId } = this.#options
    return new VideoError(
      'MILLRACE_INGEST_MISMATCH',
      `${topic}[${partition}] does not hold chunk ${slice.index} of video ${videoId} as the table of videos says: ${what}. Ingest the file under another id.`,
      { place: `${topic}[${partition}]` },
    )
  }
}

/** The error for a file whose beginning is not what is in the log under its video's id. */
export function fileDiffers(
  videoId: string,
  file: string,
  { offset, bytes }: Pick<Slice, 'offset' | 'bytes'>,
): VideoError {
  return new VideoError(
    'MILLRACE_FILE_CHANGED',
    `${file} has changed since its ingest as video ${videoId} was interrupted: it differs before byte ${offset + bytes.length}. Ingest it under another id, or bring back the file as it was.`,
    { place: file },
  )
}

interface FoundChunk {
  readonly chunk: Chunk
  readonly offset: number
}

async function* chunksOf(options: WrittenChunksOptions): AsyncGenerator<FoundChunk> {
  const { keys, chunks, videoId } = options
  for await (const { key, value, offset } of scanLog(options)) {
    if (key === null || value === null) continue
    if ((await deserializeNow(keys, key)).videoId !== videoId) continue
    yield { chunk: await deserializeNow(chunks, value), offset }
  }
}
