/**
 * Windows of one length, aligned to 1970: [start, start + size), a new one every `advanceMs`. Where
 * that is the size they lie side by side (tumbling), where it is less they overlap (hopping).
 */
import { asDuration } from '../state/time-slots.ts'

/** How a stream is cut into windows. */
export interface TimeWindows {
  readonly sizeMs: number
  /** From one window's start to the next one's; at most `sizeMs`. */
  readonly advanceMs: number
  /** How long a window takes records after its end, by the times of records: the first that is behind its end by this much closes it. */
  readonly graceMs: number
}

/** What may be said about windows beside their length. */
export interface WindowOptions {
  /** Milliseconds that a record may be late. Default 0: nothing that comes behind a window's end is taken into it. */
  readonly graceMs?: number
}

/** Windows that lie side by side. A RangeError names a duration that is none. */
export function tumbling(sizeMs: number, options: WindowOptions = {}): TimeWindows {
  return hopping(sizeMs, sizeMs, options)
}

/** Windows that overlap: each record is in size / advance of them. A RangeError names a duration that is none, or an advance that would leave gaps. */
export function hopping(
  sizeMs: number,
  advanceMs: number,
  { graceMs = 0 }: WindowOptions = {},
): TimeWindows {
  asDuration(sizeMs, 'the size of a window')
  asDuration(advanceMs, 'the advance of windows')
  asDuration(graceMs, 'the grace of windows', 0)
  if (advanceMs > sizeMs) {
    throw new RangeError(
      `windows of ${sizeMs} ms that advance by ${advanceMs} ms would leave gaps between them`,
    )
  }
  return Object.freeze({ sizeMs, advanceMs, graceMs })
}

/** The start of the first window that a record at `timestamp` is in; the others follow, an advance apart, up to the timestamp. */
export function firstStart({ sizeMs, advanceMs }: TimeWindows, timestamp: number): number {
  const earliest = Math.max(0, timestamp - sizeMs + advanceMs)
  return earliest - (earliest % advanceMs)
}
