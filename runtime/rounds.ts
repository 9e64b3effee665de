/**
 * When a unit commits, and that it commits one round at a time. A round begins when the interval is
 * over or enough bytes wait for it, goes on beside the record loop (runtime/commit.ts has its steps),
 * and moves on what a rewind goes back to. In a group no round begins while the members change.
 */
import type { Clock } from '../model/clock.ts'
import { asError, isMillraceError } from '../model/errors.ts'
import { describePartition } from '../model/position.ts'
import type { CommittedOffset, GroupMetadata, Producer } from '../transport/transport.ts'
import { emptyProgress, runRound, type CommitRound, type CommitStep } from './commit.ts'
import { CommitBudget } from './commit-budget.ts'
import type { StreamsLimits } from './config.ts'
import { decodeOffsetMetadata } from './offset-metadata.ts'
import type { Outputs } from './outputs.ts'
import type { RepartitionPurge } from './repartition-purge.ts'
import type { StartOffset, UnitTask } from './unit-task.ts'

/** What the rounds of a unit are made of. */
export interface RoundsParts {
  readonly steps: readonly CommitStep[]
  readonly producer: Producer
  readonly outputs: Outputs
  readonly clock: Clock
  readonly limits: StreamsLimits
  /** On whose behalf offsets are committed now; throws where the member is lost. */
  readonly group: () => GroupMetadata
  readonly commitOffsets: CommitRound['commitOffsets']
  readonly purge: Pick<RepartitionPurge, 'committed'>
  /** A round that went on beside the loop has ended. */
  readonly onEnded: (failure: Error | undefined) => void
}

/** The commit rounds of one run of a unit. */
export class Rounds {
  readonly #parts: RoundsParts
  readonly #tasks: () => readonly UnitTask[]
  readonly #committed = new Map<string, StartOffset>()
  readonly #budget: CommitBudget
  #current: Promise<void> | undefined
  /** Something may have changed since it was last looked whether a round is due. */
  #touched = false
  #lastLookMs: number
  #lastCommitMs: number
  #sealed: string
  #done = 0
  #hasWorked = false
  #isHeld = false

  constructor(parts: RoundsParts, tasks: () => readonly UnitTask[]) {
    this.#parts = parts
    this.#tasks = tasks
    this.#budget = new CommitBudget(parts.limits.commitBytes)
    this.#lastLookMs = parts.clock.monotonic()
    this.#lastCommitMs = this.#lastLookMs
    this.#sealed = this.#counts()
  }

  /** Rounds committed so far: progress. */
  get done(): number {
    return this.#done
  }

  /** Whether anything that the loop did was committed; offsets to start from alone are nothing. */
  get hasWorked(): boolean {
    return this.#hasWorked
  }

  /** Whether a round is on its way. */
  get isBusy(): boolean {
    return this.#current !== undefined
  }

  /** Whether nothing was done that is not sealed. */
  get isClean(): boolean {
    return this.#counts() === this.#sealed
  }

  /** What a rewind goes back to. */
  get committed(): readonly StartOffset[] {
    return [...this.#committed.values()]
  }

  /** Whether more work must wait, for no round may take it in now and enough waits already. What is held back of outputs meanwhile has a bound of its own: runtime/outputs.ts. */
  get isFull(): boolean {
    const isWaiting = this.#isHeld || (this.isBusy && this.#budget.isShort)
    if (isWaiting) return this.#waitingBytes() >= this.#budget.bytes
    return this.isBusy && this.#liveBytes() >= this.#parts.limits.heldBytes
  }

  /** Something was done, or may have been. */
  touch(): void {
    this.#touched = true
  }

  /** Milliseconds until it has to be looked whether a round is due. */
  get untilDueMs(): number {
    const { clock, limits } = this.#parts
    // Whoever ends that rings; until then nothing is due, however much time passes.
    if (!this.#mayBegin) return limits.recommitMs
    const now = clock.monotonic()
    const recommit = this.#lastCommitMs + limits.recommitMs - now
    if (!this.#touched) return Math.max(1, recommit)
    return Math.max(1, Math.min(recommit, this.#lastLookMs + limits.commitIntervalMs - now))
  }

  /** Begins a round where one is due; it goes on beside the loop. */
  beginIfDue(): void {
    if (!this.#isDue()) return
    const round = this.#round([])
    this.#sealed = this.#counts()
    const { steps, onEnded } = this.#parts
    this.#current = runRound(steps, round)
      .then(
        () => {
          this.#hasWorked = true
          this.#roundCommitted(round)
        },
        (error: unknown) => asError(error),
      )
      .then((failure) => {
        this.#current = undefined
        onEnded(failure ?? undefined)
      })
  }

  /** Waits for the round on its way; how it ended is told to `onEnded`. */
  async settled(): Promise<void> {
    await this.#current
  }

  /** One round at once, also while rounds are held, with `extra` offsets of tasks that are about to begin. */
  async commitNow(extra: readonly CommittedOffset[] = []): Promise<void> {
    if (this.isClean && extra.length === 0) return
    const round = this.#round(extra)
    this.#sealed = this.#counts()
    await runRound(this.#parts.steps, round)
    this.#roundCommitted(round)
  }

  /** No round begins until `resume`. */
  hold(): void {
    this.#isHeld = true
  }

  resume(): void {
    this.#isHeld = false
  }

  /** The tasks have changed by `change`, which has made nothing that would need a round. */
  changeTasks(starts: readonly StartOffset[], change: () => void): void {
    const wasClean = this.isClean
    change()
    for (const start of starts) this.#committed.set(describePartition(start), start)
    if (wasClean) this.#sealed = this.#counts()
  }

  /** All tasks stand where the last round left them, for this reason. */
  rewound(error: Error): void {
    if (isMillraceError(error, 'MILLRACE_TRANSACTION_TIMED_OUT')) this.#budget.halve()
    this.#sealed = this.#counts()
    this.#touched = true
  }

  #isDue(): boolean {
    if (!this.#mayBegin) return false
    const { clock, limits } = this.#parts
    const now = clock.monotonic()
    if (now - this.#lastCommitMs >= limits.recommitMs) return true
    if (!this.#touched) return false
    const isEarly = now - this.#lastLookMs < limits.commitIntervalMs
    if (isEarly && this.#waitingBytes() < this.#budget.bytes) return false
    this.#lastLookMs = now
    this.#touched = false
    return !this.isClean
  }

  get #mayBegin(): boolean {
    return !this.isBusy && !this.#isHeld && this.#tasks().length > 0
  }

  #waitingBytes(): number {
    return this.#liveBytes() + this.#parts.outputs.bufferedBytes
  }

  /** State written that no round has taken in. */
  #liveBytes(): number {
    return this.#tasks().reduce((bytes, { state }) => bytes + state.liveBytes, 0)
  }

  /** What changes whenever there is something to commit. */
  #counts(): string {
    const tasks = this.#tasks()
    const inputs = tasks.flatMap(({ loop }) => loop.inputs.map(({ queue }) => queue.position))
    return [
      this.#parts.outputs.emitted,
      ...tasks.map(({ loop }) => loop.processed),
      ...inputs,
    ].join()
  }

  #round(extra: readonly CommittedOffset[]): CommitRound {
    const { producer, outputs, clock, limits, commitOffsets, group } = this.#parts
    return {
      producer,
      outputs,
      tasks: this.#tasks(),
      extra,
      clock,
      group: group(),
      commitOffsets,
      retryMs: limits.commitRetryMs,
      progress: emptyProgress(),
    }
  }

  #roundCommitted({ progress }: CommitRound): void {
    this.#done += 1
    this.#budget.grow()
    this.#lastCommitMs = this.#parts.clock.monotonic()
    for (const { metadata, ...at } of progress.offsets) {
      const { partitionTime } = decodeOffsetMetadata(metadata)
      this.#committed.set(describePartition(at), { ...at, partitionTime })
    }
    this.#parts.purge.committed(this.committed)
  }
}
