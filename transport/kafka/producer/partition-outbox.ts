/**
 * What a producer has for one partition, in order: batches that are under way, and batches that wait.
 * The log takes a producer's batches by their sequence, and this is what keeps them in order:
 *
 * - A batch that was refused, or whose answer was lost, goes back to the front with its number. Nothing
 *   more leaves until all that is under way has its answer; then they go one at a time until one is taken.
 * - The first batch of a producer goes alone until it is taken, and so does the first after a pause: a
 *   partition that knows nothing of a producer, or no more, takes any sequence, so the second one could
 *   get in before a first one that was refused.
 * - Another epoch begins only when nothing numbered under the old one is left, since its answer tells
 *   whether the log has it.
 */
import { asOffset, type Offset, type TopicPartition } from '../../../model/position.ts'
import type { ProducerRecord } from '../../transport.ts'
import { PendingBatch, type BatchNumber } from './pending-batch.ts'
import { isAfter, sequenceAfter, type ProducerIdentity } from './producer-identity.ts'

/** How a batch is numbered. */
export interface Numbering {
  readonly identity: ProducerIdentity
  readonly transactional: boolean
}

/** When a new batch begins. */
export interface Gathering {
  readonly batchBytes: number
  readonly turn: number
  readonly flush: number
  readonly now: () => number
}

/**
 * Milliseconds after its last acknowledgement for which a partition is taken to know the producer. A
 * broker forgets one after a day without a batch (`producer.id.expiration.ms`), and says so to nobody.
 */
const KNOWN_FOR_MS = 60_000

/** The batches of one partition. */
export class PartitionOutbox {
  readonly at: TopicPartition
  /** Lower than what the producer gathers where the topic takes less. */
  batchBytes = Infinity
  /** What waits is not worth waiting for longer. */
  isDue = false
  /** A search for the leader is under way. */
  isSeeking = false
  /** Since when the cluster does not know the partition. */
  unknownSinceMs: number | undefined
  /** Nothing leaves before, on the monotonic clock. */
  notBeforeMs = 0
  /** Why a batch was given up: nothing may follow it before `restart`. */
  failure: Error | undefined
  #queue: PendingBatch[] = []
  #inFlight: PendingBatch[] = []
  #node = -1
  #identity: ProducerIdentity | undefined
  #nextSequence = 0
  #acknowledgedSequence = 0
  /** The producer of which the partition has a batch, and until when that is certain. */
  #known = { producerId: -1, untilMs: 0 }
  #isRecovering = false
  #renumbering: 'not' | 'behind-a-gap' | 'all' = 'not'
  #acknowledged: Offset | undefined

  constructor(at: TopicPartition) {
    this.at = at
  }

  /** Batches that wait, in order. */
  get queued(): readonly PendingBatch[] {
    return this.#queue
  }

  /** Batches under way. */
  get inFlight(): readonly PendingBatch[] {
    return this.#inFlight
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#inFlight.length === 0
  }

  /** Adds a record of at most `mostBytes`; returns the bytes that the queue grew by. */
  add(record: ProducerRecord, mostBytes: number, gathering: Gathering): number {
    const { batchBytes, turn, flush, now } = gathering
    const newest = this.#queue.at(-1)
    const fits =
      newest?.isOpen === true &&
      newest.turn === turn &&
      newest.flush === flush &&
      newest.sizeBytes + mostBytes <= Math.min(batchBytes, this.batchBytes)
    if (fits) return newest.append(record)
    const batch = new PendingBatch({ queuedAtMs: now(), turn, flush })
    this.#queue.push(batch)
    return batch.append(record)
  }

  /** Whether a batch waits that is worth sending: a full one, or any where somebody waits for it. */
  isWanted(turn: number): boolean {
    const [head] = this.#queue
    if (head === undefined || head.turn > turn || this.failure !== undefined) return false
    return this.isDue || this.#queue.length > 1 || !head.isOpen
  }

  /** Whether the head may leave for a node now, as far as order goes. */
  mayLeave(node: number, identity: ProducerIdentity, nowMs: number): boolean {
    const [head] = this.#queue
    if (head === undefined || nowMs < this.notBeforeMs) return false
    if (this.#inFlight.length === 0) {
      if (this.#renumbering !== 'not') this.#renumber(this.#renumbering)
      return true
    }
    if (this.#isRecovering || this.#renumbering !== 'not' || node !== this.#node) return false
    const isKnown = this.#known.producerId === identity.producerId && nowMs < this.#known.untilMs
    if (!isKnown) return false
    return head.number !== undefined || this.#identity === identity
  }

  /** Takes the head, numbered, for a node. */
  depart(
    node: number,
    { identity, transactional }: Numbering,
  ): readonly [PendingBatch, readonly Buffer[]] {
    const batch = this.#queue.shift()
    if (batch === undefined) throw new TypeError('a departure from an empty outbox')
    if (this.#queue.length === 0) this.isDue = false
    if (batch.number === undefined && this.#identity !== identity) {
      this.#identity = identity
      this.#nextSequence = 0
      this.#acknowledgedSequence = 0
    }
    const number: BatchNumber = batch.number ?? {
      identity,
      baseSequence: this.#nextSequence,
      transactional,
    }
    if (batch.number === undefined) {
      this.#nextSequence = sequenceAfter(this.#nextSequence, batch.recordCount)
    }
    this.#node = node
    this.#inFlight.push(batch)
    batch.attempts += 1
    return [batch, batch.seal(number)]
  }

  /**
   * The log has a batch; `baseOffset` is -1 where it does not say where. It takes no gaps, so it has
   * all that was numbered before as well: what came back of that is not sent again, for after five more
   * batches it would not be told from a gap. Returns what is acknowledged by it.
   */
  acknowledge(batch: PendingBatch, baseOffset: number, nowMs: number): readonly PendingBatch[] {
    this.#land(batch)
    this.#isRecovering = false
    this.notBeforeMs = 0
    const acknowledged = [batch, ...this.#takeImplied(batch)]
    for (const one of acknowledged) one.settle()
    const { number } = batch
    if (number !== undefined) {
      this.#known = { producerId: number.identity.producerId, untilMs: nowMs + KNOWN_FOR_MS }
      const end = sequenceAfter(number.baseSequence, batch.recordCount)
      if (isAfter(end, this.#acknowledgedSequence)) this.#acknowledgedSequence = end
    }
    const last = baseOffset + batch.recordCount - 1
    if (baseOffset >= 0 && last > (this.#acknowledged ?? -1)) this.#acknowledged = asOffset(last)
    return acknowledged
  }

  /** Whether all that was numbered before a batch is acknowledged. */
  isNext({ number }: PendingBatch): boolean {
    return number?.baseSequence === this.#acknowledgedSequence
  }

  /** A batch comes back with its number, to be sent again not before a time. */
  takeBack(batch: PendingBatch, notBeforeMs: number): void {
    this.#land(batch)
    this.#isRecovering = true
    this.notBeforeMs = Math.max(this.notBeforeMs, notBeforeMs)
    this.#queue.splice(this.#placeOf(batch), 0, batch)
  }

  /** All that is not acknowledged gets new numbers as soon as nothing is under way: the log has none of it. */
  renumber(): void {
    this.#renumbering = 'all'
  }

  /** Nothing more leaves until all that is under way has its answer. */
  pause(): void {
    this.#isRecovering = true
  }

  /** Puts batches in the place of a batch under way that the log refused. What comes behind it gets new numbers. */
  replace(batch: PendingBatch, parts: readonly PendingBatch[]): void {
    this.#land(batch)
    this.#isRecovering = true
    this.isDue = true
    for (const part of parts) part.place = batch.number?.baseSequence
    this.#queue.splice(this.#placeOf(batch), 0, ...parts)
    if (this.#renumbering === 'not') this.#renumbering = 'behind-a-gap'
  }

  /** A batch under way is given up. */
  giveUp(batch: PendingBatch): void {
    this.#land(batch)
    batch.settle()
  }

  /** Gives up all that waits; returns it. */
  drop(): readonly PendingBatch[] {
    const dropped = this.#queue
    this.#queue = []
    this.isDue = false
    for (const batch of dropped) batch.settle()
    return dropped
  }

  /** Goes on behind the last acknowledged record. Nothing may be under way. */
  restart(): void {
    this.#nextSequence = this.#acknowledgedSequence
    this.failure = undefined
    this.#isRecovering = false
    this.#renumbering = 'not'
    this.notBeforeMs = 0
    this.unknownSinceMs = undefined
  }

  /** The offset of the last record acknowledged since this was asked before. */
  takeAcknowledged(): Offset | undefined {
    const offset = this.#acknowledged
    this.#acknowledged = undefined
    return offset
  }

  #land(batch: PendingBatch): void {
    this.#inFlight = this.#inFlight.filter((one) => one !== batch)
  }

  /** Takes out what waits with a number before that of a batch. */
  #takeImplied({ number }: PendingBatch): readonly PendingBatch[] {
    if (number === undefined) return []
    const behind = this.#queue.findIndex(
      (one) => one.number === undefined || isAfter(one.number.baseSequence, number.baseSequence),
    )
    return this.#queue.splice(0, behind < 0 ? this.#queue.length : behind)
  }

  /** Where a numbered batch stands among those that wait: behind the parts of one that was numbered before it. */
  #placeOf({ number }: PendingBatch): number {
    const sequence = number?.baseSequence ?? 0
    const behind = this.#queue.findIndex((one) => {
      const place = one.number?.baseSequence ?? one.place
      return place === undefined || isAfter(place, sequence)
    })
    return behind < 0 ? this.#queue.length : behind
  }

  /** Batches before a gap keep their numbers, by which the log tells a repetition. */
  #renumber(which: 'behind-a-gap' | 'all'): void {
    this.#renumbering = 'not'
    this.#nextSequence = this.#acknowledgedSequence
    let isBehind = which === 'all'
    for (const batch of this.#queue) {
      isBehind ||= batch.number?.baseSequence !== this.#nextSequence
      if (isBehind) batch.unnumber()
      else this.#nextSequence = sequenceAfter(this.#nextSequence, batch.recordCount)
    }
  }
}
