/** The running half of `enrich`: intake, answers, and what the drivers need of the store. */
import { MillraceError } from '../model/errors.ts'
import { StreamRecord } from '../model/record.ts'
import type { OpenSerde } from '../serdes/serde.ts'
import type { KeyValueStore } from '../state/store.ts'
import { deserializeNow, readNow } from './deserialize.ts'
import type { EnrichWork } from './enrich.ts'
import {
  Lane,
  type DriverTask,
  type EnrichDriver,
  type LaneEntry,
  type LoadedRecord,
  type Outcome,
  type Retry,
  type UnreadableRecord,
} from './enrich-lanes.ts'
import type { EnrichOptions, TerminalPolicy } from './enrich-options.ts'
import {
  ANSWERED,
  answeredAt,
  arrivalOf,
  rowAt,
  type PendingEntry,
  type PendingRow,
} from './enrich-rows.ts'
import type { Dereferenced, Reference } from './payloads.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { SourceMarks } from './source-marks.ts'
import { TimestampQueue } from './timestamp-queue.ts'

const NO_BYTES = Buffer.alloc(0)
/** Shortest time between two notices of failures that are tried again, in a step. */
const RETRY_NOTICE_MS = 5_000

/** What a step is made of. */
export interface StepParts<K, V, R> {
  readonly options: EnrichOptions<K, Dereferenced<V>, R>
  readonly work: EnrichWork<K, V, R>
  /** Whether values are references whose bytes the enricher wants. */
  readonly behindReferences: boolean
  readonly store: KeyValueStore<number, PendingEntry>
  readonly context: ProcessorContext<K, R>
  readonly drive: (task: DriverTask<K, Dereferenced<V>, R>) => EnrichDriver
}

/** One enrich step in one task. */
export class EnrichStep<K, V, R> implements Processor<K, V>, DriverTask<K, Dereferenced<V>, R> {
  readonly signal: AbortSignal
  readonly #parts: StepParts<K, V, R>
  readonly #key: OpenSerde<K>
  readonly #value: OpenSerde<V>
  readonly #lanes = new Map<string, Lane>()
  readonly #waiting = new TimestampQueue<number>()
  readonly #driver: EnrichDriver
  readonly #intake = new SourceMarks()
  /** Arrival numbers of rows that are marked answered in the store. */
  readonly #marked = new Set<number>()
  #nextArrival = 0
  #lastOrigin: string | undefined
  #sequence = 0
  /** Failures that were tried again and not told of. */
  #untold = 0
  #silentUntilMs = 0

  constructor(parts: StepParts<K, V, R>) {
    this.#parts = parts
    this.signal = parts.context.signal
    this.#key = parts.context.serde<K>('key')
    this.#value = parts.context.serde<V>('value')
    this.#driver = parts.drive(this)
  }

  /** Finds the rows that wait, and submits them again in the order they came. */
  async open(): Promise<void> {
    let latest: LaneEntry | undefined
    for await (const [at, { value }] of this.#parts.store.range()) {
      const arrival = arrivalOf(at)
      const { row } = value
      if (row === null) {
        // A mark comes right behind its row.
        if (latest?.arrival === arrival) this.#foundAnswered(latest)
        continue
      }
      this.#nextArrival = arrival + 1
      this.#intake.found(arrival, row)
      if (row.done) continue
      latest = { arrival, timestamp: row.timestamp, answered: false }
      this.#admit(row.lane, latest)
    }
    this.#holdTime()
    for (const lane of this.#lanes.values()) this.#driver.wake(lane)
  }

  process = (record: StreamRecord<K, V>): void => {
    const { context, store } = this.#parts
    if (record.value === null || record.value === undefined) {
      context.count('dropped-records')
      return
    }
    const arrival = this.#nextArrival
    const row = this.#rowOf(record, arrival)
    if (this.#intake.isRepeated(row)) {
      context.count('repeated')
      return
    }
    if (this.#answerAtOnce(record, row.lane)) return
    this.#nextArrival += 1
    const outdated = this.#intake.take(arrival, row)
    if (outdated !== undefined) store.delete(rowAt(outdated), record.timestamp)
    store.insert(rowAt(arrival), { row }, record.timestamp)
    context.count('accepted')
    const lane = this.#admit(row.lane, { arrival, timestamp: record.timestamp, answered: false })
    this.#holdTime()
    this.#driver.wake(lane)
  }

  // ------------------------------------------------------------------------- for the drivers

  async load(entry: LaneEntry, signal: AbortSignal): Promise<LoadedRecord<K, Dereferenced<V>>> {
    const row = await readNow(() => this.#row(entry))
    const raw = await this.#raw(row, signal)
    // Without references the payload is the step's own value.
    const payload = this.#parts.behindReferences
      ? this.#parts.context.serde<Dereferenced<V>>('payload')
      : (this.#value as unknown as OpenSerde<Dereferenced<V>>)
    const value = await deserializeNow(payload, raw)
    const key = await readNow(() => this.#keyOf(row))
    const record = new StreamRecord(key, value, row.timestamp, row.headers)
    return { record, raw, idempotencyKey: this.#idempotencyKey(row) }
  }

  async loadUnreadable(entry: LaneEntry, signal: AbortSignal): Promise<UnreadableRecord<K>> {
    const row = await readNow(() => this.#row(entry))
    const key = await readNow(() => this.#keyOf(row))
    const raw = await this.#raw(row, signal).catch(() => null)
    return { record: new StreamRecord(key, null, row.timestamp, row.headers), raw }
  }

  async sizeOf(entry: LaneEntry): Promise<number> {
    const row = await readNow(() => this.#row(entry))
    if (this.#parts.behindReferences) return (await this.#reference(row)).sizeBytes
    const { fetchedBytes } = this.#parts.work
    if (fetchedBytes === undefined) return row.value.length
    const value = await deserializeNow(
      this.#value as unknown as OpenSerde<Dereferenced<V>>,
      row.value,
    )
    return row.value.length + fetchedBytes(value)
  }

  settle(lane: Lane, entry: LaneEntry, outcome: Outcome<K, Dereferenced<V>, R>): void {
    if (this.signal.aborted) return
    const done = this.#leave(lane, entry, outcome.isLast)
    const { origin } = this.#row(entry)
    this.#parts.context.enqueue(() => {
      const row = this.#row(entry)
      for (const past of done) this.#finish(past)
      if (done.length === 0) this.#mark(entry)
      this.#waiting.remove(entry.arrival)
      this.#conclude(row, outcome)
      outcome.onTaken?.()
      // Not before: a record that comes out holds time until all stores behind have seen it.
      this.#holdTime()
    }, origin)
  }

  /** Which rows go away with an answer: a call's own; a session's all, with the last of them. */
  #leave(lane: Lane, entry: LaneEntry, isLast: boolean): readonly LaneEntry[] {
    const isSession = this.#parts.work.enricher.kind === 'session'
    if (isSession && !isLast) return []
    // What came after the last record of a session begins a new one.
    const done = lane.entries.splice(0, lane.entries.indexOf(entry) + 1)
    if (lane.entries.length === 0) this.#lanes.delete(lane.key)
    return done
  }

  fail(error: Error): void {
    this.#parts.context.enqueue(() => {
      throw this.#failure(error, 'it cannot go on')
    })
  }

  readonly count = (counter: string): void => this.#parts.context.count(counter)

  retrying({ what, error, attempt, attempts }: Retry): void {
    const { context } = this.#parts
    context.count('retries')
    this.#untold += 1
    const nowMs = context.clock.monotonic()
    if (nowMs < this.#silentUntilMs) return
    const others = this.#untold === 1 ? '' : ` (and ${this.#untold - 1} failures before it)`
    context.notice?.(
      `enrich step ${context.name}: ${what} failed at try ${attempt} of ${attempts}${others} and is tried again: ${error.message}`,
    )
    this.#untold = 0
    this.#silentUntilMs = nowMs + RETRY_NOTICE_MS
  }

  // ----------------------------------------------------------------------------------- rows

  #admit(key: string, entry: LaneEntry): Lane {
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = new Lane(key)
      this.#lanes.set(key, lane)
    }
    lane.add(entry)
    if (!entry.answered) this.#waiting.add(entry.arrival, entry.timestamp)
    return lane
  }

  #rowOf(record: StreamRecord<K, V>, arrival: number): PendingRow {
    const source = this.#parts.context.source()
    const { context } = this.#parts
    // What an author's own step enqueued without a name is named by its row.
    const origin = context.origin() ?? `${context.name}/${context.partition}/${arrival}`
    this.#sequence = origin === this.#lastOrigin ? this.#sequence + 1 : 0
    this.#lastOrigin = origin
    const key = record.key === null ? null : this.#key.serialize(record.key)
    return {
      lane: this.#laneOf(record.key, key, arrival),
      key,
      value: this.#value.serialize(record.value),
      timestamp: record.timestamp,
      headers: record.headers.map((header) => ({ key: header.key, value: header.value })),
      topic: source?.topic ?? '',
      partition: source?.partition ?? -1,
      offset: source?.record.offset ?? arrival,
      sequence: this.#sequence,
      origin: `${origin}/${this.#sequence}`,
      done: false,
      topicId: source === undefined || source.topicId === '' ? null : source.topicId,
    }
  }

  #laneOf(key: K, keyBytes: Buffer | null, arrival: number): string {
    const orderBy = this.#parts.options.orderBy ?? 'key'
    if (typeof orderBy === 'function') return orderBy(key)
    switch (orderBy) {
      case 'partition':
        return 'partition'
      case 'none':
        return `record ${arrival}`
      case 'key':
        return keyBytes?.toString('base64', this.#key.prefix.length) ?? 'null'
      default:
        return orderBy satisfies never
    }
  }

  #row(entry: LaneEntry): PendingRow {
    const row = this.#parts.store.get(rowAt(entry.arrival))?.row
    if (row === undefined || row === null)
      throw new TypeError(`row ${entry.arrival} is gone before its answer`)
    return row
  }

  #foundAnswered(entry: LaneEntry): void {
    entry.answered = true
    this.#waiting.remove(entry.arrival)
    this.#marked.add(entry.arrival)
  }

  /** A row stays though it is answered. */
  #mark({ arrival, timestamp }: LaneEntry): void {
    this.#parts.store.insert(answeredAt(arrival), ANSWERED, timestamp)
    this.#marked.add(arrival)
  }

  /** A row is done with: it goes, or stays as the mark of its source. */
  #finish(entry: LaneEntry): void {
    const { store } = this.#parts
    const { arrival, timestamp } = entry
    // First the mark: without a transaction the changelog may end between the two, and a row that is
    // answered again is better than a mark that nobody takes away.
    if (this.#marked.delete(arrival)) store.delete(answeredAt(arrival), timestamp)
    if (!this.#intake.keepsAsMark(arrival)) {
      store.delete(rowAt(arrival), timestamp)
      return
    }
    const row = { ...this.#row(entry), value: NO_BYTES, done: true }
    store.put(rowAt(arrival), { row }, timestamp)
  }

  #keyOf(row: PendingRow): K {
    return row.key === null ? (null as K) : this.#key.deserialize(row.key, 0, row.key.length)
  }

  #holdTime(): void {
    this.#parts.context.holdTime(this.#waiting.oldest)
  }

  #idempotencyKey(row: PendingRow): string {
    return `${this.#parts.context.applicationId}/${row.origin}`
  }

  // -------------------------------------------------------------------------------- results

  #answerAtOnce(record: StreamRecord<K, V>, laneKey: string): boolean {
    const { work, context } = this.#parts
    if (work.immediate === undefined || this.#lanes.has(laneKey)) return false
    const result = work.immediate(record.value)
    if (result === undefined) return false
    context.forward(record.withValue(result))
    return true
  }

  #conclude(row: PendingRow, outcome: Outcome<K, Dereferenced<V>, R>): void {
    const { context, options } = this.#parts
    const forward = (result: R): void =>
      context.forward(new StreamRecord(this.#keyOf(row), result, row.timestamp, row.headers))
    if (outcome.kind === 'result') {
      context.count('enriched')
      forward(outcome.result)
      return
    }
    context.count('failed')
    const policy: TerminalPolicy<K, Dereferenced<V>, R> = options.onFailure ?? 'stop'
    if (typeof policy === 'object') {
      forward(policy.fallback(outcome.record, outcome.error))
    } else if (policy === 'dead-letter') {
      const { key, timestamp, headers, topic, partition, offset } = row
      context.deadLetter({
        error: outcome.error,
        key,
        value: outcome.raw,
        timestamp,
        headers,
        topic,
        partition,
        offset,
      })
    } else if (policy === 'stop') {
      throw this.#failure(
        outcome.error,
        `the record ${row.topic}[${row.partition}]@${row.offset} failed for good`,
      )
    }
  }

  /** The bytes that the enricher's value is made of: the row's own, or those that its reference stands for. */
  async #raw(row: PendingRow, signal: AbortSignal): Promise<Buffer> {
    if (!this.#parts.behindReferences) return row.value
    return await this.#parts.context.payloads.read(await this.#reference(row), signal)
  }

  async #reference(row: PendingRow): Promise<Reference> {
    return (await deserializeNow(this.#value, row.value)) as Reference
  }

  #failure(cause: Error, what: string): MillraceError {
    const { name } = this.#parts.context
    return new MillraceError(
      'MILLRACE_ENRICH_FAILED',
      `enrich step ${name}: ${what}: ${cause.message.replace(/\.$/, '')}. ` +
        'Mend what the message names and start again; nothing is lost, the record waits. ' +
        'Or choose another onFailure: skip, dead-letter or a fallback.',
      { place: name, cause },
    )
  }
}
