/**
 * How long a process of a group may write outside transactions. Inside them a process that was taken
 * for dead is fenced by the log. Outside, the log refuses its offsets alone: a change that it logs late
 * would stand behind those of its heir, and the next restore would take the older state for the newer.
 *
 * So it lets go of its own accord, before anybody tells it, when the group has answered no sign of life
 * for a session, counted from when the last one was sent. The clock is asked before each step of a
 * round, for timers are late where a process stood still; a timer ends what waits for the log meanwhile.
 * While the members join there is no sign of life and no round, and nothing is watched.
 *
 * What is on its way to the log by then cannot be called back: docs/guarantees.md.
 */
import type { Clock, Timer } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'
import type { CommitStep } from './commit.ts'
import type { Share } from './share.ts'

/** Longest delay of a timer: where a session ends never, it is looked again. */
const LONGEST_LOOK_MS = 60_000

/** What a lease is made of. */
export interface LeaseParts {
  readonly application: string
  readonly share: Pick<Share, 'active' | 'aliveUntilMs'>
  readonly clock: Clock
  /** It is over: nothing may be written any more. Called once. */
  readonly onOver: (error: MillraceError) => void
}

/** The right of one life of a unit to write. */
export class Lease implements Disposable {
  readonly #parts: LeaseParts
  #timer: Timer | undefined
  #isOver = false

  constructor(parts: LeaseParts) {
    this.#parts = parts
  }

  /** Watches from now on; where the lease is over already, that is told within the call. */
  watch(): void {
    this.rest()
    const { application, clock, share, onOver } = this.#parts
    if (this.#isOver || share.active === undefined) return
    const leftMs = share.aliveUntilMs - clock.monotonic()
    if (leftMs > 0) {
      this.#timer = clock.timer(Math.min(LONGEST_LOOK_MS, leftMs), () => this.watch())
      return
    }
    this.#isOver = true
    onOver(leaseOver(application))
  }

  /** The members join: no round is under way, and none begins before `watch`. */
  rest(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Throws MILLRACE_GROUP_LOST where the lease is over. */
  assertHeld(): void {
    const { application, clock, share } = this.#parts
    if (this.#isOver || clock.monotonic() >= share.aliveUntilMs) throw leaseOver(application)
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.rest()
  }
}

/** The steps, each taken only while the lease is held. */
export function whileHeld(
  steps: readonly CommitStep[],
  lease: Pick<Lease, 'assertHeld'>,
): readonly CommitStep[] {
  return steps.map((step) => ({
    name: step.name,
    run: (round) => {
      lease.assertHeld()
      return step.run(round)
    },
  }))
}

function leaseOver(application: string): MillraceError {
  return new MillraceError(
    'MILLRACE_GROUP_LOST',
    `the group ${application} has answered no sign of life of this process for a session (sessionTimeoutMs): its partitions may be another's by now. ` +
      'Nothing more is written; it goes on from what is committed as soon as the group answers.',
    { remedy: 'retry' },
  )
}
