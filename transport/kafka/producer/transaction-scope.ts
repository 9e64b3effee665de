/**
 * One transaction of a producer, as far as its requests have to know. Under version 1 a partition takes
 * records of a transaction only after it was added to it, and the answer to EndTxn is not the end: a
 * Produce that is sent right after it, unadded, may get into the transaction before or hang. So each
 * transaction has a scope of its own, which knows no partition at first, and nothing leaves for one
 * that its scope has not admitted. Under version 2, and without transactions, all are admitted.
 */
import { asError } from '../../../model/errors.ts'
import { describePartition, type TopicPartition } from '../../../model/position.ts'
import type { ProducerIdentity } from './producer-identity.ts'
import type { TransactionCoordination } from './transaction-coordination.ts'

/** What a scope tells. */
export interface ScopeListener {
  /** Partitions were admitted. */
  readonly admitted: () => void
  readonly failed: (error: Error) => void
}

/** What belongs to one transaction. */
export class TransactionScope {
  readonly #coordination: TransactionCoordination | undefined
  readonly #identity: ProducerIdentity
  readonly #listener: ScopeListener
  readonly #added = new Set<string>()
  #wanted = new Map<string, TopicPartition>()
  /** What the request under way asks for. */
  #asked: ReadonlyMap<string, TopicPartition> = new Map()
  #adding: Promise<void> | undefined
  readonly #closing = new AbortController()
  #hasStarted = false
  #mayBeRaised = false

  /** Without a coordination there are no transactions. */
  constructor(
    coordination: TransactionCoordination | undefined,
    identity: ProducerIdentity,
    listener: ScopeListener,
  ) {
    this.#coordination = coordination
    this.#identity = identity
    this.#listener = listener
  }

  /** Whether anything was sent that may have opened it, so that it has to be ended. */
  get hasStarted(): boolean {
    return this.#hasStarted
  }

  /**
   * Whether its epoch may have been raised without a successor: the log has it open, or may have it for
   * all that was heard, and then ends it for its age.
   */
  get mayBeRaised(): boolean {
    return this.#mayBeRaised
  }

  /** Whether records may leave for a partition now. Where not, it is asked for, and the listener told later. */
  admits(at: TopicPartition): boolean {
    if (this.#coordination?.version !== 1) return true
    const name = describePartition(at)
    if (this.#added.has(name)) return true
    if (this.#asked.has(name)) return false
    this.#wanted.set(name, at)
    this.#adding ??= this.#add(this.#coordination)
    return false
  }

  /** Something leaves that the log counts to the transaction. */
  start(): void {
    this.#hasStarted = true
  }

  /** The log has taken something of it, or may have: an answer was not heard. */
  reached(): void {
    this.#mayBeRaised = true
  }

  /** Asks for no more partitions; resolves when nothing of that is under way: it could open the next transaction. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the transaction ends'))
    await this.#adding
  }

  /** Adds what is wanted, and what is wanted meanwhile. Never rejects. */
  async #add(coordination: TransactionCoordination): Promise<void> {
    const { signal } = this.#closing
    // What is asked for within the same turn of the loop goes into one request.
    await Promise.resolve()
    try {
      while (this.#wanted.size > 0 && !signal.aborted) {
        this.#asked = this.#wanted
        this.#wanted = new Map()
        this.start()
        const asked = [...this.#asked.values()]
        const onLost = (): void => this.reached()
        await coordination.addPartitions(this.#identity, asked, { signal, onLost })
        this.reached()
        for (const name of this.#asked.keys()) this.#added.add(name)
        this.#listener.admitted()
      }
    } catch (error) {
      if (!signal.aborted) this.#listener.failed(asError(error))
    } finally {
      this.#asked = new Map()
      this.#adding = undefined
    }
  }
}
