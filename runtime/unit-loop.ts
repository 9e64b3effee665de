/**
 * A commit unit while it runs: turns its tasks in short slices, commits without stopping them, and
 * rewinds after a definite abort. An error it cannot rewind from leaves `run`; the unit then starts
 * over or fails (runtime/unit.ts).
 */
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { CommittedOffset, Producer, Reader } from '../transport/transport.ts'
import { emptyProgress, runRound, type CommitRound, type CommitStep } from './commit.ts'
import type { Guarantee, StreamsEvent, StreamsLimits } from './config.ts'
import { remedyFor } from './failure.ts'
import { decodeOffsetMetadata } from './offset-metadata.ts'
import { fetchPendingSchema } from './pending-schema.ts'
import type { RepartitionPurge } from './repartition-purge.ts'
import type { Outputs } from './outputs.ts'
import type { StartOffset, UnitTask } from './unit-task.ts'
import { untilAborted } from './until-aborted.ts'
import type { Wakeup } from './wakeup.ts'

/** Rewinds in a row, without a commit between them, before the unit starts over: that waits between two tries, and gives up in the end. */
const MAX_REWINDS = 3

/** What a running unit is made of. All of it is closed by who made it. */
export interface UnitLoopParts {
  readonly unit: number
  readonly groupId: string
  readonly guarantee: Guarantee
  readonly tasks: readonly UnitTask[]
  readonly producer: Producer
  readonly reader: Reader
  readonly outputs: Outputs
  readonly wakeup: Wakeup
  readonly clock: Clock
  readonly limits: StreamsLimits
  readonly commitSteps: readonly CommitStep[]
  readonly commitOffsets: (offsets: readonly CommittedOffset[]) => Promise<void>
  readonly starts: readonly StartOffset[]
  readonly purge: Pick<RepartitionPurge, 'committed'>
  readonly onEvent: (event: StreamsEvent) => void
}

/** One run of a unit, from its first record to its stop or to an error it cannot rewind from. */
export class UnitLoop {
  readonly #parts: UnitLoopParts
  /** Where a rewind goes back to. */
  #committed: readonly StartOffset[]
  #round: Promise<void> | undefined
  #failure: Error | undefined
  /** Something may have changed since it was last looked whether a round is due. */
  #touched = false
  #lastRoundMs: number
  #lastCommitMs: number
  #sealedCounts: string
  #listening = false
  #rounds = 0
  #rewinds = 0
  #isRewinding = false

  constructor(parts: UnitLoopParts) {
    this.#parts = parts
    this.#committed = parts.starts
    this.#lastRoundMs = parts.clock.monotonic()
    this.#lastCommitMs = this.#lastRoundMs
    this.#sealedCounts = this.#counts()
  }

  /** Rounds committed so far: progress. */
  get rounds(): number {
    return this.#rounds
  }

  /** Nothing is left to do until a record comes: all read, nothing pending, all committed. */
  get idle(): boolean {
    const quiet = this.#parts.tasks.every(
      ({ loop }) => loop.caughtUp && loop.holds.oldest === Infinity,
    )
    const isBusy = this.#round !== undefined || this.#isRewinding || this.#failure !== undefined
    return quiet && !isBusy && this.#counts() === this.#sealedCounts
  }

  get positions(): ReturnType<UnitTask['loop']['positions']> {
    return this.#parts.tasks.flatMap(({ loop }) => loop.positions())
  }

  /** Runs until `stop` aborts, then commits what is done; `cancel` leaves at once. Rejects with what a rewind cannot mend. */
  async run(stop: AbortSignal, cancel: AbortSignal): Promise<void> {
    await untilAborted(this.#runUntil(stop), cancel)
  }

  async #runUntil(stop: AbortSignal): Promise<void> {
    const { wakeup } = this.#parts
    const ring = (): void => wakeup.ring()
    stop.addEventListener('abort', ring, { once: true })
    try {
      while (!stop.aborted) await this.#guarded(() => this.#turn(stop))
      await this.#finish()
    } finally {
      stop.removeEventListener('abort', ring)
    }
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await this.#rewind(asError(error))
    }
  }

  async #turn(stop: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) throw this.#takeFailure()
    const { clock, outputs, tasks } = this.#parts
    for (const { state } of tasks) {
      state.flushIfDue()
      if (state.isCongested) await state.flush()
    }
    const ran = outputs.full ? 0 : this.#runSlice()
    if (this.#isRoundDue()) this.#beginRound()
    if (ran > 0) await clock.yield()
    else if (!stop.aborted) await this.#sleep()
  }

  /** Runs the tasks in turn for a slice of time. */
  #runSlice(): number {
    const { tasks, clock, limits, outputs } = this.#parts
    const end = clock.monotonic() + limits.sliceMs
    let ran = 0
    for (let before = -1; before < ran && !outputs.full && clock.monotonic() <= end;) {
      before = ran
      for (const { loop } of tasks) ran += loop.run(limits.sliceRecords)
    }
    if (ran > 0) this.#touched = true
    return ran
  }

  async #sleep(): Promise<void> {
    const { clock, wakeup, outputs } = this.#parts
    if (!outputs.full) this.#listen()
    const sleepMs = Math.min(this.#untilRoundMs(), this.#untilPunctuationMs())
    const timer = clock.timer(sleepMs, () => wakeup.ring())
    await wakeup.wait()
    timer.cancel()
    // Whatever rang may have moved a position without a record: one that was left out, say.
    this.#touched = true
  }

  /** Rings when the reader has something new. One wait at a time. */
  #listen(): void {
    if (this.#listening) return
    const { reader, wakeup } = this.#parts
    this.#listening = true
    const heard = (error?: unknown): void => {
      this.#listening = false
      if (error !== undefined) this.#failure ??= asError(error)
      wakeup.ring()
    }
    reader.ready().then(() => heard(), heard)
  }

  #untilRoundMs(): number {
    const { clock, limits } = this.#parts
    const now = clock.monotonic()
    const recommit = this.#lastCommitMs + limits.recommitMs - now
    if (!this.#touched || this.#round !== undefined) return Math.max(1, recommit)
    return Math.max(1, Math.min(recommit, this.#lastRoundMs + limits.commitIntervalMs - now))
  }

  /** Until a step is to be called by the wall clock; a loop whose outputs are full waits for that alone. */
  #untilPunctuationMs(): number {
    const { tasks, outputs, clock } = this.#parts
    if (outputs.full) return Infinity
    const next = Math.min(...tasks.map(({ loop }) => loop.punctuations.nextWallMs))
    return Math.max(1, next - clock.now())
  }

  #isRoundDue(): boolean {
    if (this.#round !== undefined || this.#failure !== undefined) return false
    const { clock, limits, outputs, tasks } = this.#parts
    const now = clock.monotonic()
    if (now - this.#lastCommitMs >= limits.recommitMs) return true
    if (!this.#touched) return false
    const waiting = tasks.reduce(
      (bytes, { state }) => bytes + state.liveBytes,
      outputs.bufferedBytes,
    )
    if (waiting < limits.commitBytes && now - this.#lastRoundMs < limits.commitIntervalMs)
      return false
    this.#lastRoundMs = now
    this.#touched = false
    return this.#counts() !== this.#sealedCounts
  }

  /** What changes whenever there is something to commit. */
  #counts(): string {
    const { tasks, outputs } = this.#parts
    const inputs = tasks.flatMap(({ loop }) => loop.inputs.map(({ queue }) => queue.position))
    return [outputs.emitted, ...tasks.map(({ loop }) => loop.processed), ...inputs].join()
  }

  /** Seals now; the rest of the round goes on beside the loop. */
  #beginRound(): void {
    const { commitSteps, wakeup } = this.#parts
    const round = this.#newRound()
    this.#sealedCounts = this.#counts()
    this.#round = runRound(commitSteps, round)
      .then(
        () => this.#roundCommitted(round),
        (error: unknown) => {
          this.#failure ??= asError(error)
        },
      )
      .finally(() => {
        this.#round = undefined
        wakeup.ring()
      })
  }

  #newRound(): CommitRound {
    const { producer, outputs, tasks, clock, limits, commitOffsets, groupId } = this.#parts
    return {
      producer,
      outputs,
      tasks,
      clock,
      groupId,
      commitOffsets,
      retryMs: limits.commitRetryMs,
      progress: emptyProgress(),
    }
  }

  #roundCommitted({ progress }: CommitRound): void {
    this.#rounds += 1
    this.#rewinds = 0
    this.#lastCommitMs = this.#parts.clock.monotonic()
    this.#committed = progress.offsets.map(({ topic, partition, offset, metadata }) => ({
      topic,
      partition,
      offset,
      partitionTime: decodeOffsetMetadata(metadata).partitionTime,
    }))
    this.#parts.purge.committed(this.#committed)
  }

  #takeFailure(): Error {
    const failure = this.#failure as Error
    this.#failure = undefined
    return failure
  }

  /** Goes back to the last commit, if the error allows that; throws it otherwise. */
  async #rewind(thrown: Error): Promise<void> {
    this.#isRewinding = true
    await this.#round
    const error = await this.#readied(thrown)
    const { guarantee, tasks, producer, outputs, unit, onEvent } = this.#parts
    const second =
      this.#failure === undefined ? undefined : await this.#readied(this.#takeFailure())
    const worst = [error, second].find(
      (candidate) => candidate !== undefined && remedyFor(candidate, guarantee) !== 'rewind',
    )
    if (worst !== undefined) throw worst
    this.#rewinds += 1
    if (this.#rewinds > MAX_REWINDS) throw error
    onEvent({ kind: 'rewound', unit, error })
    for (const task of tasks) await task.end()
    await producer.abort()
    outputs.drop()
    for (const { state } of tasks) state.abort()
    for (const task of tasks) await task.begin(startsOf(task, this.#committed))
    this.#sealedCounts = this.#counts()
    this.#touched = true
    this.#isRewinding = false
  }

  /** The error to judge by. A schema is fetched here only for a rewind; a unit that starts over fetches it itself. */
  async #readied(error: Error): Promise<Error> {
    const isRewind = remedyFor(error, this.#parts.guarantee) === 'rewind'
    return isRewind ? await fetchPendingSchema(error) : error
  }

  /** The last round of a clean stop. */
  async #finish(): Promise<void> {
    await this.#round
    if (this.#failure !== undefined) throw this.#takeFailure()
    if (this.#counts() !== this.#sealedCounts) {
      const round = this.#newRound()
      await runRound(this.#parts.commitSteps, round)
      this.#roundCommitted(round)
    }
    for (const { state } of this.#parts.tasks) await state.flush()
  }
}

/** Those of `starts` that are this task's inputs. */
export function startsOf(task: UnitTask, starts: readonly StartOffset[]): readonly StartOffset[] {
  const topics = new Set<string>(task.taskId.subtopology.sourceTopics)
  return starts.filter(
    ({ topic, partition }) => topics.has(topic) && partition === task.taskId.partition,
  )
}
