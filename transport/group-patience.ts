/** How a group's member waits for answers: for a join as long as it takes, for a goodbye not long. */
import { sleep, type Clock } from '../model/clock.ts'
import { untilAborted } from '../model/until-aborted.ts'
import { TransportError } from './errors.ts'
import type { GroupCoordinatorPort, MemberOfGroup } from './group-requests.ts'

/** Delay before a request is tried again; it doubles with each further one. */
export const GROUP_RETRY_MIN_MS = 20
/** Largest delay between two tries. There is no end to them: a member outlives the absence of its log. */
export const GROUP_RETRY_MAX_MS = 1_000
/** How often a member that leaves says goodbye; where none arrives, its session ends. */
export const GOODBYES_MAX = 3
/** How long it takes for that altogether: a log that is away must not hold up who leaves. */
export const GOODBYES_MS = 3_000

/** Asks until there is an answer; undefined as soon as the signal aborts. Throws what is not retriable. */
export async function untilAnswered<T>(
  clock: Clock,
  call: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  for (let tries = 1; !isAborted(signal); tries += 1) {
    try {
      return await untilAborted(call(signal), signal)
    } catch (error) {
      if (!isAborted(signal) && !isRetriable(error)) throw error
    }
    await rest(clock, retryDelayMs(tries), signal)
  }
  return undefined
}

/** Tells the group that a member leaves. A log that is gone needs no goodbye. */
export async function sayGoodbye(
  { coordinator, clock }: { readonly coordinator: GroupCoordinatorPort; readonly clock: Clock },
  member: MemberOfGroup,
): Promise<void> {
  const over = new AbortController()
  const timer = clock.timer(GOODBYES_MS, () => over.abort(new Error('the goodbye took too long')))
  try {
    for (let tries = 1; tries <= GOODBYES_MAX; tries += 1) {
      try {
        await untilAborted(coordinator.leave(member, over.signal), over.signal)
        return
      } catch (error) {
        if (!isRetriable(error)) return
      }
      if (tries < GOODBYES_MAX) await rest(clock, retryDelayMs(tries), over.signal)
    }
  } finally {
    timer.cancel()
  }
}

/** Resolves `delayMs` later, or as soon as the signal aborts. */
async function rest(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(clock, delayMs, signal)
  } catch (error) {
    if (!isAborted(signal)) throw error
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}

function isRetriable(error: unknown): boolean {
  return error instanceof TransportError && error.kind === 'retriable'
}

function retryDelayMs(tries: number): number {
  return Math.min(GROUP_RETRY_MAX_MS, GROUP_RETRY_MIN_MS * 2 ** (tries - 1))
}
