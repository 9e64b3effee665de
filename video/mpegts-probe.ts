/** What has to be known of a transport stream before it is read: which packets are the picture, and where it begins. */
import { FrameReader } from './mpegts-frames.ts'
import { PacketReader, packetStride, type PacketStride } from './mpegts-packets.ts'
import { ProgramReader, type PictureStream } from './mpegts-programs.ts'
import { VideoError } from './video-error.ts'
import { readBytes, type VideoSource } from './video-source.ts'

/** A transport stream whose picture was found. */
export interface TransportStream {
  readonly stride: PacketStride
  readonly picture: PictureStream
  /** Where the first frame begins that decoding may begin with. */
  readonly firstOffset: number
}

/** So far the tables are looked for: senders repeat them several times a second. */
export const TABLE_SEARCH_BYTES = 16 * 2 ** 20
/** And so far the first frame that can be decoded; where none says so by then, the first frame counts. */
export const KEYFRAME_SEARCH_BYTES = 64 * 2 ** 20
/** Read at once. */
const BLOCK_BYTES = 188 * 48 * 16

/** Rejects with MILLRACE_VIDEO_CORRUPT, MILLRACE_NO_VIDEO_TRACK or MILLRACE_VIDEO_UNSUPPORTED (encrypted). */
export async function probeTransportStream(
  source: VideoSource,
  head: Buffer,
): Promise<TransportStream> {
  const stride = packetStride(head)
  if (stride === undefined) throw damaged(source.place, 'it does not begin with whole packets')
  const picture = await findPicture(source, stride)
  const firstOffset = await findFirst(source, { stride, picture })
  return { stride, picture, firstOffset }
}

async function findPicture(source: VideoSource, stride: PacketStride): Promise<PictureStream> {
  const programs = new ProgramReader()
  const packets = new PacketReader(stride, (packet) => programs.push(packet))
  for await (const block of blocks(source, TABLE_SEARCH_BYTES)) {
    packets.push(block)
    if (programs.picture !== undefined) return programs.picture
  }
  if (programs.programs === 0) throw damaged(source.place, 'no table says what is in it')
  throw new VideoError(
    'MILLRACE_NO_VIDEO_TRACK',
    `${source.place} has no video stream in any of its programs: ingest a file with a picture.`,
    { place: source.place },
  )
}

async function findFirst(
  source: VideoSource,
  { stride, picture }: Omit<TransportStream, 'firstOffset'>,
): Promise<number> {
  let first: number | undefined
  let decodable: number | undefined
  const frames = new FrameReader(picture, ({ offset, keyframe }) => {
    first ??= offset
    if (keyframe) decodable ??= offset
  })
  const packets = new PacketReader(stride, (packet) => frames.push(packet))
  for await (const block of blocks(source, KEYFRAME_SEARCH_BYTES)) {
    packets.push(block)
    if (frames.scrambled) throw encrypted(source.place)
    if (decodable !== undefined) return decodable
  }
  frames.end()
  const found = decodable ?? first
  if (found !== undefined) return found
  throw new VideoError(
    'MILLRACE_NO_VIDEO_TRACK',
    `${source.place} names a video stream but has no frame of it: ingest a file with a picture.`,
    { place: source.place },
  )
}

async function* blocks(source: VideoSource, limitBytes: number): AsyncGenerator<Buffer> {
  const end = Math.min(limitBytes, source.sizeBytes)
  for (let at = 0; at < end; at += BLOCK_BYTES) {
    yield await readBytes(source, at, Math.min(BLOCK_BYTES, end - at))
  }
}

function damaged(place: string, what: string): VideoError {
  return new VideoError(
    'MILLRACE_VIDEO_CORRUPT',
    `${place} is a damaged transport stream: ${what}. Make it new, for example with: ffmpeg -i in.ts -c copy out.ts`,
    { place },
  )
}

function encrypted(place: string): VideoError {
  return new VideoError(
    'MILLRACE_VIDEO_UNSUPPORTED',
    `${place} cannot be read: its picture is encrypted. Record or convert it without encryption first.`,
    { place },
  )
}
