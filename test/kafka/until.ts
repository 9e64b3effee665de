/** Waiting for something to be so, within a deadline. */
import { sleep, type Clock } from '../../model/clock.ts'

/** How long anything is waited for: on a busy machine a process takes seconds to start. */
const PATIENCE_MS = 90_000
const LOOK_AGAIN_MS = 20

/** Looks again and again; rejects, and says what it waited for, when that takes too long. */
export async function until(
  clock: Clock,
  what: () => string,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const end = clock.monotonic() + PATIENCE_MS
  while (!(await isSo())) {
    if (clock.monotonic() > end) throw new Error(`waited ${PATIENCE_MS} ms until ${what()}`)
    await sleep(clock, LOOK_AGAIN_MS)
  }
}
