/**
 * A file whose header (`moov`) lies behind the media cannot be decoded while it arrives, and many
 * files are like that. This puts the header in front, without another file: the stream is a list of
 * pieces, the rewritten header in memory and ranges of the file, so that any part of it can be read
 * at any time and the same file gives the same bytes at every attempt. Why not by ffmpeg:
 * docs/decisions/moov-to-the-front.md.
 *
 * In the header only the tables of chunk offsets change (`stco`, `co64`): each offset moves as far as
 * the range it points into. A stream of more than 4 GiB gets `co64` throughout, for an offset of 32
 * bits might no longer fit; that makes the header longer, so its length is measured first.
 */
import { boxesIn, corrupt, truncated, type Box, type BoxBytes } from './mp4-boxes.ts'
import type { Piece } from './piecewise-stream.ts'

/** Where the boxes of an mp4 lie. */
export interface Mp4Layout {
  readonly boxes: readonly Box[]
  /** The header box, as it is in the file. */
  readonly moov: Box
}

/** The pieces of a stream, and the header that it carries. */
export interface HeaderFirst {
  readonly pieces: readonly Piece[]
  /** The header with offsets that count in the stream. */
  readonly moov: Buffer
}

/** Whether the header lies behind media data. */
export function isHeaderLast({ boxes, moov }: Mp4Layout): boolean {
  const media = boxes.find((box) => box.type === 'mdat')
  return media !== undefined && media.start < moov.start
}

/**
 * The stream with its header in front of the media; all other boxes keep their order. Throws
 * MILLRACE_VIDEO_CORRUPT or MILLRACE_VIDEO_TRUNCATED for offsets that point to no media.
 */
export function headerFirst(layout: Mp4Layout, header: BoxBytes): HeaderFirst {
  const { boxes, moov } = layout
  const insertAt = boxes.find((box) => box.type === 'mdat')?.start ?? moov.start
  const fileEnd = boxes.at(-1)?.end ?? moov.end
  const measure = (offsetBytes: OffsetBytes): number =>
    rewriteHeader(header, { offsetBytes, move: () => 0 }).length
  const narrowEnd = fileEnd - (moov.end - moov.start) + measure(4)
  const offsetBytes = narrowEnd > MAX_UINT32 ? 8 : 4
  const headerBytes = measure(offsetBytes)
  const move = (offset: number): number => {
    if (offset > fileEnd) {
      throw truncated(header.place, `its media should reach byte ${offset} of ${fileEnd}`)
    }
    if (offset < insertAt) return offset
    if (offset < moov.start) return offset + headerBytes
    if (offset >= moov.end) return offset + headerBytes - (moov.end - moov.start)
    throw corrupt(header.place, 'its header takes a part of itself for media')
  }
  const rewritten = rewriteHeader(header, { offsetBytes, move })
  const pieces: readonly Piece[] = [
    { kind: 'file', offset: 0, length: insertAt },
    { kind: 'memory', bytes: rewritten },
    { kind: 'file', offset: insertAt, length: moov.start - insertAt },
    { kind: 'file', offset: moov.end, length: fileEnd - moov.end },
  ]
  return { moov: rewritten, pieces }
}

type OffsetBytes = 4 | 8

interface Rewriting {
  /** The least width of a chunk offset; a table that is wider stays so. */
  readonly offsetBytes: OffsetBytes
  readonly move: (offset: number) => number
}

const MAX_UINT32 = 0xffff_ffff
const CONTAINERS: ReadonlySet<string> = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl'])

function rewriteHeader(header: BoxBytes, rewriting: Rewriting): Buffer {
  const [root] = boxesIn(header, 0, header.bytes.length)
  if (root === undefined) throw corrupt(header.place, 'its header is empty')
  return rewriteBox(header, root, rewriting)
}

function rewriteBox(header: BoxBytes, box: Box, rewriting: Rewriting): Buffer {
  if (box.type === 'stco' || box.type === 'co64') return rewriteOffsets(header, box, rewriting)
  if (!CONTAINERS.has(box.type)) return header.bytes.subarray(box.start, box.end)
  const children = boxesIn(header, box.bodyStart, box.end)
  // What follows the last child and is no box stays where it is.
  const tail = header.bytes.subarray(children.at(-1)?.end ?? box.bodyStart, box.end)
  return makeBox(box.type, [...children.map((child) => rewriteBox(header, child, rewriting)), tail])
}

function rewriteOffsets(header: BoxBytes, box: Box, { offsetBytes, move }: Rewriting): Buffer {
  const width = box.type === 'co64' ? 8 : 4
  const count = box.end - box.bodyStart < 8 ? -1 : header.bytes.readUInt32BE(box.bodyStart + 4)
  if (count < 0 || count * width > box.end - box.bodyStart - 8) {
    throw corrupt(header.place, `its table ${box.type} claims ${count} entries and has fewer`)
  }
  const newWidth = Math.max(width, offsetBytes)
  const body = Buffer.alloc(8 + count * newWidth)
  header.bytes.copy(body, 0, box.bodyStart, box.bodyStart + 8)
  for (let i = 0; i < count; i += 1) {
    const at = box.bodyStart + 8 + i * width
    const offset = move(
      width === 8 ? Number(header.bytes.readBigUInt64BE(at)) : header.bytes.readUInt32BE(at),
    )
    if (newWidth === 8) body.writeBigUInt64BE(BigInt(offset), 8 + i * 8)
    else body.writeUInt32BE(offset, 8 + i * 4)
  }
  return makeBox(newWidth === 8 ? 'co64' : 'stco', [body])
}

function makeBox(type: string, parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(8)
  head.write(type, 4, 'latin1')
  const box = Buffer.concat([head, ...parts])
  box.writeUInt32BE(box.length, 0)
  return box
}
