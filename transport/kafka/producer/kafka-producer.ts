/**
 * A producer on Kafka: the calls of the port over a queue of batches and the coordination of its
 * transactions. Outputs go first, then offsets, then the end, and each only after every answer of what
 * comes before it.
 *
 * - A failure ends a transaction until it is aborted. Outside transactions it is thrown by each flush that
 *   answers for something it cost; where the log may have some of that, by every one before the next init.
 * - A broker that ends a transaction for its age looks to its producer like a successor that took over:
 *   both raise the epoch, and so does an own init that was not heard and is served late. They are told
 *   apart by claiming the epoch after one's own: a successor takes two (`TransactionCoordination.init`),
 *   so that nobody claims it from under one that is ready. It is claimed only where the log had the
 *   transaction open, or may have for want of an answer; else nothing but a successor is left.
 */
import assert from 'node:assert/strict'
import { asError } from '../../../model/errors.ts'
import type { PartitionOffset } from '../../../model/position.ts'
import { TransportError } from '../../errors.ts'
import { logClosed, transactionTimedOut } from '../../log-errors.ts'
import type {
  CommittedOffset,
  GroupMetadata,
  Producer,
  ProducerOptions,
  ProducerRecord,
} from '../../transport.ts'
import type { Compression } from '../codecs.ts'
import { plainIdentity } from './plain-identity.ts'
import { ProduceQueue } from './produce-queue.ts'
import type { ProducerIdentity } from './producer-identity.ts'
import type { ProducerPatience } from './producer-limits.ts'
import type { ProducerLink } from './producer-link.ts'
import { TransactionCoordination, VERSIONS } from './transaction-coordination.ts'
import { TransactionScope } from './transaction-scope.ts'

/** How a producer on Kafka behaves. */
export interface KafkaProducerOptions extends ProducerOptions {
  readonly limits: ProducerPatience
  /** Default: none. */
  readonly compression?: Compression
  readonly onClose?: () => void
}

/** Appends to the topics of a cluster. Closing it closes its link. */
export class KafkaProducer implements Producer {
  readonly #link: ProducerLink
  readonly #options: KafkaProducerOptions
  readonly #queue: ProduceQueue
  /** Undefined without transactions. */
  readonly #coordination: TransactionCoordination | undefined
  #identity: ProducerIdentity | undefined
  #scope: TransactionScope | undefined
  /** The identity after a transaction that the broker ended for its age. */
  #reclaimed: ProducerIdentity | undefined
  /** A commit was asked for, and its outcome is not known. */
  #isCommitting = false
  /** Whether an answer to that commit was lost: a refusal does not tell what became of it then. */
  #isCommitLost = false
  #isDiscarded = false
  #isClosed = false

  constructor(link: ProducerLink, options: KafkaProducerOptions) {
    this.#link = link
    this.#options = options
    const { limits, compression = 'none', transactionalId } = options
    this.#queue = new ProduceQueue({ link, limits, compression })
    const transactionTimeoutMs = options.transactionTimeoutMs ?? limits.transactionTimeoutMs
    this.#coordination =
      transactionalId === undefined
        ? undefined
        : new TransactionCoordination(link, { transactionalId, transactionTimeoutMs, limits })
  }

  get bufferedBytes(): number {
    return this.#queue.bufferedBytes
  }

  async init(): Promise<void> {
    this.#assertUsable()
    const before = this.#queue.session?.identity
    this.#identity = undefined
    await this.#queue.drop()
    this.#queue.takeAcknowledged()
    const { limits } = this.#options
    const identity = await (this.#coordination?.init() ?? plainIdentity(this.#link, limits, before))
    this.#isCommitting = false
    this.#isCommitLost = false
    this.#begin(identity)
    this.#clear()
    this.#queue.resume()
  }

  send(record: ProducerRecord): void {
    assert(this.#identity !== undefined, 'a producer sends after its init')
    assert(!this.#isClosed, 'the producer is closed')
    if (!this.#isDiscarded) this.#queue.send(record)
  }

  async flush(): Promise<readonly PartitionOffset[]> {
    this.#assertInitialized()
    const flush = await this.#queue.settle()
    this.#assertUsable()
    await this.#throwFailure(flush)
    return this.#queue.takeAcknowledged()
  }

  async sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void> {
    const identity = this.#assertInitialized()
    const coordination = this.#assertTransactional()
    const flush = await this.#queue.settle()
    await this.#throwFailure(flush)
    const scope = this.#scope
    scope?.start()
    try {
      await coordination.commitOffsets(identity, { offsets, group }, () => scope?.reached())
      scope?.reached()
    } catch (error) {
      // Else its records could be committed without the offsets that they come from.
      this.#queue.fail(asError(error))
      await this.#throwFailure(flush)
    }
  }

  async commit(): Promise<void> {
    const identity = this.#assertInitialized()
    this.#assertTransactional()
    try {
      // An unknown outcome is asked for again before anything else: it does not depend on later sends.
      if (!this.#isCommitting) {
        await this.#throwFailure(await this.#queue.settle({ hold: true }))
        await this.#scope?.close()
        if (this.#scope?.hasStarted !== true) return
      }
      this.#isCommitting = true
      this.#begin(await this.#end(identity, true))
      this.#isCommitting = false
    } catch (error) {
      this.#isCommitting &&= error instanceof TransportError && error.kind === 'retriable'
      throw error
    } finally {
      // Else what was sent meanwhile might come into the transaction whose outcome is not known.
      if (!this.#isCommitting) {
        this.#isCommitLost = false
        this.#queue.resume()
      }
    }
  }

  async abort(): Promise<void> {
    const identity = this.#assertInitialized()
    this.#assertTransactional()
    assert(!this.#isCommitting, 'abort before the outcome of commit is known')
    try {
      await this.#queue.drop()
      this.#begin(await this.#abort(identity))
      this.#clear()
      this.#queue.takeAcknowledged()
    } catch (error) {
      // Until it is aborted nothing may get into it, nor into the one after it.
      this.#queue.fail(asError(error))
      throw error
    } finally {
      this.#queue.resume()
    }
  }

  discard(): void {
    this.#isDiscarded = true
    void this.#queue.drop()
  }

  /** Outside transactions what is queued goes out first; an open transaction is aborted. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClose?.()
    try {
      await this.#leave()
    } finally {
      this.#queue.close()
      await this.#link[Symbol.asyncDispose]()
    }
  }

  async #leave(): Promise<void> {
    const identity = this.#identity
    if (identity === undefined) return
    if (this.#coordination === undefined) {
      if (this.#isDiscarded) return
      await this.#throwFailure(await this.#queue.settle())
      return
    }
    const { failure } = this.#queue
    await this.#queue.drop()
    // Its successor has aborted what it left; and whoever asked for a commit may have got it.
    const isFenced = failure instanceof TransportError && failure.kind === 'fenced'
    if (isFenced || this.#isCommitting || this.#scope?.hasStarted !== true) return
    const { closeDeadlineMs: deadlineMs } = this.#options.limits
    try {
      await this.#coordination.end(identity, { isCommit: false, deadlineMs })
    } catch (error) {
      // Out of reach, or another one's: the log ends it, or has ended it.
      if (!(error instanceof TransportError) || error.kind === 'fatal') throw error
    }
  }

  /** Ends the open transaction. Returns the identity of the next one. */
  async #end(identity: ProducerIdentity, isCommit: boolean): Promise<ProducerIdentity> {
    const coordination = this.#assertTransactional()
    try {
      const onLost = (): void => {
        if (isCommit) this.#isCommitLost = true
      }
      return await coordination.end(identity, { isCommit, onLost })
    } catch (error) {
      if (!(error instanceof TransportError) || error.kind === 'retriable') throw error
      // What it says of the transaction is newer than what went wrong before.
      this.#queue.fail(error)
      const final = await this.#adjudicated(error)
      this.#queue.correct(final)
      throw final
    }
  }

  /** Aborts what is open, if anything is. Returns an identity under which numbers begin anew where that is needed. */
  async #abort(identity: ProducerIdentity): Promise<ProducerIdentity> {
    const coordination = this.#assertTransactional()
    let next = identity
    try {
      if (this.#queue.failure !== undefined) await this.#adjudicated(this.#queue.failure)
      const mustEnd = this.#takenBack() === undefined && this.#scope?.hasStarted === true
      if (mustEnd) next = await this.#end(identity, false)
    } catch (error) {
      // The broker had ended it for its age: that is an abort as well.
      if (this.#takenBack() === undefined) throw error
    }
    const mustFollow = next === identity && this.#queue.isUncertain
    return this.#takenBack() ?? (mustFollow ? await coordination.follow(identity) : next)
  }

  #takenBack(): ProducerIdentity | undefined {
    return this.#reclaimed
  }

  /** Whatever leaves from now on belongs to another transaction. */
  #begin(identity: ProducerIdentity): void {
    this.#identity = identity
    this.#reclaimed = undefined
    const coordination = this.#coordination
    const scope = new TransactionScope(coordination, identity, {
      admitted: () => this.#queue.pump(),
      failed: (error) => this.#queue.fail(error),
    })
    this.#scope = scope
    this.#queue.enter({
      identity,
      transactionalId: coordination?.transactionalId ?? null,
      version: VERSIONS[coordination?.version ?? 1].produce,
      scope,
    })
  }

  /** Nothing of what went wrong matters under the identity that holds now. */
  #clear(): void {
    this.#queue.forgive()
    this.#queue.trust()
  }

  /** Throws what a flush has to tell. A transaction that lost a record must not commit: only its abort forgives. */
  async #throwFailure(flush: number): Promise<void> {
    const failure = this.#queue.takeFailure(flush)
    if (failure !== undefined) throw await this.#adjudicated(failure)
  }

  /** The failure as it is: a transaction that the broker ended for its age is not fenced. */
  async #adjudicated(failure: Error): Promise<Error> {
    const coordination = this.#coordination
    const identity = this.#identity
    if (coordination === undefined || identity === undefined) return failure
    if (!(failure instanceof TransportError) || failure.kind !== 'fenced') return failure
    if (this.#scope?.mayBeRaised !== true && !coordination.hasUnheardInit) return failure
    // Under version 1 an own init that came late, after the commit, would pass for the end of its age.
    if (this.#isCommitLost && coordination.version === 1) return failure
    const { producerId, producerEpoch } = identity
    try {
      this.#reclaimed = await coordination.follow({ producerId, producerEpoch: producerEpoch + 1 })
    } catch {
      // Somebody came after the broker, or nobody can tell: it stays what it looked like.
      return failure
    }
    const timedOut = transactionTimedOut(coordination.transactionalId)
    this.#queue.correct(timedOut)
    return timedOut
  }

  #assertInitialized(): ProducerIdentity {
    this.#assertUsable()
    assert(this.#identity !== undefined, 'a producer begins with its init')
    return this.#identity
  }

  #assertTransactional(): TransactionCoordination {
    assert(this.#coordination !== undefined, 'a producer without transactions')
    return this.#coordination
  }

  #assertUsable(): void {
    if (this.#isClosed || this.#isDiscarded) throw logClosed('producer')
  }
}
