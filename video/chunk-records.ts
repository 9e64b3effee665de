/**
 * From the bytes of a file to the records of its chunks. One slice is held back: only when the stream
 * was read to its end, its hashes are known and the file is found unchanged does the last slice go
 * out, marked as the last. So a video whose file changed half-way never looks finished.
 *
 * An ingest that goes on where an earlier one stopped reads the file from its beginning all the same:
 * a hash cannot be continued from the middle, and the bytes that are in the log already are compared
 * on the way.
 *
 * A slice is read to where it stays: into the buffer of its record's value, behind room for the facts
 * that stand before it. It is the last field of a chunk, so nothing of it is ever moved.
 */
import type { Clock } from '../model/clock.ts'
import { crc32c, crc32cOfJoined } from '../model/crc32c.ts'
import type { OpenSerde, Room } from '../serdes/serde.ts'
import { MAX_VARINT_BYTES, varintBytes, writeVarint } from '../transport/varint.ts'
import { StreamDigests, type Digests } from './digests.ts'
import { timeFacts, type TimeFacts } from './ingest-plan.ts'
import type { ProbedVideo } from './probe.ts'
import type { Chunk, ChunkKey } from './schemas.ts'
import { slices, twoInTurn, type Slice, type SliceBuffers } from './slicer.ts'
import type { VideoFile } from './video-file.ts'

/** A chunk as it goes into the log, and how far its video is with it. */
export interface ChunkRecord {
  readonly key: Buffer
  readonly value: Buffer
  /** CRC-32C of the value. */
  readonly valueCrc: number
  readonly timestamp: number
  readonly progress: ChunkProgress
}

/** How far a video is after a chunk. */
export interface ChunkProgress {
  readonly nextIndex: number
  readonly nextOffset: number
  /** CRC-32C of the stream's bytes before nextOffset. */
  readonly prefixCrc32c: number
  readonly lastTimestamp: number
  /** With the last chunk alone. */
  readonly whole?: WholeVideo
}

/** What is known when all of a video was read: its hashes, and its times if it has any. */
export type WholeVideo = Digests & TimeFacts

/** What is turned into records. */
export interface ChunkSource {
  readonly file: VideoFile
  readonly video: ProbedVideo
  readonly videoId: string
  readonly chunkBytes: number
  readonly keys: OpenSerde<ChunkKey>
  readonly chunks: OpenSerde<Chunk>
  /** Gives the buffers of large values, each with its memory for itself. */
  readonly room: Room
  readonly clock: Clock
  /** The first slice that makes a record; those before it are handed to `verify`. */
  readonly fromIndex: number
  /** Timestamps never go back behind this one. */
  readonly lastTimestamp: number
  /** Compares a slice that is in the log already; it is told the checksum of all bytes up to its end. */
  readonly verify: (slice: Slice, prefixCrc32c: number) => Promise<void>
  readonly signal?: AbortSignal | undefined
}

/** The records of the chunks from `fromIndex` on, in order. */
export async function* chunkRecords(source: ChunkSource): AsyncGenerator<ChunkRecord> {
  const { file, video, clock, fromIndex, signal } = source
  const digests = new StreamDigests(video.stream, file, clock)
  const maker = new RecordMaker(source)
  let held: HeldSlice | undefined
  const times = video.openTimes()
  const buffers = buffersOf(source)
  for await (const slice of slices({ stream: video.stream, times, buffers }, source.chunkBytes)) {
    signal?.throwIfAborted()
    const sliceCrc32c = await digests.update(slice.bytes)
    const { prefixCrc32c } = digests
    if (slice.index < fromIndex) {
      await source.verify(slice, prefixCrc32c)
      continue
    }
    if (held !== undefined) yield maker.make(held)
    held = { slice, sliceCrc32c, prefixCrc32c }
  }
  const finished = await digests.finish()
  await file.assertUnchanged()
  if (held !== undefined) yield maker.make(held, { ...finished, ...timeFacts(times) })
}

interface HeldSlice {
  readonly slice: Slice
  readonly sliceCrc32c: number
  readonly prefixCrc32c: number
}

class RecordMaker {
  readonly #source: ChunkSource
  #lastTimestamp: number

  constructor(source: ChunkSource) {
    this.#source = source
    this.#lastTimestamp = source.lastTimestamp
  }

  /** With what is known of the whole video it is the last chunk. */
  make({ slice, sliceCrc32c, prefixCrc32c }: HeldSlice, whole?: WholeVideo): ChunkRecord {
    const { videoId, video, keys, chunks, clock } = this.#source
    const { index, offset, bytes, times } = slice
    this.#lastTimestamp = Math.max(this.#lastTimestamp, clock.now())
    const withoutBytes = chunks.serialize({
      videoId,
      offset,
      index,
      last: whole !== undefined,
      startUs: times?.startUs ?? null,
      endUs: times?.endUs ?? null,
      container: video.container,
      crc32c: sliceCrc32c,
      bytes: NO_BYTES,
    })
    const value = inFrontOf(bytes, withoutBytes)
    return {
      key: keys.serialize({ videoId, offset }),
      value,
      valueCrc: crcOfValue(value, { part: sliceCrc32c, sizeBytes: bytes.length }),
      timestamp: this.#lastTimestamp,
      progress: {
        nextIndex: index + 1,
        nextOffset: offset + bytes.length,
        prefixCrc32c,
        lastTimestamp: this.#lastTimestamp,
        ...(whole === undefined ? {} : { whole }),
      },
    }
  }
}

const NO_BYTES = Buffer.alloc(0)
/** More than the facts of any chunk take: MAX_VIDEO_ID_BYTES, a container's name and some numbers. */
const ROOM_BEFORE_BYTES = 512
/** Smaller buffers are not lent: a group has thousands of them, and the smallest that is lent is much larger. */
const SMALLEST_LENT_BYTES = 128 * 2 ** 10

/** Slices that make records lie behind a place for the facts; those that are compared need none. */
function buffersOf({ room, fromIndex, chunkBytes, video }: ChunkSource): SliceBuffers {
  const compared = twoInTurn(Math.min(chunkBytes, video.stream.sizeBytes))
  return (index, bytes) => {
    if (index < fromIndex) return compared(index, bytes)
    const end = ROOM_BEFORE_BYTES + bytes
    const whole = end < SMALLEST_LENT_BYTES ? Buffer.allocUnsafeSlow(end) : room.take(end)
    return whole.subarray(ROOM_BEFORE_BYTES, end)
  }
}

/**
 * The value of a chunk: what Avro makes of it without its bytes, up to their length at its end, is
 * written before them where they lie.
 */
function inFrontOf(bytes: Buffer, withoutBytes: Buffer): Buffer {
  const factsBytes = withoutBytes.length - 1
  const headBytes = factsBytes + varintBytes(bytes.length)
  const start = bytes.byteOffset - headBytes
  if (withoutBytes[factsBytes] !== 0 || headBytes > ROOM_BEFORE_BYTES) {
    throw new TypeError('the bytes of a chunk are not its last field, or its facts are too long')
  }
  const value = Buffer.from(bytes.buffer, start, headBytes + bytes.length)
  withoutBytes.copy(value, 0, 0, factsBytes)
  writeLength(value, factsBytes, bytes.length)
  return value
}

/** Avro's lengths are zigzag varints, as Kafka's are. */
function writeLength(value: Buffer, at: number, length: number): void {
  // The writer wants more space than it uses, and what follows must not be in its reach.
  const written = Buffer.alloc(MAX_VARINT_BYTES)
  written.copy(value, at, 0, writeVarint(written, 0, length))
}

/** The slice is the last field of a chunk: its value ends with it. */
function crcOfValue(
  value: Buffer,
  slice: { readonly part: number; readonly sizeBytes: number },
): number {
  return crc32cOfJoined(crc32c(value.subarray(0, value.length - slice.sizeBytes)), slice)
}

/** No chunk of the video makes a record (key and value) of more bytes than this. */
export function largestRecordBytes(
  { keys, chunks }: Pick<ChunkSource, 'keys' | 'chunks'>,
  { videoId, video, chunkBytes }: Pick<ChunkSource, 'videoId' | 'video' | 'chunkBytes'>,
): number {
  const most = Number.MAX_SAFE_INTEGER
  const empty = chunks.serialize({
    videoId,
    offset: most,
    index: 2 ** 31 - 1,
    last: true,
    startUs: most,
    endUs: most,
    container: video.container,
    crc32c: 2 ** 32 - 1,
    bytes: Buffer.alloc(0),
  })
  // The length of bytes takes up to five bytes of its own.
  const bytes = Math.min(chunkBytes, video.stream.sizeBytes) + 5
  return keys.serialize({ videoId, offset: most }).length + empty.length + bytes
}
