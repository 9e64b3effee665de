/**
 * The sending half of a producer. Records are encoded while they are sent. They leave for their
 * segment at a flush, when enough are queued, or a few milliseconds later; two writes of a partition
 * may be under way, so that the CRC of one is computed while the disk takes the other. If the first
 * of them fails, the log refuses the second for its sequence: order holds without waiting.
 */
import type { Clock, Timer } from '../../model/clock.ts'
import { asError, isMillraceError } from '../../model/errors.ts'
import { describePartition, type PartitionOffset } from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import { recordTooLarge, recordWithoutKey, unknownPartition } from '../log-errors.ts'
import { loneBatchBytes, recordBytesAtMost } from '../record-batch-builder.ts'
import type { ProducerRecord } from '../transport.ts'
import type { LogBroker, TopicFacts, TransactionScope } from './broker.ts'
import type { EmbeddedLogLimits } from './limits.ts'
import { Outbox } from './outbox.ts'
import type { ProducerIdentity } from './producers.ts'

/** The records of one producer that are not acknowledged. */
export class SendQueue {
  readonly #broker: LogBroker
  readonly #clock: Clock
  readonly #limits: EmbeddedLogLimits
  #identity: ProducerIdentity | undefined
  #scope: TransactionScope | undefined
  /** By topic id and partition. */
  #outboxes = new Map<string, (Outbox | undefined)[]>()
  readonly #writes = new Set<Promise<void>>()
  #queuedBytes = 0
  #bytesInFlight = 0
  #linger: Timer | undefined
  /** Somebody waits for the queue to be empty. */
  #isUrged = false
  /** A transaction ends: what is sent meanwhile waits for the next one. */
  #isHeld = false
  #failure: Error | undefined
  #isUncertain = false

  constructor(
    broker: LogBroker,
    { clock, limits }: { readonly clock: Clock; readonly limits: EmbeddedLogLimits },
  ) {
    this.#broker = broker
    this.#clock = clock
    this.#limits = limits
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#bytesInFlight
  }

  /** The first thing that went wrong since `forgive`. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /**
   * Whether an append was lost on its way: the log may have it or not. Its sequences must not be used
   * again for other records, so nothing more leaves before `start` or `renew`.
   */
  get isUncertain(): boolean {
    return this.#isUncertain
  }

  /** Sends on behalf of a new identity, after a `drop`. */
  start(identity: ProducerIdentity): void {
    this.#outboxes = new Map()
    this.#queuedBytes = 0
    this.#isHeld = false
    this.renew(identity)
  }

  /** Goes on with what is queued under another epoch of the same producer. */
  renew(identity: ProducerIdentity): void {
    this.#identity = identity
    for (const box of this.#boxes()) box.renew()
    this.#failure = undefined
    this.#isUncertain = false
  }

  /** What leaves from now on belongs to this transaction. */
  enter(scope: TransactionScope | undefined): void {
    this.#scope = scope
  }

  /** Queues a record, or notes why it cannot be. */
  send(record: ProducerRecord): void {
    const topic = this.#broker.topic(record.topic)
    const outbox = topic && this.#outbox(topic, record)
    if (topic === undefined || outbox === undefined) {
      this.fail(unknownPartition(record, 'abortable'))
      return
    }
    const mostBytes = recordBytesAtMost(record)
    const refusal = this.#refusal(record, topic, mostBytes)
    if (refusal !== undefined) {
      this.fail(refusal)
      return
    }
    this.#queuedBytes += outbox.add(record, mostBytes)
    this.#pumpSoon()
  }

  /**
   * Writes what is queued and waits for all that is under way. Never rejects: see `failure`. With
   * `hold` nothing leaves afterwards before `resume`: what is sent while a transaction ends belongs to
   * the next one.
   */
  async settle({ hold = false }: { readonly hold?: boolean } = {}): Promise<void> {
    this.#isUrged = true
    this.#pumpAll()
    while (this.#writes.size > 0) await Promise.all(this.#writes)
    this.#isUrged = false
    this.#isHeld = hold
    for (const box of this.#boxes()) {
      if (!(box.hasFailed || this.#isUncertain)) continue
      // What stands behind a failed write would come after a record that is lost.
      this.#queuedBytes -= box.drop()
      box.restart()
    }
  }

  /** Drops what is queued and waits for what is under way; nothing leaves before `resume`. */
  async drop(): Promise<void> {
    this.#isHeld = true
    for (const box of this.#boxes()) this.#queuedBytes -= box.drop()
    while (this.#writes.size > 0) await Promise.all(this.#writes)
    for (const box of this.#boxes()) box.restart()
  }

  /** Lets records leave again. */
  resume(): void {
    this.#isHeld = false
    if (this.#queuedBytes > 0) this.#pumpSoon()
  }

  /** Something that belongs to the transaction did not come into it. */
  fail(error: Error): void {
    this.#failure ??= error
  }

  /** Forgets what went wrong: it was reported, or its transaction aborted. */
  forgive(): void {
    this.#failure = undefined
  }

  /** The offset of the last acknowledged record of each partition, since this was asked before. */
  takeAcknowledged(): readonly PartitionOffset[] {
    const acknowledged: PartitionOffset[] = []
    for (const outbox of this.#boxes()) {
      const offset = outbox.takeAcknowledged()
      const { topic, partition } = outbox.at
      if (offset !== undefined) acknowledged.push({ topic, partition, offset })
    }
    return acknowledged
  }

  #refusal(
    record: ProducerRecord,
    { compacts, maxMessageBytes: limitBytes }: TopicFacts,
    mostBytes: number,
  ): Error | undefined {
    if (record.key === null && compacts) return recordWithoutKey(record)
    if (mostBytes > limitBytes) {
      const sizeBytes = loneBatchBytes(record)
      if (sizeBytes > limitBytes) return recordTooLarge(record, { sizeBytes, limitBytes })
    }
    const most = this.#limits.producerBytes
    const isOver = this.bufferedBytes > 0 && this.bufferedBytes + mostBytes > most
    return isOver ? producerFull(record, most) : undefined
  }

  #outbox(facts: TopicFacts, { partition }: ProducerRecord): Outbox | undefined {
    const { topic, topicId, maxMessageBytes } = facts
    let boxes = this.#outboxes.get(topicId)
    if (boxes === undefined) {
      boxes = []
      this.#outboxes.set(topicId, boxes)
    }
    const known = boxes[partition]
    if (known !== undefined) return known
    if (partition >= facts.partitions) return undefined
    const batchBytes = Math.min(this.#limits.batchBytes, maxMessageBytes)
    const box = new Outbox({ topic, topicId, partition }, batchBytes)
    boxes[partition] = box
    return box
  }

  #boxes(): readonly Outbox[] {
    return [...this.#outboxes.values()].flat().filter((box) => box !== undefined)
  }

  #pumpSoon(): void {
    if (this.#isHeld) return
    if (this.#queuedBytes >= this.#limits.writeAheadBytes) this.#pumpAll()
    else this.#linger ??= this.#clock.timer(this.#limits.lingerMs, () => this.#pumpAll())
  }

  #pumpAll(): void {
    this.#linger?.cancel()
    this.#linger = undefined
    for (const box of this.#boxes()) this.#pump(box)
  }

  #pump(outbox: Outbox): void {
    const { writesInFlight, writeBytes } = this.#limits
    while (this.#mayWrite(outbox) && outbox.writesInFlight < writesInFlight) {
      const write = this.#write(outbox, writeBytes)
      this.#writes.add(write)
      void write.finally(() => this.#writes.delete(write))
    }
  }

  #mayWrite(outbox: Outbox): boolean {
    return !(this.#isHeld || this.#isUncertain || outbox.isEmpty || outbox.hasFailed)
  }

  /** Never rejects: what goes wrong is kept for whoever waits. */
  async #write(outbox: Outbox, maxBytes: number): Promise<void> {
    const identity = this.#identity
    if (identity === undefined) throw new TypeError('a write before the init')
    const batches = outbox.take(maxBytes)
    const bytes = batches.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    this.#queuedBytes -= bytes
    this.#bytesInFlight += bytes
    outbox.writesInFlight += 1
    try {
      this.#broker.assertOpen()
      const append = outbox.seal(batches, identity)
      const { at } = outbox
      const offset = await this.#broker.append({ identity, at, append, scope: this.#scope })
      outbox.acknowledge(append, offset)
    } catch (error) {
      outbox.hasFailed = true
      this.#isUncertain ||= isLostOnItsWay(error)
      this.fail(asError(error))
    } finally {
      outbox.writesInFlight -= 1
      this.#bytesInFlight -= bytes
      if (this.#isUrged || this.#queuedBytes >= this.#limits.writeAheadBytes) this.#pump(outbox)
    }
  }
}

/** What leaves open whether an append was made. */
const LOST_ON_THE_WAY: ReadonlySet<string> = new Set([
  'MILLRACE_TRANSACTION_LOST',
  'MILLRACE_LOG_UNREACHABLE',
  'MILLRACE_LOG_PROTOCOL',
])

function isLostOnItsWay(error: unknown): boolean {
  return isMillraceError(error) && LOST_ON_THE_WAY.has(error.code)
}

function producerFull(record: ProducerRecord, limitBytes: number): TransportError {
  const place = describePartition(record)
  return new TransportError('MILLRACE_PRODUCER_FULL', 'abortable', {
    message:
      `A record for ${place} found ${limitBytes} bytes queued in its producer already. ` +
      'Wait for a flush while bufferedBytes is high, or raise producerBytes.',
    place,
  })
}
