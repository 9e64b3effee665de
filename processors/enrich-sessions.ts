/**
 * Enriching by sessions: a lane's records go to one open stream of the service, in order and
 * pipelined, and are answered in their own time; a long shot needs many further chunks before it
 * ends, so the next record of an open session is always admissible.
 *
 * A session that failed is opened again and begins with the lane's first row: an mp4 cannot be
 * decoded from its middle. Answers already given are dropped then, and so is whatever a session says
 * after it was given up: every answer is checked against the session it came from.
 */
import type { Clock } from '../model/clock.ts'
import { eitherSignal } from '../model/either-signal.ts'
import { asError } from '../model/errors.ts'
import { classifyFailure } from './classify-failure.ts'
import type { EnrichLimits } from './enrich-limits.ts'
import type { DriverTask, EnrichDriver, Lane, LaneEntry, Outcome } from './enrich-lanes.ts'
import type { EnrichSession, SessionEnricher } from './enricher.ts'
import { SessionRun, type SessionEnd } from './enrich-session-run.ts'
import { backOff, withDeadline, type RetryLimits } from './retry.ts'

/** What sessions are driven with. */
export interface SessionDriverParts<K, V, R> {
  readonly enricher: SessionEnricher<K, V, R>
  readonly limits: EnrichLimits
  readonly retry: RetryLimits
  readonly release: 'input-order' | 'completion'
  readonly clock: Clock
  readonly task: DriverTask<K, V, R>
  /** Whether the partition is read to its end: only then may an idle session give its place away. */
  readonly caughtUp: () => boolean
}

/** What the driver remembers of a lane between two sessions. */
interface LaneProgress {
  /** Tries since the last answer. */
  attempt: number
  /** When the first of these failed, on the monotonic clock. */
  failingSinceMs: number | undefined
  /** Why the lane is given up. */
  failure: Error | undefined
  /** The rows given up so far, one after the other. */
  givenUp: Promise<void>
}

/** The driver of a session factory. */
export class SessionDriver<K, V, R> implements EnrichDriver {
  readonly #parts: SessionDriverParts<K, V, R>
  readonly #queued: Lane[] = []
  readonly #progress = new Map<Lane, LaneProgress>()
  readonly #pump = (): void => this.#openSessions()

  constructor(parts: SessionDriverParts<K, V, R>) {
    this.#parts = parts
    parts.task.signal.addEventListener('abort', () => parts.limits.sessions.forget(this.#pump), {
      once: true,
    })
  }

  wake(lane: Lane): void {
    if (lane.phase === 'failed') this.#giveUp(lane)
    if (lane.phase !== 'parked' || lane.entries.every(({ answered }) => answered)) return
    lane.phase = 'queued'
    this.#queued.push(lane)
    this.#openSessions()
  }

  #openSessions(): void {
    const { limits, task } = this.#parts
    while (this.#queued.length > 0 && !task.signal.aborted) {
      if (!limits.sessions.take(this.#pump)) return
      const lane = this.#queued.shift() as Lane
      lane.phase = 'running'
      void this.#run(lane)
    }
  }

  /** One session of a lane, from its place among the open ones to whatever ends it. */
  async #run(lane: Lane): Promise<void> {
    const { limits, task } = this.#parts
    let end: SessionEnd | Error
    try {
      end = await this.#session(lane)
    } catch (error) {
      end = asError(error)
    } finally {
      limits.sessions.free()
    }
    if (task.signal.aborted) return
    if (end instanceof Error) {
      await this.#afterFailure(lane, end).catch((error: unknown) => {
        if (!task.signal.aborted) task.fail(asError(error))
      })
      return
    }
    lane.phase = 'parked'
    if (end.kind === 'ended') this.#progress.delete(lane)
    // What waits in an idle session waits for its next row; a row that came meanwhile is that one.
    if (end.kind === 'ended' || lane.entries.length > end.pushed) this.wake(lane)
  }

  async #session(lane: Lane): Promise<SessionEnd> {
    const { enricher, retry, clock, task } = this.#parts
    const progress = this.#progressOf(lane)
    progress.attempt += 1
    const { attempt } = progress
    task.count('sessions')
    const given = new AbortController()
    using either = eitherSignal(task.signal, given.signal)
    const { signal } = either
    try {
      const session = await withDeadline<EnrichSession<K, V, R>>(
        async () => await enricher.open({ sessionKey: lane.key, attempt, signal }),
        { deadlineMs: retry.attemptDeadlineMs, what: `opening the session of ${lane.key}`, clock },
        task.signal,
      )
      const run = new SessionRun({
        ...this.#parts,
        lane,
        session,
        onAnswer: () => this.#onAnswer(lane),
      })
      return await run.run()
    } finally {
      given.abort(new Error(`the session of ${lane.key} is over`))
    }
  }

  #onAnswer(lane: Lane): void {
    const progress = this.#progressOf(lane)
    progress.attempt = 1
    progress.failingSinceMs = undefined
  }

  #progressOf(lane: Lane): LaneProgress {
    let progress = this.#progress.get(lane)
    if (progress === undefined) {
      progress = {
        attempt: 0,
        failingSinceMs: undefined,
        failure: undefined,
        givenUp: Promise.resolve(),
      }
      this.#progress.set(lane, progress)
    }
    return progress
  }

  async #afterFailure(lane: Lane, error: Error): Promise<void> {
    const { enricher, retry, clock, task } = this.#parts
    const progress = this.#progressOf(lane)
    progress.failingSinceMs ??= clock.monotonic()
    const failure = classifyFailure(error, enricher.classify)
    if (failure === 'stop') throw error
    const isOver =
      progress.attempt >= retry.attempts ||
      clock.monotonic() - progress.failingSinceMs >= retry.totalDeadlineMs
    if (failure === 'reject' || isOver) {
      lane.phase = 'failed'
      progress.failure = error
      this.#giveUp(lane)
      return
    }
    const what = `the session of ${lane.key}`
    task.retrying({ what, error, attempt: progress.attempt, attempts: retry.attempts })
    await backOff(progress.attempt, retry, { clock, signal: task.signal })
    lane.phase = 'parked'
    this.wake(lane)
  }

  /**
   * The lane failed for good: each row that waits gets the terminal policy, and so will each that
   * comes, in order. The rows stay for a replay, in which a hole would give other answers.
   */
  #giveUp(lane: Lane): void {
    const { task } = this.#parts
    const progress = this.#progressOf(lane)
    progress.givenUp = progress.givenUp
      .then(async () => await this.#settleFailed(lane, progress))
      .catch((error: unknown) => {
        if (!task.signal.aborted) task.fail(asError(error))
      })
  }

  async #settleFailed(lane: Lane, progress: LaneProgress): Promise<void> {
    const { task } = this.#parts
    for (;;) {
      const entry = lane.entries.find(({ answered }) => !answered)
      if (entry === undefined || progress.failure === undefined) return
      const outcome = await this.#failedOutcome(entry, progress.failure)
      if (task.signal.aborted) return
      entry.answered = true
      task.settle(lane, entry, outcome)
      if (!outcome.isLast) continue
      // Those who asked for this meanwhile find nothing to give up: what follows is a new session.
      progress.failure = undefined
      this.#progress.delete(lane)
      lane.phase = 'parked'
      this.wake(lane)
      return
    }
  }

  async #failedOutcome(entry: LaneEntry, error: Error): Promise<Outcome<K, V, R>> {
    const { task, enricher } = this.#parts
    try {
      const { record, raw } = await task.load(entry, task.signal)
      return { kind: 'failed', error, record, raw, isLast: enricher.isLast(record) }
    } catch {
      const { record, raw } = await task.loadUnreadable(entry, task.signal)
      return { kind: 'failed', error, record, raw, isLast: false }
    }
  }
}
