/**
 * What tells when the slices of a stream are shown. Some containers say at their beginning where
 * every frame is; of others it is known only as the stream is read. Both answer the same question.
 */
import type { TimeRange } from './time-map.ts'

/** What is known of a video as a whole once every slice was asked about. */
export interface VideoSummary {
  /** How many frames are shown. */
  readonly frames: number
  /** When the last frame ends. */
  readonly durationUs: number
  /** Whether every frame but the last is on the screen equally long, within a microsecond of rounding. */
  readonly constantFrameRate: boolean
}

/** One walk through a stream. Slices are asked about in order, from the first byte to the last, without a gap. */
export interface SliceTimes extends VideoSummary {
  /** The time of the frames whose first byte is in `[startByte, endByte)`, or null where no shown frame begins there. */
  rangeOf(startByte: number, endByte: number): TimeRange | null | Promise<TimeRange | null>
}
