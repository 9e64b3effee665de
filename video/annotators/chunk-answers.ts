/**
 * Which shots belong to which chunk, and when a chunk's answer is complete. Pure: chunks and
 * progress in, answers out.
 *
 * A chunk is answered with all shots that have a frame in its time, each with its full extent, so a
 * shot that straddles chunks appears in each. A chunk's time `[startUs, endUs)` is that of its
 * frames; a shot's `endUs` is the time of its last frame. So a shot belongs to a chunk if it begins
 * before the chunk's end and its last frame is not before the chunk's start; and the answer is
 * complete when everything before the chunk's end is final. Not earlier: after a shot that ends with
 * the chunk's last frame nothing says that it was the last. So an answer depends on the bytes of the
 * video alone, however the annotator's responses are spread over time: what is listed is final, and
 * nothing that is missing can come later.
 *
 * A chunk without a time (header, audio, or a container without a time map) has no shots of its own
 * and is complete with its next neighbour that has one. The last chunk is complete at the end of the
 * video and also takes the shots that no chunk's time covers, so that no shot is ever lost: where no
 * chunk has a time, it carries all.
 */
import type { Shot } from '../schemas.ts'
import type { AnnotationProgress } from './annotator.ts'

/** What has to be known of a chunk. Times are null where the container gives none. */
export interface ChunkTime {
  readonly startUs: number | null
  readonly endUs: number | null
  /** The last chunk of its video. */
  readonly last: boolean
}

/** The chunks of one video that wait for their answers, in their order. */
export class ChunkAnswers {
  readonly #waiting: ChunkTime[] = []
  readonly #shots: Shot[] = []
  /** Which shots are in the answer of some chunk. */
  readonly #listed: boolean[] = []
  #finalUs = 0
  #ended = false

  /** Adds the next chunk. */
  add(chunk: ChunkTime): void {
    this.#waiting.push(chunk)
  }

  /** Takes what the annotator reports. */
  report({ shots, finalUs }: AnnotationProgress): void {
    this.#shots.push(...shots)
    this.#finalUs = Math.max(this.#finalUs, finalUs)
  }

  /** Says that the annotator has reported all: every chunk is complete. */
  end(): void {
    this.#ended = true
  }

  /** The shots of the first chunk that waits, if its answer is complete. */
  take(): readonly Shot[] | undefined {
    const [chunk] = this.#waiting
    if (chunk === undefined || !this.#isComplete(chunk)) return undefined
    this.#waiting.shift()
    const indices = this.#shotsWithin(chunk)
    for (const index of indices) this.#listed[index] = true
    if (chunk.last) indices.push(...this.#unlisted())
    const sorted = indices.toSorted((a, b) => a - b)
    return sorted.map((index) => this.#shots[index]).filter((shot) => shot !== undefined)
  }

  #isComplete(chunk: ChunkTime): boolean {
    if (this.#ended) return true
    if (chunk.last) return false
    if (this.#finalUs === Number.POSITIVE_INFINITY) return true
    const timed = this.#waiting.find(({ endUs }) => endUs !== null)
    if (timed === undefined || timed.endUs === null || timed.last) return false
    return this.#finalUs >= timed.endUs - ROUNDING_US
  }

  #shotsWithin({ startUs, endUs }: ChunkTime): number[] {
    const indices: number[] = []
    if (startUs === null || endUs === null) return indices
    for (let i = this.#firstEndingFrom(startUs - ROUNDING_US); i < this.#shots.length; i += 1) {
      if ((this.#shots[i]?.startUs ?? 0) >= endUs - ROUNDING_US) break
      indices.push(i)
    }
    return indices
  }

  #unlisted(): number[] {
    return [...this.#shots.keys()].filter((index) => this.#listed[index] !== true)
  }

  /** Shots are in the order of time and do not overlap, so their ends are sorted as well. */
  #firstEndingFrom(timeUs: number): number {
    let low = 0
    let high = this.#shots.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#shots[middle]?.endUs ?? 0) < timeUs) low = middle + 1
      else high = middle
    }
    return low
  }
}

/**
 * The same moment is rounded differently by containers, decoders and services, to a millisecond at
 * the worst; half of that cannot hide a frame, for none is on the screen so shortly.
 */
const ROUNDING_US = 500
