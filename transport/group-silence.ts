/**
 * Says how long a member has given its group no sign of life, before that costs it its place: because
 * the process stood still (a long piece of work without a pause, a machine that was put to sleep), or
 * because nobody answers. Only a running process can say so here; a standstill that goes on is told
 * by who watches it from outside of the event loop (`standstillOf`).
 */
import type { Clock } from '../model/clock.ts'

/** The part of a session in silence that is worth a word. */
export const SILENCE_PART = 1 / 3

/** What is to be said of a process that stands still, while it does, and after how long. */
export function standstillOf(
  groupId: string,
  sessionTimeoutMs: number,
): { readonly message: string; readonly afterMs: number } {
  const afterMs = Math.ceil(sessionTimeoutMs * SILENCE_PART)
  return {
    afterMs,
    message: `This process stands still: for ${afterMs} ms its event loop has not come to itself, and group ${groupId} hears nothing of it meanwhile; after ${sessionTimeoutMs} ms (sessionTimeoutMs) its partitions go to others. Look for work that runs long without a pause, such as a long loop or a call that blocks, and give it pauses or the group a longer session.`,
  }
}

/** What is watched, and who is told. */
export interface GroupSilenceOptions {
  readonly clock: Clock
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly onNotice: (message: string) => void
}

/** The silence of one member. */
export class GroupSilence {
  readonly #options: GroupSilenceOptions
  #dueAtMs = 0
  /** Of the last sign that was answered, or was not needed. */
  #heardAtMs = 0
  #isTold = false

  constructor(options: GroupSilenceOptions) {
    this.#options = options
  }

  /** The next sign of life comes then; the time until it is no silence. */
  due(delayMs: number): void {
    this.#dueAtMs = this.#options.clock.monotonic() + delayMs
  }

  /** That moment has come, or was missed. */
  woke(): void {
    const { clock, groupId, sessionTimeoutMs, onNotice } = this.#options
    const stillMs = clock.monotonic() - this.#dueAtMs
    if (stillMs < sessionTimeoutMs * SILENCE_PART) return
    onNotice(
      `This process stood still for ${stillMs.toFixed(0)} ms, in which group ${groupId} heard nothing of it; after ${sessionTimeoutMs} ms (sessionTimeoutMs) its partitions go to others. Look for work that runs long without a pause, or a machine that slept.`,
    )
  }

  /** A sign was answered, or none was needed. */
  heard(): void {
    this.#heardAtMs = this.#options.clock.monotonic()
    this.#isTold = false
  }

  /** A sign was not answered. */
  unheard(): void {
    const { clock, groupId, sessionTimeoutMs, onNotice } = this.#options
    const silentMs = clock.monotonic() - this.#heardAtMs
    if (this.#isTold || silentMs < sessionTimeoutMs * SILENCE_PART) return
    this.#isTold = true
    onNotice(
      `Group ${groupId} has answered no sign of life for ${silentMs.toFixed(0)} ms; after ${sessionTimeoutMs} ms (sessionTimeoutMs) without one the partitions of this process go to others. Look at the way to the log, and at how busy it is.`,
    )
  }
}
