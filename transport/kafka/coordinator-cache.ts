/** Which broker keeps a group, or a transactional id: asked for once, and again when it says it is not the one. */
import { FIND_COORDINATOR, type CoordinatorKind } from './api/find-coordinator.ts'
import { CODE, refused } from './error-codes.ts'
import { withPatience, type KafkaLimits } from './limits.ts'
import type { AskAnyBroker, CallOptions } from './metadata-cache.ts'
import type { Clock } from '../../model/clock.ts'

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
    const name = nameOf(what)
    let found = this.#found.get(name)
    if (found === undefined) {
      found = this.#askFor(what, options)
      this.#found.set(name, found)
      found.catch(() => this.#found.delete(name))
    }
    const node = await found
    options.signal?.throwIfAborted()
    return node
  }

  /** The coordinator has moved, or cannot be reached: it is asked for again. */
  forget(what: Coordinated): void {
    this.#found.delete(nameOf(what))
  }

  async #askFor(what: Coordinated, options: CallOptions): Promise<number> {
    const { deadlineMs = this.#limits.callDeadlineMs } = options
    const patience = {
      clock: this.#clock,
      limits: this.#limits,
      deadlineMs,
      signal: options.signal,
    }
    return await withPatience(patience, async (leftMs) => {
      const asked = { ...options, deadlineMs: leftMs }
      const answer = await this.#ask([FIND_COORDINATOR, what], asked)
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

function nameOf({ kind, key }: Coordinated): string {
  return `${kind} ${key}`
}
