/** The only door to the machine's time and randomness, with the thread of loop-watch.ts. Everything else takes a Clock. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../model/clock.ts'
import { watchLoop } from './loop-watch.ts'

/** How a system clock speaks. */
export interface SystemClockOptions {
  /**
   * The line, without its end, in which a message goes to standard error when the event loop stands
   * still for a good part of a group's session. Default: the message behind `millrace: `. `off`
   * watches nothing, which saves the thread that watches.
   */
  readonly stillLine?: ((message: string) => string) | 'off'
}

/** The machine's clock, event loop and random numbers. */
export function systemClock({
  stillLine = (message) => `millrace: ${message}`,
}: SystemClockOptions = {}): Clock {
  const clock: Clock = {
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
  if (stillLine === 'off') return clock
  return {
    ...clock,
    watchLoop: ({ message, ...watched }) =>
      watchLoop(watched, { line: `${stillLine(message)}\n`, clock }),
  }
}
