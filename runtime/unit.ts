/**
 * A commit unit from its start to its stop: one producer and the tasks that share its transactions.
 * It lives in runtime/unit-life.ts. After an error from which a life cannot rewind the unit takes the
 * way of a crash: everything is dropped, and it starts over from what is committed. Its folder and its
 * share of the group outlive its lives.
 *
 * It gives up when its lives bring no progress for too long, counted from the first failure: how long
 * it ran well before that says nothing. A commit is progress, and so is restored state that has come
 * to disk. Who has nothing to commit (a spare without tasks, a quiet topic) shows that he is over a
 * failure by standing with nothing left to do for a while. Being settled alone is no progress, for a
 * record that no life gets over comes after it; nor is a moment of rest, or a life that fails as soon
 * as it is settled would be tried again for ever, without a growing wait.
 */
import { sleep } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { StateHome } from '../state/home.ts'
import type { Guarantee, UnitSteps } from './config.ts'
import { remedyFor, type UnitMode } from './failure.ts'
import { describeTask } from './assignment.ts'
import { fetchPendingSchema } from './pending-schema.ts'
import { StateCleaner } from './state-cleaner.ts'
import type { AppServices } from './services.ts'
import type { Share } from './share.ts'
import { moveTask, type TaskPhase } from './task-state.ts'
import type { Transport } from '../transport/transport.ts'
import { UnitLife } from './unit-life.ts'
import type { UnitTask } from './unit-task.ts'
import { untilAborted } from '../model/until-aborted.ts'

/** What a unit is made of. */
export interface UnitParts {
  /** Its number in this process. */
  readonly unit: number
  readonly mode: UnitMode
  readonly services: AppServices
  readonly transport: Transport
  readonly guarantee: Guarantee
  readonly openState: () => Promise<StateHome>
  readonly transactionalId: (home: StateHome) => string
  readonly openShare: (home: StateHome) => Promise<Share>
  /** Whether offsets of the other mode are taken over. */
  readonly adopt: boolean
  readonly steps: UnitSteps | undefined
}

/** Longest wait before a unit starts over, as a multiple of the first. */
const LONGEST_BACKOFF = 30

/** How long a unit must have nothing left to do before that is progress, and how often it is looked. */
const REST_MS = 5_000

/** One commit unit. */
export class CommitUnit {
  readonly #parts: UnitParts
  readonly #stop = new AbortController()
  readonly #cancel = new AbortController()
  readonly #onStarted: () => void
  #home: StateHome | undefined
  #share: Share | undefined
  #cleaner: StateCleaner | undefined
  #life: UnitLife | undefined
  #phase: TaskPhase = 'created'
  /** Lives that ended in a failure since the last progress, and when the first of them did. */
  #failures = 0
  /** Whether a life has committed what it did, or has rested: what it was refused later it had before. */
  #hasWorked = false
  #failingSinceMs = 0

  constructor(parts: UnitParts, onStarted: () => void) {
    this.#parts = parts
    this.#onStarted = onStarted
  }

  get phase(): TaskPhase {
    return this.#phase
  }

  /** Whether nothing is left to do until a record comes. */
  get idle(): boolean {
    return this.#phase === 'running' && this.#life?.idle === true
  }

  /** Where the inputs stand; empty while the unit is not running. */
  get positions(): UnitLife['positions'] {
    return this.#life?.positions ?? []
  }

  /** The tasks whose stores can be read now; undefined while the unit is not running. */
  get readableTasks(): readonly UnitTask[] | undefined {
    return this.#phase === 'running' ? this.#life?.tasks : undefined
  }

  /** Asks for a clean stop: `run` resolves after the last commit. */
  stop(): void {
    this.#stop.abort()
  }

  /** Ends the unit without a last commit. */
  cancel(reason: Error): void {
    this.#stop.abort()
    this.#cancel.abort(reason)
  }

  /** Runs until the stop. Rejects with what it could not get over. */
  async run(): Promise<void> {
    try {
      await this.#live()
      if (!this.#cancel.signal.aborted) {
        await untilAborted(this.#share?.leave() ?? Promise.resolve(), this.#cancel.signal)
      }
    } finally {
      await this.#close()
    }
  }

  async #live(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#runOnce()
      } catch (thrown) {
        const pending = fetchPendingSchema(unwrap(asError(thrown)))
        await this.#afterFailure(await untilAborted(pending, this.#cancel.signal).catch(asError))
      }
    }
    this.#phase = moveTask(this.#phase, 'closed')
  }

  async #close(): Promise<void> {
    await using closing = new AsyncDisposableStack()
    closing.use(this.#home)
    closing.use(this.#cleaner)
    closing.use(this.#share)
  }

  /** Returns to start over after a wait, or because a stop was asked for; throws what cannot be got over. */
  async #afterFailure(error: Error): Promise<void> {
    const { clock, limits, onEvent } = this.#parts.services
    const { guarantee, mode } = this.#parts
    if (this.#life?.hasProgressed === true) this.#failures = 0
    this.#hasWorked ||= this.#life?.hasWorked === true
    const hasWorked = this.#hasWorked
    if (this.#failures === 0) this.#failingSinceMs = clock.monotonic()
    this.#failures += 1
    const isStopping = this.#stop.signal.aborted
    const isOver = !isStopping && clock.monotonic() - this.#failingSinceMs >= limits.unitTimeoutMs
    const isAskedFor = isStopping && error === this.#stop.signal.reason
    if (isOver || (!isAskedFor && remedyFor(error, { guarantee, mode, hasWorked }) === 'stop')) {
      this.#phase = moveTask(this.#phase, 'closed')
      throw error
    }
    this.#phase = moveTask(this.#phase, 'suspended')
    if (isStopping) {
      if (!isAskedFor) onEvent({ kind: 'notice', message: unfinishedStop(error) })
      return
    }
    const longest = limits.restartBackoffMs * Math.min(2 ** (this.#failures - 1), LONGEST_BACKOFF)
    const delayMs = Math.ceil(longest * (0.5 + clock.random() / 2))
    onEvent({ kind: 'restarting', unit: this.#parts.unit, error, delayMs })
    await sleep(clock, delayMs, this.#stop.signal).catch(() => {})
  }

  /** One life. */
  async #runOnce(): Promise<void> {
    this.#phase = moveTask(this.#phase, 'restoring')
    this.#life = undefined
    const home = (this.#home ??= await this.#openHome())
    const share = (this.#share ??= await this.#parts.openShare(home))
    this.#cleaner ??= this.#makeCleaner(home, share)
    this.#life = new UnitLife({
      ...this.#parts,
      home,
      share,
      transactionalId: this.#parts.transactionalId(home),
      onSettled: () => this.#settled(),
    })
    const over = new AbortController()
    const looking = this.#lookForRest(over.signal)
    try {
      await this.#life.run(this.#stop.signal, this.#cancel.signal)
    } finally {
      over.abort(new Error('the life is over'))
      await looking
    }
  }

  /** Takes a life that rests for two looks in a row for one that has got over what ended those before. */
  async #lookForRest(over: AbortSignal): Promise<void> {
    const { clock } = this.#parts.services
    let rested = 0
    while (rested < 2) {
      await sleep(clock, REST_MS, over).catch(() => {})
      if (over.aborted) return
      rested = this.#isAtRest ? rested + 1 : 0
    }
    this.#failures = 0
    this.#hasWorked = true
  }

  /** Whether nothing is left to do, or nothing is to be done. */
  get #isAtRest(): boolean {
    return this.idle || (this.#phase === 'running' && this.#parts.services.pause.isOn)
  }

  async #openHome(): Promise<StateHome> {
    const home = await this.#parts.openState()
    const { dropped } = home
    if (dropped !== undefined) {
      this.#parts.services.onEvent({ kind: 'notice', message: dropped })
    }
    return home
  }

  #makeCleaner(home: StateHome, share: Share): StateCleaner {
    const { clock, limits, onEvent } = this.#parts.services
    return new StateCleaner({
      home,
      isOwned: (task) =>
        share.active === undefined ||
        [...share.active, ...share.standby].some((own) => describeTask(own) === task),
      clock,
      delayMs: limits.stateCleanupDelayMs,
      onNotice: (message) => onEvent({ kind: 'notice', message }),
    })
  }

  #settled(): void {
    this.#cleaner?.look()
    if (this.#phase !== 'running') this.#phase = moveTask(this.#phase, 'running')
    this.#onStarted()
  }
}

/** A stop that could not make its last commit loses nothing: it is as if the stop had come a little earlier. */
function unfinishedStop(error: Error): string {
  return `stopped without a last commit (${error.message}); what it would have held is done again at the next start`
}

/** What closing threw must not hide why it was closed. */
function unwrap(error: Error): Error {
  return error instanceof SuppressedError ? unwrap(asError(error.suppressed)) : error
}
