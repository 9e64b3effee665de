/** A machine's clock that can be set forward: timers that are due by then fire at once. */
import type { Clock, Timer } from '../../model/clock.ts'

interface Pending {
  readonly dueMs: number
  readonly run: () => void
  timer: Timer
}

/** A clock whose `advance` moves both of its times. */
export interface ShiftedClock extends Clock {
  /** Moves the time forward by so many milliseconds. */
  advance(byMs: number): void
}

/** Goes with `clock`, and ahead of it by all that it was set forward. */
export function shiftedClock(clock: Clock): ShiftedClock {
  let shiftMs = 0
  const pending = new Set<Pending>()
  const monotonic = (): number => clock.monotonic() + shiftMs
  const arm = (one: Pending): Timer =>
    clock.timer(Math.max(0, one.dueMs - monotonic()), () => {
      pending.delete(one)
      one.run()
    })
  return {
    now: () => clock.now() + shiftMs,
    monotonic,
    timer: (delayMs, run) => {
      const one: Pending = { dueMs: monotonic() + delayMs, run, timer: { cancel: () => {} } }
      pending.add(one)
      one.timer = arm(one)
      return {
        cancel: () => {
          pending.delete(one)
          one.timer.cancel()
        },
      }
    },
    yield: () => clock.yield(),
    random: () => clock.random(),
    uuid: () => clock.uuid(),
    advance: (byMs) => {
      shiftMs += byMs
      for (const one of pending) {
        one.timer.cancel()
        one.timer = arm(one)
      }
    },
  }
}
