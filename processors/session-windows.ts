/** Sessions: windows that last as long as no two records of a key are further apart than a gap. */
import { asDuration } from '../state/time-slots.ts'
import type { WindowOptions } from './time-windows.ts'

/** How a stream is cut into sessions. */
export interface SessionWindows {
  /** Records of a key that are this far apart, or less, are in one session. */
  readonly gapMs: number
  /** How long a session takes records after its end and the gap behind it, by the times of records. */
  readonly graceMs: number
}

/** Windows that last until a key is silent for longer than `gapMs`. A RangeError names a duration that is none. */
export function sessions(gapMs: number, { graceMs = 0 }: WindowOptions = {}): SessionWindows {
  asDuration(gapMs, 'the gap of sessions')
  asDuration(graceMs, 'the grace of sessions', 0)
  return Object.freeze({ gapMs, graceMs })
}
