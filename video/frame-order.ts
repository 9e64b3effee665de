/**
 * When frames end that come in the order of decoding: a frame is shown until the next one is, and
 * which that is can be told once decoding has come as far, for no frame is shown before it is decoded.
 */

/** A frame that is shown. Ticks. */
export interface OrderedFrame {
  readonly offset: number
  readonly presented: number
  readonly decoded: number
  /** How long it is shown if no frame follows. */
  readonly step: number
}

/** No codec reorders more frames than 16; a stream that does is damaged. */
export const MAX_REORDERED_FRAMES = 64

/** Frames that wait for the one that ends them. */
export class FrameOrder<T extends OrderedFrame> {
  /** By the time they are shown. */
  readonly #waiting: T[] = []
  readonly #onShown: (frame: T, end: number) => void

  /** `onShown` is called for each frame once, in the order they are shown, with the time it ends. */
  constructor(onShown: (frame: T, end: number) => void) {
    this.#onShown = onShown
  }

  /** The smallest offset of the frames that wait; infinite where none does. */
  get firstOffset(): number {
    return this.#waiting.reduce((least, { offset }) => Math.min(least, offset), Infinity)
  }

  /** Takes the next frame in the order of decoding. */
  add(frame: T): void {
    const waiting = this.#waiting
    let place = waiting.length
    while (place > 0 && (waiting[place - 1]?.presented ?? 0) > frame.presented) place -= 1
    waiting.splice(place, 0, frame)
    for (let next = waiting[1]; next !== undefined; next = waiting[1]) {
      if (next.presented > frame.decoded && waiting.length <= MAX_REORDERED_FRAMES) break
      this.#show(next.presented)
    }
  }

  /** No frame follows, or none is waited for: all that are here end. */
  finish(): void {
    while (this.#waiting.length > 0) this.#show(this.#waiting[1]?.presented)
  }

  #show(end: number | undefined): void {
    const frame = this.#waiting.shift()
    if (frame !== undefined) this.#onShown(frame, end ?? frame.presented + frame.step)
  }
}
