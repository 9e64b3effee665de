/** Sizes and byte offsets of an mp4's samples: `stsz` or `stz2`, `stsc`, and `stco` or `co64`. */
import { childBox, corrupt, type Box, type BoxBytes } from './mp4-boxes.ts'
import { tableBox, type TableBox } from './mp4-table-box.ts'

/** Four days at 60 frames a second. A table of equal sizes costs a hostile file no bytes, so its count needs a bound of its own. */
export const MAX_SAMPLES = 20_000_000

/** How many samples the track has. Throws MILLRACE_VIDEO_CORRUPT for more than MAX_SAMPLES. */
export function sampleCount(moov: BoxBytes, stbl: Box): number {
  const { box } = sizesBox(moov, stbl)
  const count = moov.bytes.readUInt32BE(box.bodyStart + 8)
  if (count > MAX_SAMPLES) throw corrupt(moov.place, `it claims to have ${count} frames`)
  return count
}

/** Fills in the bytes of each sample. */
export function fillSizes(moov: BoxBytes, stbl: Box, sizes: Uint32Array): void {
  const { box, compact } = sizesBox(moov, stbl)
  const { bytes } = moov
  const at = box.bodyStart + 12
  const equal = compact ? 0 : bytes.readUInt32BE(box.bodyStart + 4)
  if (equal !== 0) {
    sizes.fill(equal)
    return
  }
  const bits = compact ? (bytes[box.bodyStart + 7] ?? 0) : 32
  if (![4, 8, 16, 32].includes(bits)) throw corrupt(moov.place, `its sizes have ${bits} bits each`)
  if (Math.ceil((sizes.length * bits) / 8) > box.end - at) {
    throw corrupt(moov.place, `its table ${box.type} claims ${sizes.length} sizes and has fewer`)
  }
  for (let i = 0; i < sizes.length; i += 1) sizes[i] = sizeAt(bytes, at, { bits, index: i })
}

/** Fills in where each sample begins, from the chunks they are packed in. */
export function fillChunkOffsets(
  moov: BoxBytes,
  stbl: Box,
  table: { readonly sizes: Uint32Array; readonly offsets: Float64Array },
): void {
  const { sizes, offsets } = table
  const { chunks, offsetBytes } = chunkTable(moov, stbl)
  const runs = tableBox(moov, stbl, { type: 'stsc', entryBytes: 12 })
  if (runs === undefined) throw corrupt(moov.place, 'its header has no stsc')
  let sample = 0
  for (let run = 0; run < runs.count && sample < sizes.length; run += 1) {
    const { first, end, perChunk } = runAt(moov, runs, { run, chunks: chunks.count })
    for (let chunk = first; chunk < end && sample < sizes.length; chunk += 1) {
      const at = chunks.at + chunk * offsetBytes
      let offset =
        offsetBytes === 4 ? moov.bytes.readUInt32BE(at) : Number(moov.bytes.readBigUInt64BE(at))
      for (let i = 0; i < perChunk && sample < sizes.length; i += 1, sample += 1) {
        offsets[sample] = offset
        offset += sizes[sample] ?? 0
      }
    }
  }
  if (sample < sizes.length) {
    throw corrupt(moov.place, `it has ${sizes.length} frames but places for ${sample}`)
  }
}

/** The chunks' offsets: four bytes each (`stco`) or eight (`co64`). */
function chunkTable(moov: BoxBytes, stbl: Box): { chunks: TableBox; offsetBytes: 4 | 8 } {
  const short = tableBox(moov, stbl, { type: 'stco', entryBytes: 4 })
  if (short !== undefined) return { chunks: short, offsetBytes: 4 }
  const long = tableBox(moov, stbl, { type: 'co64', entryBytes: 8 })
  if (long === undefined) throw corrupt(moov.place, 'its header has neither stco nor co64')
  return { chunks: long, offsetBytes: 8 }
}

/** Chunks `[first, end)`, from 0, hold `perChunk` samples each: an entry of `stsc` says only where its run begins. */
function runAt(
  moov: BoxBytes,
  runs: TableBox,
  { run, chunks }: { run: number; chunks: number },
): { first: number; end: number; perChunk: number } {
  const at = runs.at + run * 12
  const first = moov.bytes.readUInt32BE(at) - 1
  const next = run + 1 < runs.count ? moov.bytes.readUInt32BE(at + 12) - 1 : Infinity
  if (first < 0 || next <= first) {
    throw corrupt(moov.place, `entry ${run} of its table stsc is out of order`)
  }
  return { first, end: Math.min(next, chunks), perChunk: moov.bytes.readUInt32BE(at + 4) }
}

function sizesBox(moov: BoxBytes, stbl: Box): { box: Box; compact: boolean } {
  const plain = childBox(moov, stbl, 'stsz')
  const box = plain ?? childBox(moov, stbl, 'stz2')
  if (box === undefined || box.end - box.bodyStart < 12) {
    throw corrupt(moov.place, 'its header has no sizes of frames (stsz or stz2)')
  }
  return { box, compact: plain === undefined }
}

function sizeAt(
  bytes: Buffer,
  at: number,
  { bits, index }: { bits: number; index: number },
): number {
  if (bits === 32) return bytes.readUInt32BE(at + index * 4)
  if (bits === 16) return bytes.readUInt16BE(at + index * 2)
  if (bits === 8) return bytes[at + index] ?? 0
  const pair = bytes[at + (index >> 1)] ?? 0
  return index % 2 === 0 ? pair >> 4 : pair & 15
}
