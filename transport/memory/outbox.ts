/**
 * What a producer of the memory log has sent and not yet seen acknowledged.
 *
 * Per partition there is one lane with one request in flight, so that a request which is tried again
 * cannot be overtaken; the log recognizes a repetition by its sequence. The first error that is not
 * retriable, or that outlasts the retries, stops the outbox: what is queued is dropped, and what
 * comes later too, until `renew`. For after a gap in a lane nothing may follow.
 *
 * Nothing holds a record back while its producer commits: one that reaches the log before the end of
 * the transaction joins it, and one that comes later is refused, as in Kafka.
 */
import { sleep } from '../../model/clock.ts'
import { asError } from '../../model/errors.ts'
import {
  asOffset,
  describePartition,
  type PartitionOffset,
  type TopicPartition,
} from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import { recordTooLarge, recordWithoutKey } from '../log-errors.ts'
import type { ProducerRecord } from '../transport.ts'
import type { Broker } from './broker.ts'
import type { Line } from './faults.ts'
import { BATCH_OVERHEAD_BYTES, recordSizeBytes } from './stored-batch.ts'
import type { ProducerSession } from './transactions.ts'

/** Bytes up to which records are gathered into one batch; a larger record is a batch of its own. */
export const BATCH_MAX_BYTES = 1024 * 1024
/** How often a request is tried again before its records count as undeliverable. */
export const PRODUCE_RETRIES_MAX = 20
/** Delay before the first retry; it doubles with each further one. */
export const PRODUCE_RETRY_MIN_MS = 10
/** Largest delay between two retries. */
export const PRODUCE_RETRY_MAX_MS = 1_000

interface Lane {
  readonly at: TopicPartition
  readonly queue: ProducerRecord[]
  nextSequence: number
  /** Settles when the lane has nothing to do; never rejects. */
  work: Promise<void> | undefined
}

/** What an outbox is made of. */
export interface OutboxOptions {
  readonly line: Line
  readonly broker: Broker
  readonly session: ProducerSession
}

/** Queued and travelling records of one producer, from one init to the next. */
export class Outbox {
  readonly #line: Line
  readonly #broker: Broker
  readonly #lanes = new Map<string, Lane>()
  readonly #acknowledged = new Map<string, PartitionOffset>()
  /** Of the last record: the next one mostly goes the same way. */
  #lane: Lane | undefined
  #session: ProducerSession
  #bufferedBytes = 0
  #failure: Error | undefined
  #isDropping = false

  constructor({ line, broker, session }: OutboxOptions) {
    this.#line = line
    this.#broker = broker
    this.#session = session
  }

  get session(): ProducerSession {
    return this.#session
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** What stopped the outbox. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Queues a record; drops it where the outbox is stopped, as `settled` tells. */
  add(record: ProducerRecord): void {
    if (this.#failure !== undefined) return
    const { topic, partition } = record
    const lane = this.#laneOf({ topic, partition })
    lane.queue.push(record)
    this.#bufferedBytes += recordSizeBytes(record)
    lane.work ??= this.#work(lane)
  }

  /** Resolves when nothing is queued or under way; throws what stopped the outbox. */
  async settled(): Promise<void> {
    await this.#idle()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** The last acknowledged offset of each partition since the last call. */
  takeAcknowledged(): PartitionOffset[] {
    const offsets = [...this.#acknowledged.values()]
    this.#acknowledged.clear()
    return offsets
  }

  /** Drops what is queued and waits for what is under way, whatever becomes of it. */
  async drop(): Promise<void> {
    this.#isDropping = true
    this.#dropQueues()
    await this.#idle()
    this.#isDropping = false
    this.#acknowledged.clear()
  }

  /** Goes on under the session of the next transaction. */
  renew(session: ProducerSession): void {
    this.#session = session
    for (const lane of this.#lanes.values()) lane.nextSequence = 0
  }

  /** Forgets what stopped the outbox: its transaction was aborted. */
  recover(): void {
    this.#failure = undefined
  }

  /** Stops the outbox: every later `settled` throws `error`. */
  stop(error: Error): void {
    this.#failure ??= error
    this.#dropQueues()
  }

  #laneOf(at: TopicPartition): Lane {
    const last = this.#lane
    if (last?.at.topic === at.topic && last.at.partition === at.partition) return last
    const name = describePartition(at)
    const lane = this.#lanes.get(name) ?? { at, queue: [], nextSequence: 0, work: undefined }
    this.#lanes.set(name, lane)
    this.#lane = lane
    return lane
  }

  async #idle(): Promise<void> {
    for (;;) {
      const working = [...this.#lanes.values()].flatMap(({ work }) => work ?? [])
      if (working.length === 0) return
      await Promise.all(working)
    }
  }

  #dropQueues(): void {
    for (const { queue } of this.#lanes.values()) {
      for (const record of queue.splice(0)) this.#bufferedBytes -= recordSizeBytes(record)
    }
  }

  /** Delivers what a lane has queued, batch by batch. */
  async #work(lane: Lane): Promise<void> {
    // What is sent in one go travels together.
    await Promise.resolve()
    while (lane.queue.length > 0) {
      let records: readonly ProducerRecord[] = []
      try {
        records = this.#nextBatch(lane)
        const offset = await this.#deliver(lane, records)
        const { topic, partition } = lane.at
        const last = { topic, partition, offset: asOffset(offset) }
        this.#acknowledged.set(describePartition(last), last)
      } catch (error) {
        this.stop(asError(error))
      } finally {
        for (const record of records) this.#bufferedBytes -= recordSizeBytes(record)
      }
    }
    lane.work = undefined
  }

  /** Takes the records of the next batch off the queue: as many as fit, at least one. */
  #nextBatch({ at, queue }: Lane): ProducerRecord[] {
    const { topics } = this.#broker
    const limitBytes = topics.maxMessageBytes(at.topic)
    const needsKeys = topics.isCompacted(at.topic)
    const mostBytes = Math.min(BATCH_MAX_BYTES, limitBytes)
    let sizeBytes = BATCH_OVERHEAD_BYTES
    let count = 0
    for (const record of queue) {
      sizeBytes += recordSizeBytes(record)
      if (count > 0 && sizeBytes > mostBytes) break
      if (needsKeys && record.key === null) throw recordWithoutKey(at)
      if (sizeBytes > limitBytes) throw recordTooLarge(at, { sizeBytes, limitBytes })
      count += 1
    }
    return queue.splice(0, count)
  }

  /** Sends a batch until the log has it; returns the offset of its last record. */
  async #deliver(lane: Lane, records: readonly ProducerRecord[]): Promise<number> {
    const session = this.#session
    const { at, nextSequence: baseSequence } = lane
    lane.nextSequence += records.length
    const id =
      session.transactionalId === undefined ? {} : { transactionalId: session.transactionalId }
    for (let retries = 0; ; retries += 1) {
      try {
        return await this.#line.run({ kind: 'produce', at, ...id }, (fate) => {
          const log = this.#broker.topics.get(at, 'abortable')
          if (fate.newLeader === true) log.electLeader()
          return this.#broker.transactions.produce(session, log, { records, baseSequence })
        })
      } catch (error) {
        const mayRetry = error instanceof TransportError && error.kind === 'retriable'
        if (!mayRetry || this.#isDropping) throw error
        if (retries >= PRODUCE_RETRIES_MAX) throw undeliverable(at, error)
      }
      const delayMs = Math.min(PRODUCE_RETRY_MAX_MS, PRODUCE_RETRY_MIN_MS * 2 ** retries)
      await sleep(this.#line.clock, delayMs)
    }
  }
}

function undeliverable(at: TopicPartition, cause: Error): TransportError {
  const place = describePartition(at)
  return new TransportError('MILLRACE_DELIVERY_FAILED', 'abortable', {
    message: `Records for ${place} were not acknowledged in ${PRODUCE_RETRIES_MAX + 1} tries; some may be in the log. Abort the transaction and do its work again; without one, init the producer.`,
    place,
    cause,
  })
}
