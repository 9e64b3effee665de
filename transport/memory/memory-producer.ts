/** A producer of the memory log: the calls of the port over an outbox and the log's transactions. */
import assert from 'node:assert/strict'
import { isMillraceError } from '../../model/errors.ts'
import type { PartitionOffset } from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import { logClosed } from '../log-errors.ts'
import type { ControlType } from '../record-batch.ts'
import type {
  CommittedOffset,
  GroupMetadata,
  Producer,
  ProducerOptions,
  ProducerRecord,
} from '../transport.ts'
import type { Broker } from './broker.ts'
import type { Line } from './faults.ts'
import { Outbox } from './outbox.ts'

/** Milliseconds a transaction may be open unless the producer says otherwise; Kafka's default. */
export const TRANSACTION_TIMEOUT_MS = 60_000

/** What a producer is made of. */
export interface MemoryProducerOptions extends ProducerOptions {
  readonly line: Line
  readonly broker: Broker
  /** Called once, when the producer closes. */
  onClose(): void
}

/**
 * Where the producer stands in its transaction:
 * - none: nothing was sent since init, commit or abort
 * - open: something was sent
 * - committing: a commit's outcome is unknown; only commit and init are left
 */
type TransactionState = 'none' | 'open' | 'committing'

/** A producer, transactional where it has an id. */
export class MemoryProducer implements Producer {
  readonly #options: MemoryProducerOptions
  #outbox: Outbox | undefined
  #transaction: TransactionState = 'none'
  /** Calls of send so far. */
  #sends = 0
  #isDiscarded = false
  #isClosed = false

  constructor(options: MemoryProducerOptions) {
    this.#options = options
  }

  get bufferedBytes(): number {
    return this.#outbox?.bufferedBytes ?? 0
  }

  async init(): Promise<void> {
    this.#refuseClosed()
    const { line, broker, transactionalId, transactionTimeoutMs } = this.#options
    // What an earlier session still has under way is fenced by this one: nobody waits for it.
    void this.#outbox?.drop()
    this.#outbox = undefined
    const session = await line.run({ kind: 'init', ...this.#id }, () =>
      broker.transactions.init(transactionalId, transactionTimeoutMs ?? TRANSACTION_TIMEOUT_MS),
    )
    this.#outbox = new Outbox({ line, broker, session })
    this.#transaction = 'none'
  }

  send(record: ProducerRecord): void {
    assert(!this.#isClosed, 'send after close')
    if (this.#isDiscarded) return
    if (this.#options.transactionalId !== undefined && this.#transaction === 'none') {
      this.#transaction = 'open'
    }
    this.#sends += 1
    this.#initialized().add(record)
  }

  async flush(): Promise<readonly PartitionOffset[]> {
    this.#refuseClosed()
    const outbox = this.#initialized()
    await outbox.settled()
    this.#refuseClosed()
    await this.#options.line.run({ kind: 'flush', ...this.#id }, () => undefined)
    return outbox.takeAcknowledged()
  }

  async sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void> {
    this.#refuseClosed()
    const outbox = this.#transactional('sendOffsets')
    assert(this.#transaction !== 'committing', 'sendOffsets before the outcome of commit is known')
    if (outbox.failure !== undefined) throw outbox.failure
    this.#transaction = 'open'
    const { line, broker } = this.#options
    await this.#stoppedByErrors(outbox, () =>
      line.run({ kind: 'sendOffsets', ...this.#id }, () =>
        broker.transactions.addOffsets(outbox.session, group, offsets),
      ),
    )
  }

  async commit(): Promise<void> {
    this.#refuseClosed()
    const outbox = this.#transactional('commit')
    // An unknown outcome is asked for again before anything else: it does not depend on later sends.
    if (this.#transaction !== 'committing') await outbox.settled()
    if (this.#transaction === 'none') return
    this.#transaction = 'committing'
    try {
      await this.#end(outbox, 'commit')
    } catch (error) {
      if (!isRetriable(error)) this.#transaction = 'open'
      throw error
    }
  }

  async abort(): Promise<void> {
    this.#refuseClosed()
    const outbox = this.#transactional('abort')
    assert(this.#transaction !== 'committing', 'abort before the outcome of commit is known')
    await this.#abort(outbox)
  }

  discard(): void {
    this.#isDiscarded = true
    void this.#outbox?.drop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    try {
      await this.#giveUp()
    } finally {
      this.#isClosed = true
      this.#options.onClose()
    }
  }

  /** Ends what is open as far as that is possible now; where it is not, the timeout or an heir's init does. */
  async #giveUp(): Promise<void> {
    const outbox = this.#outbox
    if (outbox === undefined) return
    await outbox.drop()
    if (this.#transaction !== 'open' || !this.#options.line.isOpen) return
    try {
      await this.#abort(outbox)
    } catch (error) {
      if (!isMillraceError(error)) throw error
    }
  }

  async #abort(outbox: Outbox): Promise<void> {
    await outbox.drop()
    const { failure } = outbox
    if (failure instanceof TransportError && failure.kind === 'fenced') throw failure
    if (this.#transaction === 'open') await this.#end(outbox, 'abort')
    outbox.recover()
  }

  async #end(outbox: Outbox, type: ControlType): Promise<void> {
    const { line, broker } = this.#options
    const { session } = outbox
    const sends = this.#sends
    const next = await this.#stoppedByErrors(outbox, () =>
      line.run({ kind: type, ...this.#id }, () => broker.transactions.end(session, type)),
    )
    outbox.renew(next)
    // What was sent while the end was under way may have begun the next transaction.
    this.#transaction = this.#sends > sends ? 'open' : 'none'
  }

  /** Runs a call; an error that is not retriable is what every later call throws until abort or init. */
  async #stoppedByErrors<T>(outbox: Outbox, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof TransportError && error.kind !== 'retriable') outbox.stop(error)
      throw error
    }
  }

  #transactional(call: string): Outbox {
    assert(this.#options.transactionalId !== undefined, `${call} needs a transactionalId`)
    return this.#initialized()
  }

  #initialized(): Outbox {
    assert(this.#outbox !== undefined, 'init must have succeeded first')
    return this.#outbox
  }

  #refuseClosed(): void {
    if (this.#isClosed || this.#isDiscarded) throw logClosed('producer')
  }

  get #id(): { readonly transactionalId?: string } {
    const { transactionalId } = this.#options
    return transactionalId === undefined ? {} : { transactionalId }
  }
}

function isRetriable(error: unknown): boolean {
  return error instanceof TransportError && error.kind === 'retriable'
}
