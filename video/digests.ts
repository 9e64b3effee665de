/**
 * The checksums of a file and of the stream that is sliced from it, both from one reading. The stream
 * holds the file's bytes in the file's order, but for the header that moved; so the file's hash is
 * fed from the stream, and only what the stream left out (the header in its old place) is read beside.
 *
 * What is long is hashed on a thread of its own, one slice behind the reading: slices lie in two
 * buffers that are used in turn, so the bytes of one are left alone until the one after it was taken.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../model/clock.ts'
import { crc32c, crc32cOfJoined } from '../model/crc32c.ts'
import { partsOf, type PiecewiseStream } from './piecewise-stream.ts'
import { HashThread, hashesHere, type RunningHashes } from './running-hash.ts'
import { readBytes, type VideoSource } from './video-source.ts'

/** SHA-256s in hexadecimal. */
export interface Digests {
  readonly sourceSha256: string
  readonly streamSha256: string
}

/** Streams of so many bytes and more are hashed on a thread: the start of one takes as long as to hash half of this. */
export const HASH_THREAD_BYTES = 64 * 2 ** 20

/** Which of the hashes is which. */
const STREAM = 0
const FILE = 1

/** What digests are made with. */
export interface StreamDigestsOptions {
  readonly stream: PiecewiseStream
  readonly file: VideoSource
  readonly clock: Clock
  /** Default: HASH_THREAD_BYTES. */
  readonly hashThreadBytes?: number | undefined
}

/** Takes a stream from its first byte to its last. */
export class StreamDigests implements AsyncDisposable {
  readonly #stream: PiecewiseStream
  readonly #file: VideoSource
  readonly #hashes: RunningHashes
  /** Stream and file are the same bytes: one hash serves both. */
  readonly #same: boolean
  /** Until the bytes that were taken last are hashed. */
  #hashing: Promise<unknown> = Promise.resolve()
  #streamAt = 0
  #fileAt = 0
  #prefixCrc32c = 0

  constructor({ stream, file, clock, hashThreadBytes = HASH_THREAD_BYTES }: StreamDigestsOptions) {
    this.#stream = stream
    this.#file = file
    this.#same = stream.pieces.every((piece) => piece.kind === 'file')
    const count = this.#same ? 1 : 2
    const threaded = stream.sizeBytes >= hashThreadBytes
    this.#hashes = threaded ? new HashThread(count) : hashesHere(count, clock)
  }

  /** CRC-32C of all bytes taken so far. */
  get prefixCrc32c(): number {
    return this.#prefixCrc32c
  }

  /** Takes the next bytes of the stream; resolves to their CRC-32C. They may change after the next call has resolved, not before. */
  async update(bytes: Buffer): Promise<number> {
    const before = this.#hashing
    this.#hashing = before.then(() => this.#hash(bytes))
    // It is awaited with the next bytes, or at the end: until then nobody has to listen for it.
    this.#hashing.catch(() => undefined)
    const part = crc32c(bytes)
    const sizeBytes = bytes.length
    this.#prefixCrc32c = crc32cOfJoined(this.#prefixCrc32c, { part, sizeBytes })
    await before
    return part
  }

  /** The hashes, after the stream's last byte. */
  async finish(): Promise<Digests> {
    await this.#hashing
    const streamSha256 = await this.#hashes.digest(STREAM)
    if (this.#same) return { sourceSha256: streamSha256, streamSha256 }
    await this.#readUpTo(this.#file.sizeBytes)
    return { sourceSha256: await this.#hashes.digest(FILE), streamSha256 }
  }

  /** Ends the thread, whatever it is at. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hashes[Symbol.asyncDispose]()
  }

  async #hash(bytes: Buffer): Promise<void> {
    const start = this.#streamAt
    this.#streamAt += bytes.length
    const ofStream = this.#hashes.update(STREAM, bytes)
    await Promise.all(this.#same ? [ofStream] : [ofStream, this.#hashOfFile(bytes, start)])
  }

  async #hashOfFile(bytes: Buffer, start: number): Promise<void> {
    const end = start + bytes.length
    for (const { piece, from, to, at } of partsOf(this.#stream.pieces, start, end)) {
      if (piece.kind === 'memory') continue
      await this.#readUpTo(piece.offset + from)
      await this.#hashes.update(FILE, bytes.subarray(at, at + to - from))
      this.#fileAt = piece.offset + to
    }
  }

  /** What the stream left out is a header, which was in memory as a whole before. */
  async #readUpTo(offset: number): Promise<void> {
    if (offset === this.#fileAt) return
    await this.#hashes.update(
      FILE,
      await readBytes(this.#file, this.#fileAt, offset - this.#fileAt),
    )
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
