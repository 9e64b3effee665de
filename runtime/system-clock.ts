/** The only door to the machine's time and randomness. Everything else takes a Clock. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../model/clock.ts'

/** The machine's clock, event loop and random numbers. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    timer: (delayMs, run) => {
      const handle = setTimeout(run, delayMs)
      return { cancel: () => clearTimeout(handle) }
    },
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    random: () => Math.random(),
    uuid: () => randomUUID(),
  }
}
