/**
 * The frames of a transport stream's picture: where each begins and when it is shown. A frame is what
 * one PES packet holds (ISO/IEC 13818-1, section 2.4.3.6), which is one picture, or one field of it.
 */
import { isDecodable } from './mpegts-keyframes.ts'
import { MpegtsClock, type StampedTimes } from './mpegts-clock.ts'
import type { TransportPacket } from './mpegts-packets.ts'
import type { PictureStream } from './mpegts-programs.ts'

/** A frame in the order of decoding. Times are ticks on the stream's line (mpegts-clock.ts). */
export interface TransportFrame {
  /** Of the packet that it begins in. */
  readonly offset: number
  /** From there to the end of its last packet, packets of other streams between them included. */
  readonly sizeBytes: number
  /** When it is shown. */
  readonly presented: number
  readonly decoded: number
  /** From the frame before in decode order. */
  readonly step: number
  readonly keyframe: boolean
}

/** Reads the frames of one stream. */
export class FrameReader {
  /** Whether its payload was found to be encrypted. */
  scrambled = false
  readonly #picture: PictureStream
  readonly #clock = new MpegtsClock()
  readonly #onFrame: (frame: TransportFrame) => void
  #open: OpenFrame | undefined

  /** `onFrame` is called for each frame when the next one begins. */
  constructor(picture: PictureStream, onFrame: (frame: TransportFrame) => void) {
    this.#picture = picture
    this.#onFrame = onFrame
  }

  /** Where the frame begins that has begun and was not given yet. */
  get openOffset(): number | undefined {
    return this.#open?.offset
  }

  /** Takes the next packet of any PID. */
  push(packet: TransportPacket): void {
    if (packet.pid !== this.#picture.pid || packet.payloadBytes === 0) return
    this.scrambled ||= packet.scrambled
    if (packet.unitStart) {
      this.#close()
      const { offset, end, randomAccess } = packet
      this.#open = { offset, end, randomAccess, head: Buffer.alloc(0) }
    }
    if (this.#open === undefined) return
    this.#open.end = packet.end
    if (this.#open.head.length < HEAD_BYTES) {
      this.#open.head = Buffer.concat([this.#open.head, packet.payload])
    }
  }

  /** No packet of the open frame follows. */
  end(): void {
    this.#close()
  }

  #close(): void {
    const open = this.#open
    this.#open = undefined
    if (open === undefined) return
    const times = stampedTimes(open.head)
    // Without a time, which a stream may leave out for some frames: its bytes have none.
    if (times === undefined) return
    const elementary = open.head.subarray(9 + (open.head[8] ?? 0))
    this.#onFrame({
      offset: open.offset,
      sizeBytes: open.end - open.offset,
      keyframe: open.randomAccess || isDecodable(this.#picture.codec, elementary),
      ...this.#clock.next(times),
    })
  }
}

interface OpenFrame {
  readonly offset: number
  end: number
  readonly randomAccess: boolean
  /** The beginning of the PES packet. */
  head: Buffer
}

/** A PES header of the usual length, and the beginning of the frame, which tells a keyframe. */
const HEAD_BYTES = 128

/** When a PES packet says that its frame is shown and decoded; undefined where it does not, or is none. */
function stampedTimes(head: Buffer): StampedTimes | undefined {
  if (head.length < 14 || head.readUIntBE(0, 3) !== 1) return undefined
  const which = (head[7] ?? 0) >> 6
  if (which < 2) return undefined
  const presented = timeAt(head, 9)
  return { presented, decoded: which === 3 && head.length >= 19 ? timeAt(head, 14) : presented }
}

/** 33 bits that are spread over five bytes between marker bits. */
function timeAt(bytes: Buffer, at: number): number {
  const high = ((bytes[at] ?? 0) >> 1) & 0x07
  const middle = bytes.readUInt16BE(at + 1) >> 1
  const low = bytes.readUInt16BE(at + 3) >> 1
  return high * 2 ** 30 + middle * 2 ** 15 + low
}
