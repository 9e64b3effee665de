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

/** How long a session that has no record to push, but answers to give, keeps its place although others wait for it. */
const ANSWERING_MS = 5_000

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
  /** Aborts with the first failure, or at the end. */
  readonly #over = new AbortController()
  /** Ends the wait for the next row. */
  #wake: () => void = () => {}
  /** When the session last took a record or gave an answer, on the monotonic clock. */
  #progressMs: number

  constructor(parts: SessionRunParts<K, V, R>) {
    this.#parts = parts
    this.#progressMs = parts.clock.monotonic()
  }

  /** Pushes until the last record or until the session gives its place away. Rejects with the first failure. */
  async run(): Promise<SessionEnd> {
    const { session, task } = this.#parts
    const onAbort = (): void => this.#fail(task.signal.reason)
    task.signal.addEventListener('abort', onAbort, { once: true })
    try {
      task.signal.throwIfAborted()
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
    this.#over.abort(asError(thrown))
    this.#wake()
  }

  #progressed(): void {
    this.#progressMs = this.#parts.clock.monotonic()
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
    const { lane, clock } = this.#parts
    for (;;) {
      this.#over.signal.throwIfAborted()
      const entry = lane.entries[index]
      if (entry !== undefined) return entry
      if (this.#givesWay()) return undefined
      // A promise of its own for each wait: one that lives as long as the session would keep every race.
      const woken = Promise.withResolvers<void>()
      this.#wake = woken.resolve
      lane.onEntry = woken.resolve
      const timer = clock.timer(IDLE_CHECK_MS, woken.resolve)
      await woken.promise
      timer.cancel()
      lane.onEntry = undefined
    }
  }

  /**
   * Whether an idle session leaves its place to another lane. Not while the partition has records to
   * read, and not while answers come: they would be lost, and come again only with the next row.
   */
  #givesWay(): boolean {
    const { clock, limits, caughtUp } = this.#parts
    if (!limits.sessions.isContended || !caughtUp()) return false
    return this.#waiting.length === 0 || clock.monotonic() - this.#progressMs >= ANSWERING_MS
  }

  async #push(entry: LaneEntry): Promise<boolean> {
    const { session, limits, task, enricher } = this.#parts
    const bytes = await task.sizeOf(entry)
    await limits.bytes.take(bytes, this.#over.signal)
    let isTaken = false
    try {
      const { record } = await task.load(entry, this.#over.signal)
      this.#over.signal.throwIfAborted()
      const isLast = enricher.isLast(record)
      if (!entry.answered) this.#waiting.push(entry)
      this.#progressed()
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
    taken.catch(() => {})
    withDeadline(async () => await taken, limit, this.#over.signal)
      .then(
        () => this.#progressed(),
        (error: unknown) => this.#fail(error),
      )
      .finally(() => limits.bytes.free(bytes))
  }

  async #end(): Promise<void> {
    const { session, retry, clock, lane } = this.#parts
    const limit = {
      deadlineMs: retry.attemptDeadlineMs,
      what: `the session of ${lane.key}, which has its last record,`,
      clock,
      progressMs: () => this.#progressMs,
    }
    await withDeadline(async () => await session.end(), limit, this.#over.signal)
    if (this.#waiting.length > 0) {
      throw new Error(`the session of ${lane.key} ended without answering every record`)
    }
  }

  #answered(entry: LaneEntry, answer: { readonly result: R; readonly isLast: boolean }): void {
    // What a given-up session still says must not be taken for its successor's answer, and what
    // was answered before the replay is not answered again.
    if (this.#over.signal.aborted) return
    this.#progressed()
    if (entry.answered) return
    const { release, onAnswer } = this.#parts
    onAnswer()
    this.#early.set(entry, answer)
    // The last answer takes the session's rows away, so it leaves after all others in any case.
    if (release === 'completion' && !answer.isLast) this.#settle(entry)
    while (this.#waiting[0] !== undefined && this.#settle(this.#waiting[0]));
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
