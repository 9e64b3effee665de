/** The way back: the bytes of a video from its chunks, with everything checked that a chunk says of itself. */
import { createHash } from 'node:crypto'
import { crc32c } from '../model/crc32c.ts'
import type { Chunk, VideoState } from './schemas.ts'
import { VideoError } from './video-error.ts'

/** What came out. */
export interface ReassembledVideo {
  readonly bytes: number
  readonly chunks: number
  /** Of all bytes, in hexadecimal. */
  readonly sha256: string
}

/**
 * Takes the chunks of one video in order, each once. Every method throws MILLRACE_REASSEMBLY_FAILED,
 * which names the chunk, for what is missing, doubled, out of order or damaged.
 */
export class Reassembly {
  readonly videoId: string
  readonly #hash = createHash('sha256')
  #chunks = 0
  #bytes = 0
  #ended = false

  constructor(videoId: string) {
    this.videoId = videoId
  }

  /** Checks the next chunk; its `bytes` are then the next bytes of the video. */
  add(chunk: Chunk): void {
    const { index, offset, bytes } = chunk
    if (chunk.videoId !== this.videoId) throw this.#failed(`a chunk of ${chunk.videoId} came`)
    if (this.#ended) throw this.#failed(`chunk ${index} came after the last one`)
    if (index !== this.#chunks || offset !== this.#bytes) {
      const expected = `chunk ${this.#chunks} at byte ${this.#bytes}`
      throw this.#failed(`${expected} should come, chunk ${index} at byte ${offset} came`)
    }
    if (crc32c(bytes) !== chunk.crc32c) throw this.#failed(`chunk ${index} is damaged`)
    this.#hash.update(bytes)
    this.#chunks += 1
    this.#bytes += bytes.length
    this.#ended = chunk.last
  }

  /** After the last chunk: what it came to, which must be what the video's row says where one is given. */
  end(row?: Pick<VideoState, 'streamBytes' | 'streamSha256'>): ReassembledVideo {
    if (!this.#ended) throw this.#failed(`the last chunk has not come, only ${this.#chunks}`)
    const sha256 = this.#hash.digest('hex')
    if (row !== undefined && (row.streamBytes !== this.#bytes || row.streamSha256 !== sha256)) {
      throw this.#failed(
        `${this.#bytes} bytes with SHA-256 ${sha256} came, not ${row.streamBytes} with ${row.streamSha256}`,
      )
    }
    return { bytes: this.#bytes, chunks: this.#chunks, sha256 }
  }

  #failed(what: string): VideoError {
    return new VideoError(
      'MILLRACE_REASSEMBLY_FAILED',
      `The bytes of video ${this.videoId} cannot be put together: ${what}. Read its chunks again from the first; if that ends the same, ingest the file anew under another id.`,
      { place: this.videoId },
    )
  }
}
