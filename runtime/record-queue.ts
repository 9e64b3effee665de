/**
 * The records of one input partition, waiting for their turn in a task. The head is read ahead: its
 * timestamp decides whose turn it is, so a record that cannot be read shows here, and is left out or
 * fails the task before anything of it was processed. Holds one batch; what lies beyond it waits in
 * the cursor's byte-bounded prefetch.
 */
import type { Clock } from '../model/clock.ts'
import { StreamRecord, type LogRecord } from '../model/record.ts'
import { asOffset, describePosition, type Offset } from '../model/position.ts'
import { SchemaPending, type OpenSerde } from '../serdes/serde.ts'
import type { TimestampExtractor } from '../topology/graph.ts'
import { topicMadeAnew } from '../transport/log-errors.ts'
import type { Cursor, FetchedBatch } from '../transport/transport.ts'
import { BatchLease, copiedParts } from './batch-lease.ts'
import { unreadableRecord } from './failure.ts'
import { isOfTheRegistry, SchemaWait } from './schema-wait.ts'

/** How the records of one source are read. */
export interface SourceReading {
  readonly key: OpenSerde<unknown>
  /** Undefined where every step behind the source takes the value by reference. */
  readonly value: OpenSerde<unknown> | undefined
  readonly timestamp: TimestampExtractor | undefined
  readonly clock: Clock
}

/** What the queue asks of its task. */
export interface QueueEvents {
  /** A record that cannot be read. Returns to leave it out; throws to fail the task. */
  readonly onUnreadable: (error: Error, record: LogRecord, queue: RecordQueue) => void
  /** A record that its source leaves out. */
  readonly onLeftOut: (error: Error, record: LogRecord, queue: RecordQueue) => void
  /** A schema that a record waits for has arrived, or could not be had. */
  readonly onSchema: () => void
}

const NO_RECORDS: readonly LogRecord[] = []

/** One input partition of a task. */
export class RecordQueue {
  readonly cursor: Cursor
  readonly #topicId: string
  readonly #reading: SourceReading
  readonly #events: QueueEvents
  readonly #schema: SchemaWait
  #records: readonly LogRecord[] = NO_RECORDS
  /** Of the batch at hand, where its values are taken by reference. */
  #lease: BatchLease | undefined
  #index = 0
  #nextOffset: number
  #leaderEpoch = -1
  #head: StreamRecord<unknown, unknown> | undefined
  #headRecord: LogRecord | undefined
  /** The timestamp of the head; Infinity where the queue is empty. */
  headTimestamp = Infinity
  /** The largest timestamp processed; -1 before the first. */
  partitionTime: number

  constructor(parts: {
    readonly cursor: Cursor
    /** Of the topic whose offset it begins at. */
    readonly topicId: string
    readonly reading: SourceReading
    readonly events: QueueEvents
    readonly partitionTime: number
  }) {
    this.cursor = parts.cursor
    this.#topicId = parts.topicId
    this.#reading = parts.reading
    this.#events = parts.events
    this.#schema = new SchemaWait(parts.events.onSchema)
    this.#nextOffset = parts.cursor.position
    this.partitionTime = parts.partitionTime
  }

  /** Whether a record is ready, fetching what the cursor has at hand. */
  fill(): boolean {
    if (this.#head !== undefined) return true
    if (this.#schema.isOn()) return false
    for (;;) {
      while (this.#index < this.#records.length) {
        const record = this.#records[this.#index] as LogRecord
        if (this.#makeHead(record)) return true
        if (this.#schema.isOn()) return false
        this.#index += 1
      }
      this.#lease?.letGo()
      this.#lease = undefined
      const batch = this.cursor.take()
      if (batch === undefined) return false
      if (this.cursor.topicId !== this.#topicId) throw topicMadeAnew(this.cursor)
      this.#begin(batch)
    }
  }

  /** The head, after `fill` said there is one. The caller has processed it when it calls `advance`. */
  get head(): StreamRecord<unknown, unknown> {
    return this.#head as StreamRecord<unknown, unknown>
  }

  /** The head as it lies in the log. */
  get headRecord(): LogRecord {
    return this.#headRecord as LogRecord
  }

  /** Of the bytes of the head, where they may be used again. Who looks at the head without holding it gives it up. */
  get lease(): BatchLease | undefined {
    return this.#lease
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  /** The head is done: the offset moves past it. */
  advance(): void {
    if (this.headTimestamp > this.partitionTime) this.partitionTime = this.headTimestamp
    this.#head = undefined
    this.#headRecord = undefined
    this.headTimestamp = Infinity
    this.#index += 1
  }

  /** Every record before this offset is done. */
  get position(): Offset {
    const waiting = this.#records[this.#index]
    return asOffset(waiting === undefined ? this.#nextOffset : waiting.offset)
  }

  /** Records between here and the last stable offset: 0 means caught up, undefined not known yet. */
  get lag(): number | undefined {
    const end = this.cursor.lastStableOffset
    if (end === undefined) return undefined
    return this.#index < this.#records.length ? end - this.position : end - this.cursor.position
  }

  #begin(batch: FetchedBatch): void {
    this.#records = batch.records
    if (this.#reading.value === undefined) this.#lease = new BatchLease(batch)
    this.#index = 0
    this.#nextOffset = batch.nextOffset
    this.#leaderEpoch = batch.leaderEpoch
  }

  #makeHead(record: LogRecord): boolean {
    try {
      this.#schema.takeFailure()
      const { key, value, timestamp } = this.#reading
      const { keyBuffer, keyStart, keyEnd, headers } =
        this.#lease === undefined ? record : copiedParts(record)
      const head = new StreamRecord<unknown, unknown>(
        keyEnd < 0 ? null : key.deserialize(keyBuffer, keyStart, keyEnd),
        record.valueEnd < 0 || value === undefined
          ? null
          : value.deserialize(record.valueBuffer, record.valueStart, record.valueEnd),
        record.timestamp,
        headers,
      )
      this.#head = timestamp === undefined ? head : this.#extract(head, record, timestamp)
      if (!(this.#head.timestamp >= 0)) return this.#refuseTimestamp(this.#head.timestamp, record)
      this.#headRecord = record
      this.headTimestamp = this.#head.timestamp
      return true
    } catch (error) {
      this.#head = undefined
      if (isOfTheRegistry(error)) throw error
      if (error instanceof SchemaPending) {
        this.#schema.begin(error)
        return false
      }
      this.#lease?.giveUp()
      this.#events.onUnreadable(unreadableRecord(error, this.#placeOf(record)), record, this)
      return false
    }
  }

  /** A negative timestamp was chosen by the author's extractor, to leave the record out; or it is the record's own. */
  #refuseTimestamp(timestamp: number, record: LogRecord): false {
    const error = new Error(`its timestamp is ${timestamp}`)
    if (this.#reading.timestamp === undefined || Number.isNaN(timestamp)) throw error
    this.#head = undefined
    this.#events.onLeftOut(error, record, this)
    return false
  }

  #extract(
    head: StreamRecord<unknown, unknown>,
    record: LogRecord,
    extract: TimestampExtractor,
  ): StreamRecord<unknown, unknown> {
    const { topic, partition } = this.cursor
    const timestamp = extract(
      {
        topic,
        partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: head.key,
        value: head.value,
      },
      this.partitionTime,
      this.#reading.clock,
    )
    return new StreamRecord(head.key, head.value, timestamp, head.headers)
  }

  #placeOf(record: LogRecord): string {
    const { topic, partition } = this.cursor
    return describePosition({ topic, partition, offset: asOffset(record.offset) })
  }
}
