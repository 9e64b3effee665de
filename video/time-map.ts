/**
 * Which part of a video's time lies in which bytes, and the reverse.
 *
 * A frame belongs to the bytes that hold its first byte, so that each frame has one chunk although
 * chunks cut frames in two. A chunk's time is [earliest start, latest end) of its frames: with
 * reordered frames the times of neighbours overlap by a frame or two, and together they leave no
 * gap. Times are microseconds from the first frame that is shown.
 */
import { present } from './presentation.ts'
import type { SampleTable } from './mp4-sample-table.ts'
import type { SliceTimes } from './slice-times.ts'
import { microseconds } from './ticks.ts'

/** A stretch of time: `[startUs, endUs)`, microseconds from the first shown frame. */
export interface TimeRange {
  readonly startUs: number
  readonly endUs: number
}

/** A frame and where it lies. */
export interface PlacedFrame extends TimeRange {
  /** Its first byte. */
  readonly offset: number
  readonly sizeBytes: number
  readonly keyframe: boolean
}

/** The frames of one video, by byte and by time. */
export class TimeMap implements SliceTimes {
  /** How many frames are shown. */
  readonly frames: number
  /** When the last frame ends. */
  readonly durationUs: number
  /** Whether every frame but the last is on the screen equally long, within a microsecond of rounding. */
  readonly constantFrameRate: boolean
  readonly #offsets: Float64Array
  readonly #sizes: Uint32Array
  readonly #starts: Float64Array
  readonly #ends: Float64Array
  readonly #keyframes: Uint8Array
  /** Rows by the time they are shown. */
  readonly #byTime: Uint32Array

  /** Takes a track's sample table whose offsets count in the stream that is asked about. */
  constructor(table: SampleTable) {
    const { starts, ends, shown } = present(table)
    const rows = shownByOffset(table.offsets, starts, shown)
    this.frames = shown
    this.#offsets = Float64Array.from(rows, (i) => table.offsets[i] ?? 0)
    this.#sizes = Uint32Array.from(rows, (i) => table.sizes[i] ?? 0)
    this.#starts = Float64Array.from(rows, (i) => microseconds(starts[i] ?? 0, table.timescale))
    this.#ends = Float64Array.from(rows, (i) => microseconds(ends[i] ?? 0, table.timescale))
    this.#keyframes = Uint8Array.from(rows, (i) => table.sync[i] ?? 0)
    this.#byTime = Uint32Array.from(rows.keys()).sort(
      (a, b) => (this.#starts[a] ?? 0) - (this.#starts[b] ?? 0) || a - b,
    )
    this.durationUs = this.#ends.reduce((latest, end) => Math.max(latest, end), 0)
    this.constantFrameRate = this.#isConstant()
  }

  /** The time of the frames whose first byte is in `[startByte, endByte)`, or null where no shown frame begins there. */
  rangeOf(startByte: number, endByte: number): TimeRange | null {
    let startUs = Number.POSITIVE_INFINITY
    let endUs = Number.NEGATIVE_INFINITY
    for (let row = this.#firstFrom(startByte); row < this.frames; row += 1) {
      if ((this.#offsets[row] ?? 0) >= endByte) break
      startUs = Math.min(startUs, this.#starts[row] ?? 0)
      endUs = Math.max(endUs, this.#ends[row] ?? 0)
    }
    return startUs <= endUs ? { startUs, endUs } : null
  }

  /** The frame that is on the screen at `timeUs`; undefined before the first, after the last, and in a pause of the edit list. */
  frameAt(timeUs: number): PlacedFrame | undefined {
    let low = 0
    let high = this.frames
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#starts[this.#byTime[middle] ?? 0] ?? 0) <= timeUs) low = middle + 1
      else high = middle
    }
    const row = this.#byTime[low - 1]
    return row !== undefined && timeUs < (this.#ends[row] ?? 0) ? this.#frame(row) : undefined
  }

  /** All shown frames in the order of their bytes. */
  *[Symbol.iterator](): Generator<PlacedFrame> {
    for (let row = 0; row < this.frames; row += 1) yield this.#frame(row)
  }

  #frame(row: number): PlacedFrame {
    return {
      offset: this.#offsets[row] ?? 0,
      sizeBytes: this.#sizes[row] ?? 0,
      startUs: this.#starts[row] ?? 0,
      endUs: this.#ends[row] ?? 0,
      keyframe: this.#keyframes[row] === 1,
    }
  }

  #firstFrom(byte: number): number {
    let low = 0
    let high = this.frames
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#offsets[middle] ?? 0) < byte) low = middle + 1
      else high = middle
    }
    return low
  }

  #isConstant(): boolean {
    let shortest = Number.POSITIVE_INFINITY
    let longest = 0
    for (const row of this.#byTime.subarray(0, -1)) {
      const shownUs = (this.#ends[row] ?? 0) - (this.#starts[row] ?? 0)
      shortest = Math.min(shortest, shownUs)
      longest = Math.max(longest, shownUs)
    }
    return this.frames < 2 || longest - shortest <= 2
  }
}

/** The samples that are shown, in the order of their bytes. */
function shownByOffset(offsets: Float64Array, starts: Float64Array, shown: number): Uint32Array {
  const rows = new Uint32Array(shown)
  let row = 0
  for (let i = 0; i < starts.length; i += 1) if (!Number.isNaN(starts[i])) rows[row++] = i
  return rows.sort((a, b) => (offsets[a] ?? 0) - (offsets[b] ?? 0) || a - b)
}
