/**
 * A commit unit while it runs: turns its tasks in short slices, commits without stopping them, and
 * rewinds after a definite abort. Tasks come and go between two turns, so that whoever brings or
 * takes one never meets a half-done slice. An error it cannot rewind from leaves `run`; the unit then
 * starts over or fails (runtime/unit.ts).
 */
import { asError } from '../model/errors.ts'
import type { CommittedOffset, Reader } from '../transport/transport.ts'
import type { Guarantee, StreamsEvent } from './config.ts'
import { remedyFor, type UnitMode } from './failure.ts'
import type { Pause } from './pause.ts'
import { fetchPendingSchema } from './pending-schema.ts'
import type { ReleaseStep } from './release.ts'
import { Rounds, type RoundsParts } from './rounds.ts'
import type { StartOffset, UnitTask } from './unit-task.ts'
import { untilAborted } from '../model/until-aborted.ts'
import type { Wakeup } from './wakeup.ts'

/** Rewinds in a row, without a commit between them, before the unit starts over: that waits between two tries, and gives up in the end. */
const MAX_REWINDS = 3

/** What a running unit is made of. All of it is closed by who made it. */
export interface UnitLoopParts extends Omit<RoundsParts, 'onEnded'> {
  readonly unit: number
  readonly guarantee: Guarantee
  readonly mode: UnitMode
  readonly reader: Reader
  readonly wakeup: Wakeup
  readonly pause: Pick<Pause, 'isOn'>
  readonly releaseSteps: readonly ReleaseStep[]
  readonly onEvent: (event: StreamsEvent) => void
}

/** Work that waits for the end of a turn. */
interface Request {
  readonly work: () => Promise<void>
  readonly done: () => void
  readonly failed: (error: Error) => void
}

/** One run of a unit, from its first record to its stop or to an error it cannot rewind from. */
export class UnitLoop {
  readonly #parts: UnitLoopParts
  readonly #rounds: Rounds
  readonly #requests: Request[] = []
  #tasks: readonly UnitTask[] = []
  #failure: Error | undefined
  #broken: Error | undefined
  #listening = false
  #rewinds = 0
  #isRewinding = false
  #over: Error | undefined
  #stop: AbortSignal | undefined

  constructor(parts: UnitLoopParts) {
    this.#parts = parts
    const onEnded = (failure: Error | undefined): void => {
      if (failure === undefined) this.#rewinds = 0
      else this.#failure ??= failure
      parts.wakeup.ring()
    }
    this.#rounds = new Rounds({ ...parts, onEnded }, () => this.#tasks)
  }

  get tasks(): readonly UnitTask[] {
    return this.#tasks
  }

  /** Rounds committed so far: progress. */
  get rounds(): number {
    return this.#rounds.done
  }

  /** Whether anything that it did was committed. */
  get hasWorked(): boolean {
    return this.#rounds.hasWorked
  }

  /** Nothing is left to do until a record comes: all read, nothing pending, all committed. */
  get idle(): boolean {
    const quiet = this.#tasks.every(({ loop }) => loop.caughtUp && loop.holds.oldest === Infinity)
    const isFailing = this.#failure !== undefined || this.#broken !== undefined
    const isBusy = this.#isRewinding || isFailing || this.#requests.length > 0
    return quiet && !isBusy && !this.#rounds.isBusy && this.#rounds.isClean
  }

  get positions(): ReturnType<UnitTask['loop']['positions']> {
    return this.#tasks.flatMap(({ loop }) => loop.positions())
  }

  /** Runs until `stop` aborts, then commits what is done; `cancel` leaves at once. Rejects with what a rewind cannot mend. */
  async run(stop: AbortSignal, cancel: AbortSignal): Promise<void> {
    this.#stop = stop
    try {
      await untilAborted(this.#runUntil(stop), cancel)
      this.#end(asError(stop.reason))
    } catch (error) {
      this.#end(asError(error))
      throw error
    }
  }

  /**
   * Ends `run` with the error of what runs beside the loop, whatever it is: no rewind would start that
   * again. A loop that is stopping does not ask: its last commit is made, or says itself why not.
   */
  breakOff(error: Error): void {
    this.#broken ??= error
    this.#parts.wakeup.ring()
  }

  /**
   * Does `work` between two turns, with no slice and no rewind under way; does it again after a
   * rewind that its failure made necessary. Rejects with what ended the loop before it was done.
   */
  async between(work: () => Promise<void>): Promise<void> {
    const { promise, resolve: done, reject: failed } = Promise.withResolvers<void>()
    if (this.#over === undefined) this.#requests.push({ work, done, failed })
    else failed(this.#over)
    this.#parts.wakeup.ring()
    await promise
  }

  /** Commits all that is done, and these offsets with it. Rejects where the signal aborted before. */
  async commit(extra: readonly CommittedOffset[], signal: AbortSignal): Promise<void> {
    await this.between(async () => {
      if (signal.aborted) return
      const round = this.#commitNow(extra)
      await (this.#tasks.length > 0 ? round : this.#unlessStopped(round))
    })
    signal.throwIfAborted()
  }

  /** Takes in tasks that have begun at `starts`; false where the signal aborted before. */
  async add(
    tasks: readonly UnitTask[],
    { starts, signal }: { readonly starts: readonly StartOffset[]; readonly signal: AbortSignal },
  ): Promise<boolean> {
    let isIn = false
    await this.between(async () => {
      if (signal.aborted) return
      this.#rounds.changeTasks(starts, () => (this.#tasks = [...this.#tasks, ...tasks]))
      isIn = true
    })
    return isIn
  }

  /** Commits what is done, and lets these tasks go: what they did is durable, or forgotten, when this resolves. */
  async release(tasks: readonly UnitTask[]): Promise<void> {
    const { releaseSteps } = this.#parts
    const round = {
      commit: async () => await this.#commitNow(),
      letGo: () => {
        this.#rounds.changeTasks([], () => {
          this.#tasks = this.#tasks.filter((task) => !tasks.includes(task))
        })
      },
    }
    await this.between(async () => {
      for (const step of releaseSteps) await step.run(round)
    })
  }

  /** Finishes the round on its way, and begins none until `resumeRounds`: the members of the group change. */
  async holdRounds(): Promise<void> {
    await this.between(async () => {
      await this.#settled()
      this.#rounds.hold()
    })
  }

  resumeRounds(): void {
    this.#rounds.resume()
    this.#parts.wakeup.ring()
  }

  /**
   * Waits, but where the unit is stopped not for a log that may never answer: this is for a round of
   * start offsets alone, before any record, which the next start does again.
   */
  async #unlessStopped(round: Promise<void>): Promise<void> {
    try {
      await untilAborted(round, this.#stop)
    } catch (error) {
      if (this.#stop?.aborted !== true) throw error
    }
  }

  get #isOver(): boolean {
    return this.#over !== undefined
  }

  #end(reason: Error): void {
    this.#over = reason
    this.#parts.wakeup.ring()
    for (const { failed } of this.#requests.splice(0)) failed(reason)
  }

  async #runUntil(stop: AbortSignal): Promise<void> {
    const { wakeup } = this.#parts
    const ring = (): void => wakeup.ring()
    stop.addEventListener('abort', ring, { once: true })
    try {
      // Whoever left at once has waited for no turn: the one under way is the last.
      while (!stop.aborted && !this.#isOver) await this.#guarded(() => this.#turn(stop))
      if (!this.#isOver) await this.#finish()
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
    if (this.#broken !== undefined) throw this.#broken
    if (this.#failure !== undefined) throw this.#takeFailure()
    const request = this.#requests[0]
    if (request !== undefined) {
      await request.work()
      this.#requests.shift()
      request.done()
      return
    }
    for (const { state } of this.#tasks) {
      state.flushIfDue()
      if (state.isCongested) await state.flush()
    }
    const ran = this.#isHeldUp ? 0 : this.#runSlice()
    this.#rounds.beginIfDue()
    if (ran > 0) await this.#parts.clock.yield()
    else if (!stop.aborted) await this.#sleep()
  }

  /** Whether what was made so far has to leave before more is made, or the app is paused. */
  get #isHeldUp(): boolean {
    return this.#parts.pause.isOn || this.#parts.outputs.full || this.#rounds.isFull
  }

  /** Runs the tasks in turn for a slice of time. */
  #runSlice(): number {
    const { clock, limits } = this.#parts
    const end = clock.monotonic() + limits.sliceMs
    let ran = 0
    for (let before = -1; before < ran && !this.#isHeldUp && clock.monotonic() <= end;) {
      before = ran
      for (const { loop } of this.#tasks) ran += loop.run(limits.sliceRecords)
    }
    if (ran > 0) this.#rounds.touch()
    return ran
  }

  async #sleep(): Promise<void> {
    const { clock, wakeup } = this.#parts
    if (!this.#isHeldUp) this.#listen()
    const sleepMs = Math.min(this.#rounds.untilDueMs, this.#untilTaskMs())
    const timer = clock.timer(sleepMs, () => wakeup.ring())
    await wakeup.wait()
    timer.cancel()
    // Whatever rang may have moved a position without a record: one that was left out, say.
    this.#rounds.touch()
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

  /** Until a step is to be called by the wall clock, or a task has waited long enough for an input; a loop that is held up waits for that alone. */
  #untilTaskMs(): number {
    if (this.#isHeldUp) return Infinity
    const loops = this.#tasks.map(({ loop }) => loop)
    const call = Math.min(...loops.map(({ punctuations }) => punctuations.nextWallMs))
    const idle = Math.min(...loops.map(({ idling }) => idling.remainingMs))
    return Math.max(1, Math.min(call - this.#parts.clock.now(), idle))
  }

  async #commitNow(extra: readonly CommittedOffset[] = []): Promise<void> {
    await this.#settled()
    await this.#rounds.commitNow(extra)
    this.#rewinds = 0
  }

  /** Waits for the round on its way; throws what it failed of. */
  async #settled(): Promise<void> {
    await this.#rounds.settled()
    if (this.#failure !== undefined) throw this.#takeFailure()
  }

  #takeFailure(): Error {
    const failure = this.#failure as Error
    this.#failure = undefined
    return failure
  }

  /** Goes back to the last commit, if the error allows that; throws it otherwise. */
  async #rewind(thrown: Error): Promise<void> {
    this.#isRewinding = true
    await this.#rounds.settled()
    if (thrown === this.#broken) throw thrown
    const error = await this.#readied(thrown)
    const { guarantee, mode, producer, outputs, unit, onEvent } = this.#parts
    const second =
      this.#failure === undefined ? undefined : await this.#readied(this.#takeFailure())
    const worst = [error, second].find(
      (candidate) =>
        candidate !== undefined && remedyFor(candidate, { guarantee, mode }) !== 'rewind',
    )
    if (worst !== undefined) throw worst
    this.#rewinds += 1
    if (this.#rewinds > MAX_REWINDS) throw error
    onEvent({ kind: 'rewound', unit, error })
    const tasks = this.#tasks
    for (const task of tasks) await task.end()
    await producer.abort()
    outputs.drop()
    for (const { state } of tasks) state.abort()
    for (const task of tasks) await task.begin(startsOf(task, this.#rounds.committed))
    this.#rounds.rewound(error)
    this.#isRewinding = false
  }

  /** The error to judge by. A schema is fetched here only for a rewind; a unit that starts over fetches it itself. */
  async #readied(error: Error): Promise<Error> {
    const isRewind = remedyFor(error, this.#parts) === 'rewind'
    return isRewind ? await fetchPendingSchema(error) : error
  }

  /** The last round of a clean stop. */
  async #finish(): Promise<void> {
    await this.#commitNow()
    for (const { state } of this.#tasks) await state.flush()
  }
}

/** Those of `starts` that are this task's inputs. */
export function startsOf(task: UnitTask, starts: readonly StartOffset[]): readonly StartOffset[] {
  const topics = new Set<string>(task.taskId.subtopology.sourceTopics)
  return starts.filter(
    ({ topic, partition }) => topics.has(topic) && partition === task.taskId.partition,
  )
}
