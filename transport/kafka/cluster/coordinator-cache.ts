/** Which broker keeps a group, or a transactional id: asked for once, and again when it says it is not the one. */
import type { TransportError } from '../../errors.ts'
import { FIND_COORDINATOR, type CoordinatorKind } from '../api/find-coordinator.ts'
import { CODE, refused } from '../error-codes.ts'
import { withPatience } from '../limits.ts'
import type { AskAnyBroker, CacheSetting, CallOptions } from './metadata-cache.ts'
import { SharedWork } from './shared-work.ts'
import { withinDeadline } from './within-deadline.ts'

/** What is coordinated, and under which name. */
export interface Coordinated {
  readonly kind: CoordinatorKind
  /** A group's id, or a transactional id. */
  readonly key: string
}

/** The cache of one cluster. */
export class CoordinatorCache {
  readonly #ask: AskAnyBroker
  readonly #setting: CacheSetting
  readonly #found = new Map<string, SharedWork<number>>()

  constructor(ask: AskAnyBroker, setting: CacheSetting) {
    this.#ask = ask
    this.#setting = setting
  }

  /**
   * The node that coordinates. Goes on asking while there is none: the first of a cluster takes a
   * while. Rejects with what kept the answer away, MILLRACE_KAFKA_NOT_AUTHORIZED among it.
   */
  async find(what: Coordinated, options: CallOptions = {}): Promise<number> {
    const { clock, limits } = this.#setting
    const { deadlineMs = limits.callDeadlineMs, signal } = options
    signal?.throwIfAborted()
    const answer = this.#answer(what)
    const late = (): Error => this.#setting.trouble ?? notNamed(what)
    return await withinDeadline({ clock, deadlineMs, signal, late }, (own) => answer.wait(own))
  }

  /** The coordinator has moved, or cannot be reached: it is asked for again. */
  forget(what: Coordinated): void {
    this.#found.delete(nameOf(what))
  }

  /** Asks once for all who wait: neither the signal nor the deadline of the first of them ends it for others. */
  #answer(what: Coordinated): SharedWork<number> {
    const name = nameOf(what)
    const known = this.#found.get(name)
    if (known !== undefined && !known.isLost) return known
    const asking = new SharedWork((end) => this.#askFor(what, end))
    this.#found.set(name, asking)
    return asking
  }

  async #askFor(what: Coordinated, signal: AbortSignal): Promise<number> {
    const { clock, limits } = this.#setting
    // It ends with the last of those who wait.
    const patience = { clock, limits, deadlineMs: Number.POSITIVE_INFINITY, signal }
    return await withPatience(patience, async (deadlineMs) => {
      const answer = await this.#ask([FIND_COORDINATOR, what], { deadlineMs, signal })
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
