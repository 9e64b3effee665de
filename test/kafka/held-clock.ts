/** A machine's clock whose timers can be held: whoever goes by it stands still, but for what its sockets bring. */
import type { Clock } from '../../model/clock.ts'

/** A clock that holds timers which are due until they are let go. */
export interface HeldClock extends Clock {
  /** From now on no timer fires. */
  hold(): void
  /** What was due meanwhile fires now, in order. */
  letGo(): void
}

/** Goes with `clock`. */
export function heldClock(clock: Clock): HeldClock {
  let isHeld = false
  let due = new Set<() => void>()
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    timer: (delayMs, run) => {
      const timer = clock.timer(delayMs, () => {
        if (isHeld) due.add(run)
        else run()
      })
      return {
        cancel: () => {
          timer.cancel()
          due.delete(run)
        },
      }
    },
    yield: () => clock.yield(),
    random: () => clock.random(),
    uuid: () => clock.uuid(),
    hold: () => {
      isHeld = true
    },
    letGo: () => {
      isHeld = false
      const now = due
      due = new Set()
      for (const run of now) run()
    },
  }
}
