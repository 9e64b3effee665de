/**
 * The segments of a partition in the order of their base offsets. The last one is written to, all
 * others are complete. Compaction and retention replace complete ones while readers are under way:
 * a replaced segment is marked, so that a reader which meets its file missing, or has its bytes
 * already, looks again for where the offset is now.
 */
import type { Segment } from './segment.ts'

/** A complete segment, and where the next one begins. */
export interface CompleteSegment {
  readonly segment: Segment
  readonly nextBase: number
}

/** Where an offset is to be looked for. */
export interface FoundSegment {
  readonly segment: Segment
  /** Undefined for the last one. */
  readonly nextBase: number | undefined
}

/** The segments of one partition: always one at least. */
export class SegmentList {
  readonly #segments: Segment[]

  constructor(segments: readonly Segment[]) {
    if (segments.length === 0) throw new TypeError('a partition has a segment to write to')
    this.#segments = [...segments]
  }

  /** The one that is written to. */
  get last(): Segment {
    return this.#segments.at(-1) as Segment
  }

  /** The lowest offset that any segment could hold. */
  get firstBase(): number {
    return this.#segments[0]?.base ?? 0
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Completes the last segment: writing goes on in this one. */
  push(segment: Segment): void {
    this.#segments.push(segment)
  }

  /** The segment that holds `offset` if any does; undefined below the first. */
  find(offset: number): FoundSegment | undefined {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#segments[middle]?.base ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    const segment = this.#segments[low - 1]
    return segment && { segment, nextBase: this.#segments[low]?.base }
  }

  /** The complete segments whose records all lie before `offset`, oldest first. */
  completeBefore(offset: number): readonly CompleteSegment[] {
    const found: CompleteSegment[] = []
    for (const [index, segment] of this.#segments.entries()) {
      const nextBase = this.#segments[index + 1]?.base
      if (nextBase === undefined || nextBase > offset) break
      found.push({ segment, nextBase })
    }
    return found
  }

  /** Puts one segment, or none, where these neighbours were. */
  replace(segments: readonly Segment[], by: Segment | undefined): void {
    const at = this.#segments.indexOf(segments[0] as Segment)
    if (at < 0) throw new TypeError('a segment to replace that is not in use')
    this.#segments.splice(at, segments.length, ...(by === undefined ? [] : [by]))
    for (const segment of segments) segment.isRetired = true
  }
}
