/**
 * The times of a transport stream, 33 bits of 90,000 a second, as one line without end. They come
 * round every 26.5 hours, and they jump where recordings were joined or a sender began anew.
 *
 * What counts as a jump is ffmpeg's rule, for annotators tell their times by ffmpeg: more than ten
 * seconds away from where the next frame should be, or back by more than a tenth of a second. After a
 * jump time goes on as if nothing had been. A smaller step forward is a pause in the picture.
 */

/** Ticks a second. */
export const MPEGTS_TIMESCALE = 90_000

/** What a frame says of its time: 33 bits each. */
export interface StampedTimes {
  readonly presented: number
  readonly decoded: number
}

/** The same on one line. */
export interface LineTimes extends StampedTimes {
  /** From the frame before to this one in decode order. */
  readonly step: number
}

/** The line of one stream's times. Frames come in decode order. */
export class MpegtsClock {
  #last: { readonly stamped: number; readonly decoded: number } | undefined
  #step = FIRST_STEP

  next({ presented, decoded }: StampedTimes): LineTimes {
    const shown = difference(presented, decoded)
    const at = this.#last === undefined ? decoded : this.#place(this.#last, decoded)
    this.#last = { stamped: decoded, decoded: at }
    return { presented: at + shown, decoded: at, step: this.#step }
  }

  #place(last: { readonly stamped: number; readonly decoded: number }, stamped: number): number {
    const moved = difference(stamped, last.stamped)
    const expected = last.decoded + this.#step
    const at = last.decoded + moved
    if (Math.abs(at - expected) > JUMP || moved < -JUMP_BACK) return expected
    if (moved > 0) this.#step = moved
    return at
  }
}

const WRAP = 2 ** 33
const JUMP = 10 * MPEGTS_TIMESCALE
const JUMP_BACK = MPEGTS_TIMESCALE / 10
/** A video of one frame: 1/25 of a second. */
const FIRST_STEP = MPEGTS_TIMESCALE / 25

/** `a - b` on the circle of 33 bits, the shorter way. */
function difference(a: number, b: number): number {
  const d = (((a - b) % WRAP) + WRAP) % WRAP
  return d < WRAP / 2 ? d : d - WRAP
}
