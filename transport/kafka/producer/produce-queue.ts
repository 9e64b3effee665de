/**
 * The records of a producer that are not acknowledged: gathered into batches by partition while they
 * are sent, and let go when a batch is full, when it has waited for a few milliseconds, or at a flush.
 *
 * Records belong to a turn, which is a transaction: what is sent while one ends waits for the next.
 * Within a transaction the first failure ends it, so that all that is queued is dropped at once.
 */
import type { Timer } from '../../../model/clock.ts'
import type { PartitionOffset, TopicPartition } from '../../../model/position.ts'
import { recordBytesAtMost } from '../../record-batch-builder.ts'
import type { ProducerRecord } from '../../transport.ts'
import { PartitionOutbox, type Gathering } from './partition-outbox.ts'
import type { PendingBatch } from './pending-batch.ts'
import type { DispatchHost, DispatchOptions, ProduceSession } from './dispatch-host.ts'
import { ProduceDispatch } from './produce-dispatch.ts'
import { deliveryFailed, outOfOrder, producerFull } from './producer-errors.ts'
import { nextEpoch, type ProducerIdentity } from './producer-identity.ts'

/** Milliseconds between two looks for batches whose deadline has passed, at least. */
const EXPIRY_LOOK_MS = 100

/** The queue of one producer. */
export class ProduceQueue implements DispatchHost {
  readonly #options: DispatchOptions
  readonly #dispatch: ProduceDispatch
  readonly #outboxes = new Map<string, (PartitionOutbox | undefined)[]>()
  readonly #active = new Set<PartitionOutbox>()
  readonly #now: () => number
  #session: ProduceSession | undefined
  #bufferedBytes = 0
  /** How records are gathered that are sent now; the turn that they belong to may not leave yet. */
  #gathering: Gathering
  #turn = 0
  #isStopped = false
  #failure: Error | undefined
  /** Outside transactions: what each flush has to tell, which answers for something that was lost. */
  readonly #untold = new Map<number, Error>()
  #isUncertain = false
  #linger: Timer | undefined
  #expiry: Timer | undefined

  constructor(options: DispatchOptions) {
    this.#options = options
    this.#dispatch = new ProduceDispatch(this, options)
    const { clock } = options.link
    this.#now = () => clock.monotonic()
    this.#gathering = { batchBytes: options.limits.batchBytes, turn: 0, flush: 0, now: this.#now }
  }

  /** Bytes queued or under way. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** The first thing that went wrong since `forgive`. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Whether the log may have a batch that was given up: its numbers must not be used for others. */
  get isUncertain(): boolean {
    return this.#isUncertain
  }

  get session(): ProduceSession | undefined {
    return this.#isStopped ? undefined : this.#session
  }

  get outboxes(): readonly PartitionOutbox[] {
    return [...this.#active]
  }

  get turn(): number {
    return this.#turn
  }

  get isGivingUp(): boolean {
    return this.#isStopped || this.#isLost
  }

  /** What leaves from now on leaves on behalf of this session. Nothing may be under way. */
  enter(session: ProduceSession): void {
    this.#session = session
  }

  /** Sends what may leave now. */
  pump(): void {
    this.#dispatch.pump()
  }

  /** Queues a record, or notes why it cannot be. */
  send(record: ProducerRecord): void {
    // It could only be aborted, or come before one that is under way still.
    if (this.#isLost) return
    const { limits } = this.#options
    const mostBytes = recordBytesAtMost(record)
    const isOver = this.#bufferedBytes + mostBytes > limits.producerBytes
    if (isOver && this.#bufferedBytes > 0) {
      const error = producerFull(record, limits.producerBytes)
      this.#lose(this.#gathering, error)
      this.fail(error)
      return
    }
    const outbox = this.#outbox(record)
    this.#active.add(outbox)
    const before = outbox.queued.length
    const grownBytes = outbox.add(record, mostBytes, this.#gathering)
    this.#bufferedBytes += grownBytes
    this.#linger ??= this.#options.link.clock.timer(limits.lingerMs, () => this.#lingered())
    if (outbox.queued.length > before) this.#begun(outbox)
    if (grownBytes >= limits.batchBytes) this.#filled(outbox, outbox.queued.at(-1))
  }

  /**
   * Waits until all that was sent before is acknowledged or given up. Never rejects.
   * With `hold` what is sent from now on stays until `resume`: it belongs to the next turn. Returns the
   * number of this flush, for `takeFailure`.
   */
  async settle({ hold = false }: { readonly hold?: boolean } = {}): Promise<number> {
    const { turn, flush } = this.#gathering
    this.#gathering = { ...this.#gathering, turn: hold ? turn + 1 : turn, flush: flush + 1 }
    const waits: Promise<void>[] = []
    for (const outbox of this.#active) {
      // Came behind a record that is lost, and would not leave before this flush told of that one.
      if (outbox.failure !== undefined) this.#dropQueued(outbox, outbox.failure)
      for (const batch of outbox.inFlight) waits.push(batch.settled)
      for (const batch of outbox.queued) {
        if (batch.turn > this.#turn) continue
        outbox.isDue = true
        // What is sent while this waits goes into another batch, and is not waited for.
        if (batch.isOpen) this.#dispatch.close(outbox, batch)
        waits.push(batch.settled)
      }
    }
    this.#dispatch.pump()
    await Promise.all(waits)
    for (const outbox of this.#all()) if (outbox.failure !== undefined) await this.#restart(outbox)
    return flush
  }

  /** Drops what is queued and waits for what is under way; nothing leaves before `resume`. */
  async drop(): Promise<void> {
    this.#isStopped = true
    for (const outbox of this.#active) this.#dropQueued(outbox)
    await this.#session?.scope.close()
    for (const outbox of this.#all()) await this.#restart(outbox)
  }

  /** Lets records leave again, those that were held back first. */
  resume(): void {
    this.#isStopped = false
    this.#turn = this.#gathering.turn
    this.#dispatch.pump()
  }

  /** Something that belongs to the transaction did not come into it. */
  fail(error: Error): void {
    this.#failure ??= error
    if (!this.#isLost) return
    for (const outbox of this.#active) this.#dropQueued(outbox)
  }

  /** A failure turned out to be another one. */
  correct(failure: Error): void {
    this.#failure = failure
  }

  /**
   * What a flush that has settled must tell. Where the log may have some of what was given up, and in a
   * transaction, that is the first thing that went wrong, until `forgive`; else what it lost, once.
   */
  takeFailure(flush: number): Error | undefined {
    if (this.#isLost) return this.#failure
    const failure = this.#untold.get(flush)
    this.#untold.delete(flush)
    if (this.#untold.size === 0) this.#failure = undefined
    return failure
  }

  /** Forgets what went wrong: it does not matter under the identity that holds now. */
  forgive(): void {
    this.#failure = undefined
    this.#untold.clear()
  }

  /** Numbers that are not certain are of an epoch that is over. */
  trust(): void {
    this.#isUncertain = false
  }

  /** The offset of the last acknowledged record of each partition, since this was asked before. */
  takeAcknowledged(): readonly PartitionOffset[] {
    const acknowledged: PartitionOffset[] = []
    for (const outbox of this.#all()) {
      const offset = outbox.takeAcknowledged()
      const { topic, partition } = outbox.at
      if (offset !== undefined) acknowledged.push({ topic, partition, offset })
    }
    return acknowledged
  }

  /** No timer is left behind. */
  close(): void {
    this.#isStopped = true
    this.#linger?.cancel()
    this.#expiry?.cancel()
    this.#dispatch.stop()
  }

  landed(batch: PendingBatch): void {
    this.#bufferedBytes -= batch.countedBytes
    if (this.#bufferedBytes > 0) return
    this.#expiry?.cancel()
    this.#expiry = undefined
    for (const outbox of this.#active) if (outbox.isIdle) this.#active.delete(outbox)
  }

  refused(outbox: PartitionOutbox, batch: PendingBatch, error: Error): void {
    outbox.giveUp(batch)
    this.#lost(batch, error)
    this.stuck(outbox, error)
  }

  stuck(outbox: PartitionOutbox, error: Error): void {
    outbox.failure ??= error
    // What stands behind it would come after a record that is lost.
    this.#dropQueued(outbox, error)
    this.fail(error)
  }

  outdated(identity: ProducerIdentity): void {
    const session = this.#session
    if (session === undefined || session.identity !== identity) return
    const next = nextEpoch(identity)
    if (next !== undefined) this.#session = { ...session, identity: next }
    else {
      this.#isUncertain = true
      for (const outbox of this.#active) this.stuck(outbox, outOfOrder(outbox.at))
    }
  }

  split(batch: PendingBatch, parts: readonly PendingBatch[]): void {
    for (const part of parts) this.#bufferedBytes += part.countedBytes
    this.#bufferedBytes -= batch.countedBytes
  }

  /** A transaction that has failed can only be aborted, and numbers that are not certain only be left. */
  get #isLost(): boolean {
    return this.#failure !== undefined && (this.#isTransactional || this.#isUncertain)
  }

  get #isTransactional(): boolean {
    return this.#session?.transactionalId !== null
  }

  /** A batch began: the one before it is full. */
  #begun(outbox: PartitionOutbox): void {
    const { link, limits } = this.#options
    this.#expiry ??= link.clock.timer(limits.deliveryTimeoutMs, () => this.#expire())
    if (outbox.queued.length > 1) this.#filled(outbox, outbox.queued.at(-2))
  }

  #filled(outbox: PartitionOutbox, batch: PendingBatch | undefined): void {
    if (batch?.isOpen === true) this.#dispatch.close(outbox, batch)
    this.#dispatch.pump()
  }

  #lingered(): void {
    this.#linger = undefined
    for (const outbox of this.#active) outbox.isDue = outbox.queued.length > 0
    this.#dispatch.pump()
  }

  /** Gives up what waits for too long. What is under way is judged when it comes back. */
  #expire(): void {
    const { link, limits } = this.#options
    this.#expiry = undefined
    let oldestMs = Infinity
    for (const outbox of this.#active) {
      const [head] = outbox.queued
      if (head === undefined || head.turn > this.#turn) continue
      if (this.#now() - head.queuedAtMs >= limits.deliveryTimeoutMs) {
        this.stuck(outbox, deliveryFailed(outbox.at, head, limits.deliveryTimeoutMs))
      } else oldestMs = Math.min(oldestMs, head.queuedAtMs)
    }
    if (this.#bufferedBytes === 0) return
    const leftMs = oldestMs + limits.deliveryTimeoutMs - this.#now()
    const delayMs = Math.min(Math.max(EXPIRY_LOOK_MS, leftMs), limits.deliveryTimeoutMs)
    this.#expiry = link.clock.timer(delayMs, () => this.#expire())
  }

  #dropQueued(outbox: PartitionOutbox, reason?: Error): void {
    for (const batch of outbox.drop()) this.#lost(batch, reason)
  }

  /** A batch is given up; without a reason nobody asks for it any more. */
  #lost(batch: PendingBatch, reason: Error | undefined): void {
    this.#isUncertain ||= batch.isUncertain
    if (reason !== undefined) this.#lose(batch, reason)
    this.landed(batch)
  }

  /** The flush that answers for it has to tell. */
  #lose({ flush }: { readonly flush: number }, reason: Error): void {
    this.#failure ??= reason
    if (!this.#untold.has(flush)) this.#untold.set(flush, reason)
  }

  /** Waits for what is under way of an outbox, and lets it begin behind what was acknowledged. */
  async #restart(outbox: PartitionOutbox): Promise<void> {
    while (outbox.inFlight.length > 0) {
      await Promise.all(outbox.inFlight.map(({ settled }) => settled))
    }
    this.#dropQueued(outbox, outbox.failure)
    outbox.restart()
  }

  #outbox({ topic, partition }: TopicPartition): PartitionOutbox {
    let ofTopic = this.#outboxes.get(topic)
    if (ofTopic === undefined) {
      ofTopic = []
      this.#outboxes.set(topic, ofTopic)
    }
    const known = ofTopic[partition]
    if (known !== undefined) return known
    const outbox = new PartitionOutbox({ topic, partition })
    ofTopic[partition] = outbox
    return outbox
  }

  #all(): readonly PartitionOutbox[] {
    return [...this.#outboxes.values()].flat().filter((outbox) => outbox !== undefined)
  }
}
