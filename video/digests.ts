/**
 * The checksums of a file and of the stream that is sliced from it, both from one reading. The stream
 * holds the file's bytes in the file's order, but for the header that moved; so the file's hash is
 * fed from the stream, and only what the stream left out (the header in its old place) is read beside.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Clock } from '../model/clock.ts'
import { crc32c, crc32cOfJoined } from '../model/crc32c.ts'
import { partsOf, type PiecewiseStream } from './piecewise-stream.ts'
import { readBytes, type VideoSource } from './video-source.ts'

/** SHA-256s in hexadecimal. */
export interface Digests {
  readonly sourceSha256: string
  readonly streamSha256: string
}

/**
 * Bytes that are hashed in one go, two milliseconds or so. Between them sockets have their turn: what
 * a log has room for is written on while the next chunk is hashed, which takes as long as to send it.
 */
const HASH_TURN_BYTES = 2 ** 20

/** Takes a stream from its first byte to its last. */
export class StreamDigests {
  readonly #stream: PiecewiseStream
  readonly #file: VideoSource
  readonly #clock: Clock
  readonly #streamHash: Hash
  /** Undefined where stream and file are the same bytes: one hash serves both. */
  readonly #fileHash: Hash | undefined
  #streamAt = 0
  #fileAt = 0
  #prefixCrc32c = 0

  constructor(stream: PiecewiseStream, file: VideoSource, clock: Clock) {
    this.#stream = stream
    this.#file = file
    this.#clock = clock
    this.#streamHash = createHash('sha256')
    const same = stream.pieces.every((piece) => piece.kind === 'file')
    this.#fileHash = same ? undefined : createHash('sha256')
  }

  /** CRC-32C of all bytes taken so far. */
  get prefixCrc32c(): number {
    return this.#prefixCrc32c
  }

  /** Takes the next bytes of the stream; resolves to their CRC-32C. */
  async update(bytes: Buffer): Promise<number> {
    await this.#hash(this.#streamHash, bytes)
    const part = crc32c(bytes)
    const sizeBytes = bytes.length
    this.#prefixCrc32c = crc32cOfJoined(this.#prefixCrc32c, { part, sizeBytes })
    const start = this.#streamAt
    this.#streamAt += sizeBytes
    if (this.#fileHash === undefined) return part
    for (const { piece, from, to, at } of partsOf(this.#stream.pieces, start, this.#streamAt)) {
      if (piece.kind === 'memory') continue
      await this.#readUpTo(piece.offset + from)
      await this.#hash(this.#fileHash, bytes.subarray(at, at + to - from))
      this.#fileAt = piece.offset + to
    }
    return part
  }

  /** The hashes, after the stream's last byte. */
  async finish(): Promise<Digests> {
    const streamSha256 = this.#streamHash.digest('hex')
    if (this.#fileHash === undefined) return { sourceSha256: streamSha256, streamSha256 }
    await this.#readUpTo(this.#file.sizeBytes)
    return { sourceSha256: this.#fileHash.digest('hex'), streamSha256 }
  }

  async #hash(hash: Hash, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += HASH_TURN_BYTES) {
      if (at > 0) await this.#clock.yield()
      hash.update(bytes.subarray(at, at + HASH_TURN_BYTES))
    }
  }

  /** What the stream left out is a header, which was in memory as a whole before. */
  async #readUpTo(offset: number): Promise<void> {
    if (offset === this.#fileAt) return
    this.#fileHash?.update(await readBytes(this.#file, this.#fileAt, offset - this.#fileAt))
    this.#fileAt = offset
  }
}

/** How much of both ends of a file its fingerprint looks at. */
const FINGERPRINT_BYTES = 2 ** 20

/** SHA-256 of a file's size, first and last MiB: what a video is called by when nobody named it. */
export async function fingerprintOf(file: VideoSource): Promise<string> {
  const length = Math.min(FINGERPRINT_BYTES, file.sizeBytes)
  const size = Buffer.alloc(8)
  size.writeBigUInt64BE(BigInt(file.sizeBytes))
  return createHash('sha256')
    .update(size)
    .update(await readBytes(file, 0, length))
    .update(await readBytes(file, file.sizeBytes - length, length))
    .digest('hex')
}
