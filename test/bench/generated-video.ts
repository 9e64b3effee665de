/**
 * A video for the benchmarks: a whole mp4 header, then bytes that no compression and no run of equal
 * pages makes cheaper than real media. Its frames are all of one size, so the header stays small
 * whatever the size of the file, and every chunk has times, as a real one has.
 */
import { open } from 'node:fs/promises'
import { box, u32 } from '../video/mp4-crafting.ts'

const FRAME_BYTES = 32 * 1024
const FRAMES_A_SECOND = 25
/** What is written over and over; odd, so that no two chunks are equal. */
const NOISE_BYTES = 8 * 1024 * 1024 - 4_093

/** Writes a video of about `bytes` bytes, with its header in front, and returns its exact size. */
export async function writeVideo(path: string, bytes: number): Promise<number> {
  const frames = Math.max(1, Math.floor(bytes / FRAME_BYTES))
  const ftyp = box('ftyp', Buffer.from('isom'), u32(0), Buffer.from('isom'))
  const headBytes = ftyp.length + header(frames, 0).length + 8
  const mediaBytes = frames * FRAME_BYTES
  const media = Buffer.alloc(8)
  media.writeUInt32BE(8 + mediaBytes)
  media.write('mdat', 4, 'latin1')
  await using file = await open(path, 'w')
  await file.writev([ftyp, header(frames, headBytes), media])
  const noise = noiseOf(NOISE_BYTES)
  for (let at = 0; at < mediaBytes; at += noise.length) {
    await file.write(noise, 0, Math.min(noise.length, mediaBytes - at), headBytes + at)
  }
  return headBytes + mediaBytes
}

/** The box `moov` of a track with so many frames, one behind the other from `start` on. */
function header(frames: number, start: number): Buffer {
  const full = u32(0)
  const entry = Buffer.alloc(86)
  entry.writeUInt32BE(entry.length)
  entry.write('avc1', 4, 'latin1')
  entry.writeUInt16BE(1920, 32)
  entry.writeUInt16BE(1080, 34)
  const samples = box(
    'stbl',
    box('stsd', full, u32(1), entry),
    box('stts', full, u32(1, frames, 1)),
    box('stsc', full, u32(1, 1, frames, 1)),
    box('stsz', full, u32(FRAME_BYTES, frames)),
    box('stco', full, u32(1, start)),
  )
  const media = box(
    'mdia',
    box('mdhd', full, u32(0, 0, FRAMES_A_SECOND, frames, 0)),
    box('hdlr', full, u32(0), Buffer.from('vide')),
    box('minf', samples),
  )
  return box('moov', box('mvhd', full, u32(0, 0, FRAMES_A_SECOND, frames)), box('trak', media))
}

/** Bytes of a xorshift generator with a fixed seed: the same in every run. */
function noiseOf(bytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4))
  let state = 0x9e3779b9
  for (let i = 0; i < words.length; i += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return Buffer.from(words.buffer, 0, bytes)
}
