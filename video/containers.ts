/** What kind of file a video is, told by its first bytes and not by its name. */
import { packetStride } from './mpegts-packets.ts'

/** The containers that are told apart. Of mp4, mov and mpegts the times of frames are known; the others are sliced without times. */
export type Container = 'mp4' | 'mov' | 'webm' | 'matroska' | 'mpegts' | 'flv'

/** How many bytes of a file are looked at. */
export const DETECTION_BYTES = 4096

const EBML = 0x1a45dfa3
/** What old QuickTime files, which have no `ftyp`, begin with. */
const QUICKTIME_FIRST_BOXES: ReadonlySet<string> = new Set([
  'moov',
  'mdat',
  'free',
  'skip',
  'wide',
  'pnot',
])

/** The container of a file that begins with `head`; undefined where it is not a video. */
export function detectContainer(head: Buffer): Container | undefined {
  if (head.length < 12) return undefined
  const type = head.toString('latin1', 4, 8)
  if (type === 'ftyp') return isMovie(head.toString('latin1', 8, 12))
  if (QUICKTIME_FIRST_BOXES.has(type)) return 'mov'
  if (head.readUInt32BE(0) === EBML) return head.includes('webm') ? 'webm' : 'matroska'
  if (head.toString('latin1', 0, 3) === 'FLV') return 'flv'
  return packetStride(head) === undefined ? undefined : 'mpegts'
}

/** `ftyp` also begins still pictures (HEIF, AVIF), which are no movies. */
function isMovie(brand: string): Container | undefined {
  if (brand === 'qt  ') return 'mov'
  return ['heic', 'heix', 'mif1', 'avif'].includes(brand) ? undefined : 'mp4'
}
