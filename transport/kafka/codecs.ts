/**
 * The compressions that a record batch may have, by Kafka's numbers. Only the records of a batch are
 * compressed, never its header. gzip and zstd are Node's own. lz4 is the frame format with independent
 * blocks, as Kafka's own reader demands. snappy goes out in the framing of snappy-java (xerial), which
 * the JVM's clients write; on read both that and a bare block are taken, since other clients send those.
 */
import {
  gunzipSync,
  gzip,
  gzipSync,
  zstdCompress,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'
import { promisify } from 'node:util'
import { compressFrame, compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { compressSync, uncompressSync } from 'snappy'

/** The name of a compression, as `compression.type` has it. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** Kafka's number of each compression, as the lowest three bits of a batch's attributes have it. */
export const COMPRESSION_ID: Readonly<Record<Compression, number>> = Object.freeze({
  none: 0,
  gzip: 1,
  snappy: 2,
  lz4: 3,
  zstd: 4,
})

/** The first bytes of snappy-java's stream, then its version and the lowest version that reads it. */
const XERIAL_HEADER = Buffer.from([
  0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1,
])
const XERIAL_MAGIC_BYTES = 8
/** Bytes of one block of snappy: snappy-java's own size, which every reader has room for. */
const XERIAL_BLOCK_BYTES = 32 * 1024
/** Below this many bytes a turn of the thread pool takes longer than the work itself. */
const IN_PLACE_BYTES = 32 * 1024

const gzipAside = promisify(gzip)
const zstdAside = promisify(zstdCompress)

/** Compresses records; small ones at once, larger ones on another thread where the codec can. */
export function compress(
  codec: Exclude<Compression, 'none'>,
  records: Buffer,
): Buffer | Promise<Buffer> {
  const isSmall = records.length < IN_PLACE_BYTES
  switch (codec) {
    case 'gzip':
      return isSmall ? gzipSync(records) : gzipAside(records)
    case 'zstd':
      return isSmall ? zstdCompressSync(records) : zstdAside(records)
    case 'lz4':
      return isSmall ? compressFrameSync(records) : compressFrame(records)
    case 'snappy':
      return xerialCompressed(records)
    default:
      return codec satisfies never
  }
}

/**
 * The records of a batch whose attributes name the compression `id`, at most `limitBytes` of them.
 * Throws whatever its codec throws where the bytes are not what the id says, and a RangeError for an
 * id that Kafka does not have or for more bytes.
 */
export function decompress(id: number, compressed: Buffer, limitBytes: number): Buffer {
  const records = expanded(id, compressed, limitBytes)
  if (records.length > limitBytes) {
    throw new RangeError(`${records.length} bytes of records where at most ${limitBytes} are taken`)
  }
  return records
}

function expanded(id: number, compressed: Buffer, limitBytes: number): Buffer {
  switch (id) {
    case COMPRESSION_ID.gzip:
      return gunzipSync(compressed, { maxOutputLength: limitBytes })
    case COMPRESSION_ID.snappy:
      return snappyExpanded(compressed)
    case COMPRESSION_ID.lz4:
      return decompressFrameSync(compressed)
    case COMPRESSION_ID.zstd:
      return zstdDecompressSync(compressed, { maxOutputLength: limitBytes })
    default:
      throw new RangeError(`compression ${id} is not known`)
  }
}

function xerialCompressed(records: Buffer): Buffer {
  const parts: Buffer[] = [XERIAL_HEADER]
  for (let at = 0; at < records.length; at += XERIAL_BLOCK_BYTES) {
    const block = compressSync(records.subarray(at, at + XERIAL_BLOCK_BYTES))
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

function snappyExpanded(compressed: Buffer): Buffer {
  const magic = XERIAL_HEADER.subarray(0, XERIAL_MAGIC_BYTES)
  if (!compressed.subarray(0, XERIAL_MAGIC_BYTES).equals(magic)) return block(compressed)
  const blocks: Buffer[] = []
  let at = XERIAL_HEADER.length
  while (at < compressed.length) {
    const end = at + 4 + compressed.readInt32BE(at)
    if (end <= at + 4 || end > compressed.length)
      throw new RangeError('a snappy block of no length')
    blocks.push(block(compressed.subarray(at + 4, end)))
    at = end
  }
  return Buffer.concat(blocks)
}

function block(compressed: Buffer): Buffer {
  const records = uncompressSync(compressed)
  if (typeof records === 'string') throw new TypeError('snappy answered with text')
  return records
}
