/** Which broker keeps a group, or a transactional id: asked for once, and again when it says it is not the one. */
import { untilAborted } from '../../../model/until-aborted.ts'
import type { TransportError } from '../../errors.ts'
import { FIND_COORDINATOR, type CoordinatorKind } from '../api/find-coordinator.ts'
import { CODE, refused } from '../error-codes.ts'
import { withPatience, type KafkaLimits } from '../limits.ts'
import type { AskAnyBroker, CallOptions } from './metadata-cache.ts'
import type { Clock } from '../../../model/clock.ts'

/** What is coordinated, and under which name. */
export interface Coordinated {
  readonly kind: CoordinatorKind
  /** A group's id, or a transactional id. */
  readonly key: string
}

/** The cache of one cluster. */
export class CoordinatorCache {
  readonly #ask: AskAnyBroker
  readonly #clock: Clock
  readonly #limits: KafkaLimits
  readonly #found = new Map<string, Promise<number>>()

  constructor(
    ask: AskAnyBroker,
    { clock, limits }: { readonly clock: Clock; readonly limits: KafkaLimits },
  ) {
    this.#ask = ask
    this.#clock = clock
    this.#limits = limits
  }

  /**
   * The node that coordinates. Goes on asking while there is none: the first of a cluster takes a
   * while. Rejects with what kept the answer away, MILLRACE_KAFKA_NOT_AUTHORIZED among it.
   */
  async find(what: Coordinated, options: CallOptions = {}): Promise<number> {
    const { deadlineMs = this.#limits.callDeadlineMs, signal } = options
    signal?.throwIfAborted()
    const late = Promise.withResolvers<never>()
    const timer = this.#clock.timer(deadlineMs, () => late.reject(notNamed(what)))
    try {
      return await untilAborted(Promise.race([this.#answer(what), late.promise]), signal)
    } finally {
      timer.cancel()
    }
  }

  /** The coordinator has moved, or cannot be reached: it is asked for again. */
  forget(what: Coordinated): void {
    this.#found.delete(nameOf(what))
  }

  /** Asks once for all who wait: neither the signal nor the deadline of the first of them ends it for others. */
  #answer(what: Coordinated): Promise<number> {
    const name = nameOf(what)
    const known = this.#found.get(name)
    if (known !== undefined) return known
    const asking = this.#askFor(what)
    this.#found.set(name, asking)
    asking.catch(() => {
      if (this.#found.get(name) === asking) this.#found.delete(name)
    })
    return asking
  }

  async #askFor(what: Coordinated): Promise<number> {
    const { callDeadlineMs: deadlineMs } = this.#limits
    const patience = { clock: this.#clock, limits: this.#limits, deadlineMs }
    return await withPatience(patience, async (leftMs) => {
      const answer = await this.#ask([FIND_COORDINATOR, what], { deadlineMs: leftMs })
      if (answer.errorCode === CODE.none) return answer.nodeId
      const place = `${what.kind} ${what.key}`
      throw refused(answer.errorCode, {
        api: FIND_COORDINATOR.name,
        place,
        detail: answer.errorMessage,
      })
    })
  }
}

function notNamed({ kind, key }: Coordinated): TransportError {
  const detail = 'no broker has named it in time'
  const place = `${kind} ${key}`
  return refused(CODE.coordinatorNotAvailable, { api: FIND_COORDINATOR.name, place, detail })
}

function nameOf({ kind, key }: Coordinated): string {
  return `${kind} ${key}`
}
