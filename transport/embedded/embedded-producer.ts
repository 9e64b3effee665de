/**
 * A producer of an embedded log, in whichever process.
 *
 * A failure ends a transaction until it is aborted. Outside transactions it is thrown once, by the
 * next flush: records that were not acknowledged are gone then, and the caller sends them again. Where
 * an append got lost on its way, so that the log may have it or not, the producer goes on under a new
 * epoch: by its abort, or outside transactions by its next init.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../model/clock.ts'
import { isMillraceError } from '../../model/errors.ts'
import type { PartitionOffset } from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import { logClosed } from '../log-errors.ts'
import type {
  CommittedOffset,
  GroupMetadata,
  Producer,
  ProducerOptions,
  ProducerRecord,
} from '../transport.ts'
import type { LogBroker, TransactionScope } from './broker.ts'
import type { EmbeddedLogLimits } from './limits.ts'
import type { Outcome } from './partition-log.ts'
import type { ProducerIdentity } from './producers.ts'
import { SendQueue } from './send-queue.ts'

/** How a producer of an embedded log behaves. */
export interface EmbeddedProducerOptions extends ProducerOptions {
  readonly clock: Clock
  readonly limits: EmbeddedLogLimits
  readonly onClose: () => void
}

/** Appends to an embedded log. */
export class EmbeddedProducer implements Producer {
  readonly #broker: LogBroker
  readonly #options: EmbeddedProducerOptions
  readonly #queue: SendQueue
  #identity: ProducerIdentity | undefined
  /** The transaction that comes next or is open, counted since the epoch began. */
  #transaction = 0
  #scope: TransactionScope
  /** A commit was asked for, and its outcome is not known. */
  #isCommitting = false
  /** What the caller was told last. */
  #reported: Error | undefined
  #isDiscarded = false
  #isClosed = false

  constructor(broker: LogBroker, options: EmbeddedProducerOptions) {
    this.#broker = broker
    this.#options = options
    this.#scope = this.#newScope()
    this.#queue = new SendQueue(broker, options)
  }

  get bufferedBytes(): number {
    return this.#queue.bufferedBytes
  }

  async init(): Promise<void> {
    this.#assertUsable()
    await this.#queue.drop()
    this.#begin(await this.#introduce(undefined))
    this.#queue.start(this.#assertInitialized())
  }

  send(record: ProducerRecord): void {
    assert(this.#identity !== undefined, 'a producer sends after its init')
    assert(!this.#isClosed, 'the producer is closed')
    if (!this.#isDiscarded) this.#queue.send(record)
  }

  async flush(): Promise<readonly PartitionOffset[]> {
    const identity = this.#assertInitialized()
    await this.#queue.settle()
    this.#assertUsable()
    this.#throwFailure(identity)
    if (identity.transactionalId !== undefined) {
      // Where nothing of it was sent yet, any session will do.
      const scope = this.#scope.session === undefined ? undefined : this.#scope
      await this.#broker.ask('checkProducer', { identity }, { scope })
    }
    return this.#queue.takeAcknowledged()
  }

  async sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void> {
    const identity = this.#assertInitialized()
    this.#throwFailure(identity)
    const scope = this.#scope
    try {
      await this.#broker.ask('addOffsets', { identity, offsets, group }, { scope })
    } catch (error) {
      // Else its records could be committed without the offsets that they come from.
      if (error instanceof TransportError && error.kind === 'abortable') this.#queue.fail(error)
      throw error
    }
  }

  async commit(): Promise<void> {
    const identity = this.#assertInitialized()
    try {
      // An unknown outcome is asked for again before anything else: it does not depend on later sends.
      if (!this.#isCommitting) {
        await this.#queue.settle({ hold: true })
        this.#throwFailure(identity)
      }
      this.#isCommitting = true
      await this.#end(identity, 'commit')
    } catch (error) {
      this.#isCommitting &&= error instanceof TransportError && error.kind === 'retriable'
      throw error
    } finally {
      // Else what was sent meanwhile might come into the transaction whose outcome is not known.
      if (!this.#isCommitting) this.#queue.resume()
    }
  }

  async abort(): Promise<void> {
    const identity = this.#assertInitialized()
    assert(!this.#isCommitting, 'abort before the outcome of commit is known')
    try {
      await this.#queue.drop()
      await this.#end(identity, 'abort')
      this.#queue.takeAcknowledged()
      if (this.#queue.isUncertain) await this.#renew(identity)
      else this.#queue.forgive()
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
    this.#options.onClose()
    const identity = this.#identity
    if (identity === undefined) return
    if (identity.transactionalId === undefined) {
      if (this.#isDiscarded) return
      await this.#queue.settle()
      if (this.#queue.failure !== this.#reported) this.#throwFailure(identity)
      return
    }
    await this.#queue.drop()
    try {
      await this.#end(identity, 'abort')
    } catch (error) {
      // Its successor has aborted what it left; whoever holds the log by now has too.
      if (isMillraceError(error, 'MILLRACE_PRODUCER_FENCED')) return
      if (isMillraceError(error, 'MILLRACE_LOG_UNREACHABLE')) return
      throw error
    }
  }

  async #end(identity: ProducerIdentity, outcome: Outcome): Promise<void> {
    const [transaction, scope] = [this.#transaction, this.#scope]
    await this.#broker.end({ identity, outcome, transaction, scope })
    this.#isCommitting = false
    this.#transaction += 1
    this.#enter()
  }

  /** The next epoch, whose sequences begin anew; what waits for the next transaction stays queued. */
  async #renew(identity: ProducerIdentity): Promise<void> {
    this.#begin(await this.#introduce(identity))
    this.#queue.renew(this.#assertInitialized())
  }

  async #introduce(after: ProducerIdentity | undefined): Promise<ProducerIdentity> {
    const { transactionalId, transactionTimeoutMs, limits } = this.#options
    const timeoutMs = transactionTimeoutMs ?? limits.transactionTimeoutMs
    const isOnce = after !== undefined
    return await this.#broker.ask('initProducer', { transactionalId, timeoutMs, after }, { isOnce })
  }

  #begin(identity: ProducerIdentity): void {
    this.#identity = identity
    this.#transaction = 0
    this.#isCommitting = false
    this.#enter()
  }

  /** Whatever leaves from now on belongs to another transaction. */
  #enter(): void {
    this.#scope = this.#newScope()
    const isTransactional = this.#identity?.transactionalId !== undefined
    this.#queue.enter(isTransactional ? this.#scope : undefined)
  }

  #newScope(): TransactionScope {
    return { transactionalId: this.#options.transactionalId ?? '', session: undefined }
  }

  #throwFailure({ transactionalId }: ProducerIdentity): void {
    const { failure } = this.#queue
    if (failure === undefined) return
    this.#reported = failure
    // A transaction that lost a record must not commit: only its abort forgives.
    if (transactionalId === undefined && !this.#queue.isUncertain) this.#queue.forgive()
    throw failure
  }

  #assertInitialized(): ProducerIdentity {
    this.#assertUsable()
    assert(this.#identity !== undefined, 'a producer begins with its init')
    return this.#identity
  }

  #assertUsable(): void {
    this.#broker.assertOpen()
    if (this.#isClosed || this.#isDiscarded) throw logClosed('producer')
  }
}
