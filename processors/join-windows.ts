/**
 * How far apart in time two records may be to be joined, as seen from the left one:
 *
 *   right.timestamp in [left.timestamp - beforeMs, left.timestamp + afterMs], both ends included
 *
 * Who comes first makes no difference; only the records' own times do.
 */

/** The window of a stream–stream join, in milliseconds. `joinWindows` makes it. */
export interface JoinWindows {
  /** How much older than the left record the right one may be. Negative: how much younger it has to be. */
  readonly beforeMs: number
  /** How much younger than the left record the right one may be. Negative: how much older it has to be. */
  readonly afterMs: number
  /** How long after the end of its window a record may still come late and be joined. */
  readonly graceMs: number
}

/** What differs from a window that is as wide before as after and ends with its last moment. */
export type JoinWindowsOptions = Partial<JoinWindows>

/**
 * Records that are at most `differenceMs` apart; `beforeMs` and `afterMs` make it lopsided. Grace is 0
 * unless given. A RangeError for what is no whole number of milliseconds, for a window that ends
 * before it begins and for a negative grace.
 *
 * ```ts
 * orders.join(payments, pay, { windows: joinWindows(minutes(5), { graceMs: minutes(1) }) })
 * ```
 */
export function joinWindows(differenceMs: number, options: JoinWindowsOptions = {}): JoinWindows {
  const { beforeMs = differenceMs, afterMs = differenceMs, graceMs = 0 } = options
  for (const ms of [differenceMs, beforeMs, afterMs, graceMs]) {
    if (!Number.isSafeInteger(ms)) {
      throw new RangeError(`a time of a join is a whole number of milliseconds, not ${ms}`)
    }
  }
  if (beforeMs + afterMs < 0) {
    throw new RangeError(
      `a join from ${-beforeMs} to ${afterMs} ms after the left record ends before it begins`,
    )
  }
  if (graceMs < 0) throw new RangeError(`the grace of a join is not negative: ${graceMs}`)
  return Object.freeze({ beforeMs, afterMs, graceMs })
}

/** The width of a window: what a look for partners spans. */
export function widthMs({ beforeMs, afterMs }: JoinWindows): number {
  return beforeMs + afterMs
}

/**
 * How long records of both sides are kept: as in Kafka Streams, width and grace, but never less than
 * what a record needs that is as late as the grace allows. (There, a window that is closed on one
 * side loses its far border, and one of a single moment joins nothing.)
 */
export function retentionMs(windows: JoinWindows): number {
  const { beforeMs, afterMs, graceMs } = windows
  return graceMs + Math.max(widthMs(windows), Math.max(beforeMs, afterMs) + 1)
}
