/**
 * Where a simulation reaches into the memory log: every operation between a client and the log asks
 * `Faults.decide` for its fate, one question per attempt and in an order that only the calls and the
 * clock decide. So one seed gives one run. Without faults every operation takes effect on the next
 * microtask.
 *
 * A request that left is not called back: it takes effect when its delay is over, even if its
 * process was killed meanwhile, as a request in a socket does.
 */
import { sleep, type Clock } from '../../model/clock.ts'
import { asError } from '../../model/errors.ts'
import { describePartition, type TopicPartition } from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import { logClosed } from '../log-errors.ts'

/** What a client asks of the log. */
export type OperationKind =
  | 'fetch'
  | 'readAt'
  | 'produce'
  | 'flush'
  | 'init'
  | 'sendOffsets'
  | 'commit'
  | 'abort'
  | 'describeTopics'
  | 'createTopics'
  | 'deleteTopics'
  | 'deleteRecords'
  | 'offsets'
  | 'committedOffsets'
  | 'commitOffsets'
  | 'deleteGroup'
  | 'describeGroup'
  | 'joinGroup'
  | 'syncGroup'
  | 'heartbeat'
  | 'leaveGroup'

/** One attempt at an operation. */
export interface Operation {
  readonly kind: OperationKind
  /** The connection's name. */
  readonly connection: string
  /** The partition of a fetch, readAt or produce. */
  readonly at?: TopicPartition
  /** Of a transactional producer's operation. */
  readonly transactionalId?: string
  /** Of a member's request. */
  readonly groupId?: string
}

/** What happens to an operation. Everything left out goes well. */
export interface Fate {
  /**
   * - done: it takes effect and is answered (the default)
   * - refused: it fails before it takes effect, with kind retriable
   * - lost: it takes effect, but the answer does not come back; the caller sees kind retriable
   */
  readonly outcome?: 'done' | 'refused' | 'lost'
  /** Milliseconds until it takes effect. */
  readonly requestDelayMs?: number
  /** Milliseconds from its effect to its answer. */
  readonly responseDelayMs?: number
  /** Makes a fetch answer with less: as many batches as fit, but at least one. */
  readonly maxBytes?: number
  /** Elects a new leader of the operation's partition before it takes effect. No record is lost. */
  readonly newLeader?: boolean
}

/** What a marker ends: a partition's records, or the offsets of all groups of a transaction. */
export interface Marker {
  readonly type: 'commit' | 'abort'
  readonly transactionalId: string
  /** Left out for the transaction's offsets. */
  readonly at?: TopicPartition
}

/** Decides about every operation. Must answer the same to the same sequence of questions. */
export interface Faults {
  /** The fate of an operation; undefined where all goes well. */
  decide(operation: Operation): Fate | undefined
  /**
   * Milliseconds from the end of a transaction to one of its markers. Between them a reader may see
   * its offsets and not yet its records, as in Kafka; the commit answers when all are written.
   */
  markerDelayMs?(marker: Marker): number
}

/** The line between one connection and the log: its faults, its end. */
export class Line {
  readonly clock: Clock
  readonly #name: string
  readonly #faults: Faults | undefined
  #state: 'open' | 'closed' | 'killed' = 'open'

  constructor({ clock, name, faults }: LineOptions) {
    this.clock = clock
    this.#name = name
    this.#faults = faults
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** From now on every operation fails with MILLRACE_LOG_CLOSED. */
  close(): void {
    if (this.#state === 'open') this.#state = 'closed'
  }

  /** From now on nothing leaves and nothing is answered: promises stay open for ever, as those of a dead process. */
  kill(): void {
    this.#state = 'killed'
  }

  /** Carries an operation to its effect and back. The signal ends the wait, not the effect. */
  async run<T>(
    operation: Omit<Operation, 'connection'>,
    effect: (fate: Fate) => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    if (this.#state === 'killed') return await forever()
    if (this.#state === 'closed') throw logClosed('log')
    const fate = this.#faults?.decide({ ...operation, connection: this.#name }) ?? {}
    await this.#travel(fate.requestDelayMs, signal)
    const answer = await answerOf(operation, fate, effect)
    await this.#travel(fate.responseDelayMs, signal)
    return this.#isKilled() ? await forever() : answer()
  }

  #isKilled(): boolean {
    return this.#state === 'killed'
  }

  async #travel(delayMs = 0, signal?: AbortSignal): Promise<void> {
    if (delayMs > 0) await sleep(this.clock, delayMs, signal)
    else await Promise.resolve()
    signal?.throwIfAborted()
  }
}

/** What a line is made of. */
export interface LineOptions {
  readonly clock: Clock
  /** How faults and messages call the connection. */
  readonly name: string
  readonly faults: Faults | undefined
}

/** Lets an operation take effect where its fate allows it; returns what its caller is told, as a call that returns or throws. */
async function answerOf<T>(
  operation: Omit<Operation, 'connection'>,
  fate: Fate,
  effect: (fate: Fate) => T | Promise<T>,
): Promise<() => T> {
  const fail = (error: Error) => (): never => {
    throw error
  }
  if (fate.outcome === 'refused') return fail(refused(operation))
  try {
    const result = await effect(fate)
    return fate.outcome === 'lost' ? fail(lost(operation)) : () => result
  } catch (error) {
    return fail(fate.outcome === 'lost' ? lost(operation) : asError(error))
  }
}

/** A wait that a dead process is in. */
function forever(): Promise<never> {
  return new Promise(() => {})
}

function refused(operation: Omit<Operation, 'connection'>): TransportError {
  const place = placeOf(operation)
  return new TransportError('MILLRACE_REQUEST_REFUSED', 'retriable', {
    message: `The log refused ${operation.kind} of ${place} for now; nothing of it happened. Try again.`,
    place,
  })
}

function lost(operation: Omit<Operation, 'connection'>): TransportError {
  const place = placeOf(operation)
  return new TransportError('MILLRACE_ANSWER_LOST', 'retriable', {
    message: `The answer to ${operation.kind} of ${place} was lost; whether it took effect is not known. Ask again.`,
    place,
  })
}

function placeOf({ at, transactionalId, groupId }: Omit<Operation, 'connection'>): string {
  return at === undefined ? (transactionalId ?? groupId ?? 'the log') : describePartition(at)
}
