/**
 * When the slices of a transport stream are shown. It has no list of its frames: their times stand
 * between the pictures, so that the stream must be read to know them. This reads it once, ahead of
 * the slices, as far as the answer needs: to the frame that ends the slice's last one. That is some
 * frames, at most LOOK_AHEAD_BYTES; nothing of the stream is kept but the frames of one slice.
 *
 * Shown are the frames from the first on that decoding may begin with. Those that come before it,
 * or are shown before it, need frames that are not there.
 */
import { FrameOrder } from './frame-order.ts'
import { MPEGTS_TIMESCALE } from './mpegts-clock.ts'
import { FrameReader, type TransportFrame } from './mpegts-frames.ts'
import { PacketReader } from './mpegts-packets.ts'
import type { TransportStream } from './mpegts-probe.ts'
import { SampleColumns } from './sample-columns.ts'
import type { SliceTimes } from './slice-times.ts'
import { microseconds } from './ticks.ts'
import { TimeMap, type TimeRange } from './time-map.ts'
import type { VideoSource } from './video-source.ts'

/** Beyond a slice, so far is read for the end of its last frame; where the picture stops for longer, the frame ends as the one before did. */
export const LOOK_AHEAD_BYTES = 32 * 2 ** 20
/** Read at once. A multiple of both lengths of packets. */
const BLOCK_BYTES = 188 * 48 * 64

/** The walk through one transport stream. */
export class TransportTimes implements SliceTimes {
  readonly #frames: FrameWalk
  readonly #order: FrameOrder<TransportFrame>
  /** Frames whose times are known, of slices that were not asked about yet. */
  #known: PlacedTimes[] = []
  #originTicks: number | undefined
  #count = 0
  #endUs = 0
  #lastStartUs: number | undefined
  #shortestUs = Number.POSITIVE_INFINITY
  #longestUs = 0

  constructor(source: VideoSource, stream: TransportStream) {
    this.#order = new FrameOrder((frame, end) => this.#place(frame, end))
    this.#frames = new FrameWalk(source, stream, (frame) => {
      this.#originTicks ??= frame.presented
      this.#order.add(frame)
    })
  }

  get frames(): number {
    return this.#count
  }

  get durationUs(): number {
    return this.#endUs
  }

  get constantFrameRate(): boolean {
    return this.#count < 2 || this.#longestUs - this.#shortestUs <= 2
  }

  async rangeOf(startByte: number, endByte: number): Promise<TimeRange | null> {
    const frames = this.#frames
    const waits = (): boolean =>
      frames.firstOpenOffset < endByte || this.#order.firstOffset < endByte
    while (waits() && frames.position < endByte + LOOK_AHEAD_BYTES && !frames.ended) {
      await frames.readOn()
    }
    if (waits()) {
      frames.endOpenFrame()
      this.#order.finish()
    }
    let startUs = Number.POSITIVE_INFINITY
    let endUs = Number.NEGATIVE_INFINITY
    const later: PlacedTimes[] = []
    for (const frame of this.#known) {
      if (frame.offset >= endByte) later.push(frame)
      else if (frame.offset >= startByte) {
        startUs = Math.min(startUs, frame.startUs)
        endUs = Math.max(endUs, frame.endUs)
      }
    }
    this.#known = later
    return startUs <= endUs ? { startUs, endUs } : null
  }

  #place({ offset, presented }: TransportFrame, end: number): void {
    const origin = this.#originTicks ?? presented
    const startUs = microseconds(presented - origin, MPEGTS_TIMESCALE)
    const endUs = microseconds(end - origin, MPEGTS_TIMESCALE)
    this.#known.push({ offset, startUs, endUs })
    this.#count += 1
    this.#endUs = Math.max(this.#endUs, endUs)
    if (this.#lastStartUs !== undefined) {
      const shownUs = startUs - this.#lastStartUs
      this.#shortestUs = Math.min(this.#shortestUs, shownUs)
      this.#longestUs = Math.max(this.#longestUs, shownUs)
    }
    this.#lastStartUs = startUs
  }
}

interface PlacedTimes extends TimeRange {
  readonly offset: number
}

/** Reads a whole transport stream for a map of all its frames, which also answers where in the bytes a time is. */
export async function readTransportMap(
  source: VideoSource,
  stream: TransportStream,
): Promise<TimeMap> {
  const columns = new SampleColumns()
  const walk = new FrameWalk(source, stream, (frame) => {
    const { offset, sizeBytes, presented: time, step: duration, keyframe } = frame
    columns.add({ offset, sizeBytes, time, duration, keyframe })
  })
  while (!walk.ended) await walk.readOn()
  const { codec } = stream.picture
  const track = { codec, width: 0, height: 0, timescale: MPEGTS_TIMESCALE, edits: [] }
  return new TimeMap({ ...track, ...columns.finish() })
}

/** Reads a stream block by block and gives the frames that are shown, in the order of decoding. */
class FrameWalk {
  ended = false
  readonly #source: VideoSource
  readonly #packets: PacketReader
  readonly #reader: FrameReader
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  #firstTicks: number | undefined

  constructor(
    source: VideoSource,
    { stride, picture, firstOffset }: TransportStream,
    onFrame: (frame: TransportFrame) => void,
  ) {
    this.#source = source
    this.#reader = new FrameReader(picture, (frame) => {
      if (frame.offset < firstOffset) return
      this.#firstTicks ??= frame.presented
      if (frame.presented >= this.#firstTicks) onFrame(frame)
    })
    this.#packets = new PacketReader(stride, (packet) => this.#reader.push(packet))
  }

  /** How far the stream was read. */
  get position(): number {
    return this.#packets.position
  }

  /** Where the next frame begins that was not given yet, or where it may begin at the earliest. */
  get firstOpenOffset(): number {
    if (this.ended) return Number.POSITIVE_INFINITY
    return this.#reader.openOffset ?? this.#packets.nextOffset
  }

  /** Gives the frame that has begun without waiting for the next one. */
  endOpenFrame(): void {
    this.#reader.end()
  }

  /** Reads the next block. */
  async readOn(): Promise<void> {
    const { position } = this
    const length = Math.min(BLOCK_BYTES, this.#source.sizeBytes - position)
    const block = this.#block.subarray(0, length)
    await this.#source.read(position, block)
    this.#packets.push(block)
    if (position + length < this.#source.sizeBytes) return
    this.#reader.end()
    this.ended = true
  }
}
