/** What kind of file a video is, told by its first bytes and not by its name. */

/** The containers that are told apart. Only mp4 and mov have a byte-to-time map; the others are sliced without times. */
export type Container = 'mp4' | 'mov' | 'webm' | 'matroska' | 'mpegts' | 'flv'

/** How many bytes of a file are looked at. */
export const DETECTION_BYTES = 4096

const TS_PACKET_BYTES = 188
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
  return isTransportStream(head) ? 'mpegts' : undefined
}

/** `ftyp` also begins still pictures (HEIF, AVIF), which are no movies. */
function isMovie(brand: string): Container | undefined {
  if (brand === 'qt  ') return 'mov'
  return ['heic', 'heix', 'mif1', 'avif'].includes(brand) ? undefined : 'mp4'
}

/** A sync byte at the start of each of the first packets; with time stamps (M2TS) a packet has four bytes more in front. */
function isTransportStream(head: Buffer): boolean {
  for (const extra of [0, 4]) {
    const stride = TS_PACKET_BYTES + extra
    const packets = Math.min(8, Math.floor(head.length / stride))
    let synced = packets >= 2
    for (let i = 0; i < packets; i += 1) synced &&= head[i * stride + extra] === 0x47
    if (synced) return true
  }
  return false
}
