/**
 * A producer within the process that holds the log.
 *
 * A failure ends a transaction until it is aborted. Outside transactions it is thrown once, by the
 * next flush: records that were not acknowledged are gone then, and the caller sends them again.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../model/clock.ts'
import { isMillraceError } from '../../model/errors.ts'
import type { PartitionOffset } from '../../model/position.ts'
import { logClosed } from '../log-errors.ts'
import type {
  CommittedOffset,
  GroupMetadata,
  Producer,
  ProducerOptions,
  ProducerRecord,
} from '../transport.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import type { EmbeddedLogLimits } from './limits.ts'
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
  readonly #log: EmbeddedLog
  readonly #options: EmbeddedProducerOptions
  readonly #queue: SendQueue
  #identity: ProducerIdentity | undefined
  #isClosed = false

  constructor(log: EmbeddedLog, options: EmbeddedProducerOptions) {
    this.#log = log
    this.#options = options
    this.#queue = new SendQueue(log, options)
  }

  get bufferedBytes(): number {
    return this.#queue.bufferedBytes
  }

  async init(): Promise<void> {
    this.#assertUsable()
    await this.#queue.drop()
    const { transactionalId, transactionTimeoutMs, limits } = this.#options
    const timeoutMs = transactionTimeoutMs ?? limits.transactionTimeoutMs
    const identity = await this.#log.producers.init(transactionalId, timeoutMs)
    this.#identity = identity
    this.#queue.start(identity)
  }

  send(record: ProducerRecord): void {
    assert(this.#identity !== undefined, 'a producer sends after its init')
    assert(!this.#isClosed, 'the producer is closed')
    this.#queue.send(record)
  }

  async flush(): Promise<readonly PartitionOffset[]> {
    const identity = this.#assertInitialized()
    await this.#queue.settle()
    this.#throwFailure(identity)
    this.#log.producers.assertOpenTo(identity)
    return this.#queue.takeAcknowledged()
  }

  async sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void> {
    const identity = this.#assertInitialized()
    this.#throwFailure(identity)
    this.#log.producers.addOffsets(identity, group.groupId, offsets)
  }

  async commit(): Promise<void> {
    const identity = this.#assertInitialized()
    try {
      await this.#queue.settle({ hold: true })
      this.#throwFailure(identity)
      await this.#log.producers.end(identity, 'commit')
    } finally {
      this.#queue.resume()
    }
  }

  async abort(): Promise<void> {
    const identity = this.#assertInitialized()
    try {
      await this.#queue.drop()
      await this.#log.producers.end(identity, 'abort')
      this.#queue.takeAcknowledged()
      this.#queue.forgive()
    } finally {
      this.#queue.resume()
    }
  }

  /** Outside transactions what is queued goes out first; an open transaction is aborted. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClose()
    const identity = this.#identity
    if (identity === undefined) return
    if (identity.transactionalId === undefined) {
      await this.#queue.settle()
      this.#throwFailure(identity)
      return
    }
    await this.#queue.drop()
    try {
      await this.#log.producers.end(identity, 'abort')
    } catch (error) {
      // Its successor has aborted what it left.
      if (!isMillraceError(error, 'MILLRACE_PRODUCER_FENCED')) throw error
    }
  }

  #throwFailure({ transactionalId }: ProducerIdentity): void {
    const { failure } = this.#queue
    if (failure === undefined) return
    // A transaction that lost a record must not commit: only its abort forgives.
    if (transactionalId === undefined) this.#queue.forgive()
    throw failure
  }

  #assertInitialized(): ProducerIdentity {
    this.#assertUsable()
    assert(this.#identity !== undefined, 'a producer begins with its init')
    return this.#identity
  }

  #assertUsable(): void {
    this.#log.assertOpen()
    if (this.#isClosed) throw logClosed('producer')
  }
}
