/**
 * One open session from its first push to its end: replays the lane's answered rows, pushes the
 * waiting ones and those that come, and releases answers in the order of their inputs.
 */
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { EnrichLimits } from './enrich-limits.ts'
import type { DriverTask, Lane, LaneEntry } from './enrich-lanes.ts'
import type { EnrichSession, SessionEnricher } from './enricher.ts'
import { withDeadline, type RetryLimits } from './retry.ts'

/** ended: the last record was answered. idle: no record is there after those pushed, and others wait for a session. */
export type SessionEnd =
  { readonly kind: 'ended' } | { readonly kind: 'idle'; readonly pushed: number }

/** How often an idle session looks whether another lane waits for its place. */
const IDLE_CHECK_MS = 250

/** What a run of a session needs. */
export interface SessionRunParts<K, V, R> {
  readonly enricher: SessionEnricher<K, V, R>
  readonly session: EnrichSession<K, V, R>
  readonly lane: Lane
  readonly limits: EnrichLimits
  readonly retry: RetryLimits
  readonly release: 'input-order' | 'completion'
  readonly clock: Clock
  readonly task: DriverTask<K, V, R>
  readonly caughtUp: () => boolean
  /** An answer that was not known came: the service makes progress. */
  readonly onAnswer: () => void
}

/** A session while it is open. */
export class SessionRun<K, V, R> {
  readonly #parts: SessionRunParts<K, V, R>
  /** Pushed and not settled, in order. */
  readonly #waiting: LaneEntry[] = []
  /** Results whose turn has not come. */
  readonly #early = new Map<LaneEntry, { readonly result: R; readonly isLast: boolean }>()
  readonly #failing = Promise.withResolvers<never>()
  readonly #over = new AbortController()

  constructor(parts: SessionRunParts<K, V, R>) {
    this.#parts = parts
    // The races below take the rejection; one that comes after the end has nobody to tell.
    this.#failing.promise.catch(() => {})
  }

  /** Pushes until the last record or until the session gives its place away. Rejects with the first failure. */
  async run(): Promise<SessionEnd> {
    const { session, task } = this.#parts
    const onAbort = (): void => this.#fail(task.signal.reason)
    task.signal.addEventListener('abort', onAbort, { once: true })
    try {
      const end = await this.#pushAll()
      if (end.kind === 'idle') session.abort(new Error('idle'))
      return end
    } catch (error) {
      session.abort(asError(error))
      throw error
    } finally {
      this.#over.abort(new Error('the session is over'))
      task.signal.removeEventListener('abort', onAbort)
    }
  }

  #fail(thrown: unknown): void {
    const error = asError(thrown)
    this.#failing.reject(error)
    this.#over.abort(error)
  }

  async #pushAll(): Promise<SessionEnd> {
    const { lane } = this.#parts
    for (let index = 0; ; index += 1) {
      const entry = lane.entries[index] ?? (await this.#nextEntry(index))
      if (entry === undefined) return { kind: 'idle', pushed: index }
      const isLast = await this.#push(entry)
      if (isLast) {
        await this.#end()
        return { kind: 'ended' }
      }
    }
  }

  /** Waits for a row of the lane. Undefined: none is there and another lane needs the place. */
  async #nextEntry(index: number): Promise<LaneEntry | undefined> {
    const { lane, clock, limits, caughtUp } = this.#parts
    for (;;) {
      const entry = lane.entries[index]
      if (entry !== undefined) return entry
      if (limits.sessions.isContended && caughtUp()) return undefined
      const woken = Promise.withResolvers<void>()
      lane.onEntry = woken.resolve
      const timer = clock.timer(IDLE_CHECK_MS, woken.resolve)
      try {
        await Promise.race([woken.promise, this.#failing.promise])
      } finally {
        timer.cancel()
        lane.onEntry = undefined
      }
    }
  }

  async #push(entry: LaneEntry): Promise<boolean> {
    const { session, limits, task, enricher } = this.#parts
    const bytes = task.sizeOf(entry)
    await limits.bytes.take(bytes, this.#over.signal)
    let isTaken = false
    try {
      const { record } = await task.load(entry, this.#over.signal)
      this.#over.signal.throwIfAborted()
      const isLast = enricher.isLast(record)
      if (!entry.answered) this.#waiting.push(entry)
      const { taken, result } = session.push(record)
      isTaken = true
      this.#watchTaken(taken, bytes)
      result.then(
        (answer) => this.#answered(entry, { result: answer, isLast }),
        (error: unknown) => this.#fail(error),
      )
      return isLast
    } finally {
      if (!isTaken) limits.bytes.free(bytes)
    }
  }

  /** The bytes count until the transport has taken them, which it must within the deadline. */
  #watchTaken(taken: Promise<void>, bytes: number): void {
    const { limits, retry, clock, lane } = this.#parts
    const limit = {
      deadlineMs: retry.attemptDeadlineMs,
      what: `the session of ${lane.key}, which was given a record,`,
      clock,
    }
    withDeadline(async () => await taken, limit, this.#over.signal)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => limits.bytes.free(bytes))
  }

  async #end(): Promise<void> {
    const { session, retry, clock, lane } = this.#parts
    const limit = {
      deadlineMs: retry.attemptDeadlineMs,
      what: `the session of ${lane.key}, which has its last record,`,
      clock,
    }
    await withDeadline(async () => await session.end(), limit, this.#over.signal)
    if (this.#waiting.length > 0) {
      throw new Error(`the session of ${lane.key} ended without answering every record`)
    }
  }

  #answered(entry: LaneEntry, answer: { readonly result: R; readonly isLast: boolean }): void {
    // What a given-up session still says must not be taken for its successor's answer, and what
    // was answered before the replay is not answered again.
    if (this.#over.signal.aborted || entry.answered) return
    const { release, onAnswer } = this.#parts
    onAnswer()
    this.#early.set(entry, answer)
    if (release === 'completion') this.#settle(entry)
    else while (this.#waiting[0] !== undefined && this.#settle(this.#waiting[0]));
  }

  #settle(entry: LaneEntry): boolean {
    const answer = this.#early.get(entry)
    if (answer === undefined) return false
    const { task, lane } = this.#parts
    this.#early.delete(entry)
    this.#waiting.splice(this.#waiting.indexOf(entry), 1)
    entry.answered = true
    task.settle(lane, entry, { kind: 'result', ...answer })
    return true
  }
}
