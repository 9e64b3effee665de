/**
 * Being asked to stop. The first signal lets the command end cleanly, within a deadline; the second
 * one, or the deadline, ends the process at once, which loses nothing that was committed.
 */
import type { Clock } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'

/** The signals that stop a command, with the exit code a shell expects after each. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** A signal that stops a command. */
export type StopSignal = keyof typeof SIGNALS

/** Below the 30 seconds that Kubernetes and Docker leave between SIGTERM and SIGKILL. */
export const STOP_DEADLINE_MS = 25_000

/** What listens for signals. */
export interface Interruption extends Disposable {
  /** Aborts at the first signal, or when `stop` is called. */
  readonly signal: AbortSignal
  /** The exit code of the signal that came; undefined while none did. */
  exitCode(): number | undefined
  /** Stops the command as a signal would, with this exit code: what reads our output went away. */
  stop(exitCode: number): void
}

/** How signals are heard. */
export interface InterruptionOptions {
  readonly clock: Clock
  /** Tells people that the command is stopping. */
  readonly onFirst: () => void
  /** Ends the process at once. */
  readonly endNow: (exitCode: number, why: string) => void
}

/** Listens for the signals that stop a command, until it is disposed. */
export function listenForSignals({ clock, onFirst, endNow }: InterruptionOptions): Interruption {
  const controller = new AbortController()
  let exitCode: number | undefined
  let deadline: { cancel(): void } | undefined
  const stop = (code: number): void => {
    exitCode = code
    deadline = clock.timer(STOP_DEADLINE_MS, () => {
      endNow(code, `did not stop within ${STOP_DEADLINE_MS / 1000} seconds`)
    })
    controller.abort(new MillraceError('MILLRACE_INTERRUPTED', 'stopped before the end'))
  }
  const onSignal = (signal: StopSignal): void => {
    if (exitCode !== undefined) {
      endNow(SIGNALS[signal], 'was asked to stop at once')
      return
    }
    onFirst()
    stop(SIGNALS[signal])
  }
  const names: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const name of names) process.on(name, onSignal)
  return {
    signal: controller.signal,
    exitCode: () => exitCode,
    stop: (code) => {
      if (exitCode === undefined) stop(code)
    },
    [Symbol.dispose]: () => {
      deadline?.cancel()
      for (const name of names) process.off(name, onSignal)
    },
  }
}
