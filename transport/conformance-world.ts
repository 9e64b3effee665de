/** What the cases of the transport's conformance suite share: names of their own, sending, reading to an end. */
import assert from 'node:assert/strict'
import { sleep, type Clock } from '../model/clock.ts'
import { isMillraceError } from '../model/errors.ts'
import {
  asOffset,
  asPartition,
  asTopic,
  describePartition,
  type Offset,
  type PartitionOffset,
  type Topic,
  type TopicPartition,
} from '../model/position.ts'
import { NO_HEADERS } from '../model/record.ts'
import { TransportError, type TransportErrorKind } from './errors.ts'
import type {
  Cursor,
  FetchedBatch,
  GroupMetadata,
  Isolation,
  Producer,
  ProducerOptions,
  ProducerRecord,
  Reader,
  TopicConfig,
  Transport,
} from './transport.ts'

/** How the suite gets at a log, and at what only some logs can do. */
export interface TransportHarness {
  /** Bounds the waits of the cases, and is what the log itself tells time by. */
  readonly clock: Clock
  /** A fresh, empty log; or, with `prefix`, one where no name that begins with it was used. */
  open(): Promise<Transport>
  /** What the names of the next case begin with, another one at each call: for logs that cannot be made afresh. */
  prefix?(): string
  /** The log last opened, again, after it was closed or crashed: for logs that outlive their process. */
  reopen?(): Promise<Transport>
  /** Ends a log's process as kill -9 would: nothing is flushed, aborted or given back, but a lock. */
  crash?(log: Transport): Promise<void>
  /** Compacts a partition now: of each key the last record that is stable stays, its tombstone too. */
  compact?(log: Transport, of: TopicPartition): Promise<void>
  /** Cuts a partition's log at an offset under a new leader epoch, as an unclean election does. */
  truncate?(log: Transport, at: PartitionOffset): Promise<void>
  /** Lets that much time pass on a clock moved by hand. Without it, time passes by itself. */
  elapse?(elapsedMs: number): Promise<void>
}

/** One test of the suite. */
export interface ConformanceCase {
  readonly title: string
  readonly needs?: readonly ('reopen' | 'crash' | 'compact' | 'truncate')[]
  /** Runs once, on a log of its own: it is slow, or closes the log. */
  readonly isAlone?: boolean
  run(world: World): Promise<void>
}

/** What was read of a partition: the records in order, and every batch as it came. */
export interface ReadPart {
  /** Values as text; null where a value is. */
  readonly values: readonly (string | null)[]
  readonly offsets: readonly number[]
  readonly batches: readonly FetchedBatch[]
  /** Where the next batch would begin. */
  readonly position: Offset
}

/** How `World.read` reads. */
export interface ReadOptions {
  readonly isolation?: Isolation
  readonly from?: number
  /** Where to stop; the partition's end under the isolation where it is left out. */
  readonly to?: number
  readonly prefetchBytes?: number
}

/** A group without members. */
export function groupOf(groupId: string): GroupMetadata {
  return { groupId, generation: -1, memberId: '' }
}

/** Milliseconds a case waits for anything before it fails. */
const DEADLINE_MS = 20_000
/** Milliseconds between two questions for an offset that is pending. */
const PENDING_RETRY_MS = 5
const MIB = 1024 * 1024

/** One case's view of a log: names that no other case uses, and the few things all cases do. */
export class World {
  readonly log: Transport
  readonly harness: TransportHarness
  readonly #prefix: string

  constructor(log: Transport, harness: TransportHarness, prefix: string) {
    this.log = log
    this.harness = harness
    this.#prefix = prefix
  }

  /** The same names on another opening of the log. */
  on(log: Transport): World {
    return new World(log, this.harness, this.#prefix)
  }

  /** A group or transactional id of this case. */
  name(base: string): string {
    return `${this.#prefix}.${base}`
  }

  topic(base: string): Topic {
    return asTopic(this.name(base))
  }

  /** Creates a topic of this case. Its records' times are made up, so that none is removed for its age. */
  async create(base: string, partitions = 1, config: TopicConfig = {}): Promise<Topic> {
    const topic = this.topic(base)
    const kept = { 'retention.ms': '-1', ...config }
    await this.log.admin.createTopics([{ topic, partitions, config: kept }])
    return topic
  }

  /** Opens and initializes a producer; transactional where an id is given. */
  async producer(id?: string, options: ProducerOptions = {}): Promise<Producer> {
    const producer = this.log.openProducer(
      id === undefined ? options : { ...options, transactionalId: this.name(id) },
    )
    await producer.init()
    return producer
  }

  reader(isolation: Isolation = 'read_committed', prefetchBytes = MIB): Reader {
    return this.log.openReader({ isolation, prefetchBytes })
  }

  /** The end of a partition under an isolation. */
  async end(
    topic: Topic,
    isolation: Isolation = 'read_uncommitted',
    partition = 0,
  ): Promise<Offset> {
    const ends = await this.log.admin.offsets([at(topic, partition)], 'latest', isolation)
    assert.equal(ends.length, 1)
    return ends[0] ?? asOffset(0)
  }

  /** A group's committed offset and its metadata, waiting for a transaction that is just being ended by init. */
  async committed(
    group: string,
    of: TopicPartition,
  ): Promise<readonly [number, string] | undefined> {
    return await this.within(`the offset of ${describePartition(of)}`, async (signal) => {
      for (;;) {
        try {
          const [found] = await this.log.admin.committedOffsets(group, [of])
          return found === undefined ? undefined : [found.offset, found.metadata]
        } catch (error) {
          if (!isMillraceError(error, 'MILLRACE_OFFSETS_PENDING')) throw error
          await sleep(this.harness.clock, PENDING_RETRY_MS, signal)
        }
      }
    })
  }

  /** Reads one partition to an end, with a reader of its own. */
  async read(topic: Topic, options: ReadOptions = {}, partition = 0): Promise<ReadPart> {
    const isolation = options.isolation ?? 'read_committed'
    const end = options.to ?? (await this.end(topic, isolation, partition))
    await using reader = this.reader(isolation, options.prefetchBytes)
    const cursor = reader.open({ ...at(topic, partition), offset: asOffset(options.from ?? 0) })
    return await this.drain(reader, cursor, end)
  }

  /** Takes batches of a cursor until it stands at `end`, waiting for them. */
  async drain(reader: Reader, cursor: Cursor, end: number): Promise<ReadPart> {
    const batches: FetchedBatch[] = []
    const what = `${describePartition(cursor)} to be read from ${cursor.position} to ${end}`
    while (cursor.position < end) {
      const batch = cursor.take()
      if (batch === undefined) await this.within(what, (signal) => reader.ready(signal))
      else batches.push(batch)
    }
    const records = batches.flatMap((batch) => batch.records)
    return {
      batches,
      values: records.map((record) => record.value?.toString() ?? null),
      offsets: records.map((record) => record.offset),
      position: cursor.position,
    }
  }

  /** The next batch of a cursor, waiting for it. */
  async nextBatch(reader: Reader, cursor: Cursor): Promise<FetchedBatch> {
    for (;;) {
      const batch = cursor.take()
      if (batch !== undefined) return batch
      await this.within(`a batch of ${describePartition(cursor)}`, (signal) => reader.ready(signal))
    }
  }

  /** What a cursor's take throws once it throws. */
  async failure(reader: Reader, cursor: Cursor): Promise<unknown> {
    for (;;) {
      try {
        if (cursor.take() !== undefined) continue
      } catch (error) {
        return error
      }
      await this.within(`${describePartition(cursor)} to fail`, (signal) => reader.ready(signal))
    }
  }

  /** Runs `wait` with a signal that aborts at the deadline, so that a log that hangs fails its case. */
  async within<T>(what: string, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = new AbortController()
    const timer = this.harness.clock.timer(DEADLINE_MS, () =>
      deadline.abort(new Error(`waited ${DEADLINE_MS} ms for ${what}`)),
    )
    try {
      return await wait(deadline.signal)
    } finally {
      timer.cancel()
    }
  }
}

/** A partition of a topic. */
export function at(topic: Topic, partition = 0): TopicPartition {
  return { topic, partition: asPartition(partition) }
}

/** A place in a partition. */
export function atOffset(topic: Topic, offset: number, partition = 0): PartitionOffset {
  return { ...at(topic, partition), offset: asOffset(offset) }
}

/** A record to send: a text value, no key and no headers unless `rest` says otherwise. */
export function record(
  topic: Topic,
  value: string | Buffer | null,
  rest: Partial<ProducerRecord> = {},
): ProducerRecord {
  return {
    topic,
    partition: asPartition(0),
    key: null,
    value: typeof value === 'string' ? Buffer.from(value) : value,
    timestamp: 1_700_000_000_000,
    headers: NO_HEADERS,
    ...rest,
  }
}

/** Sends text values to one partition: that of a topic which is named alone is 0. */
export function sendAll(
  producer: Producer,
  to: Topic | TopicPartition,
  values: readonly string[],
): void {
  const { topic, partition } = typeof to === 'string' ? at(to) : to
  for (const value of values) producer.send(record(topic, value, { partition }))
}

/** Sends text values to partition 0 and waits for their acknowledgement. */
export async function sendNow(
  producer: Producer,
  topic: Topic,
  ...values: readonly string[]
): Promise<void> {
  sendAll(producer, topic, values)
  await producer.flush()
}

/** What an error of the log must be. */
export interface ExpectedError {
  readonly code?: string
  readonly kind?: TransportErrorKind
  /** Texts that the message must have. */
  readonly says?: readonly (string | RegExp)[]
}

/** Asserts that a call fails with an error of the port. */
export async function assertRejects(
  call: Promise<unknown>,
  expected: ExpectedError,
): Promise<void> {
  let error: unknown
  try {
    await call
  } catch (thrown) {
    error = thrown
  }
  assertError(error, expected)
}

/** Asserts that something thrown is an error of the port. */
export function assertError(error: unknown, { code, kind, says = [] }: ExpectedError): void {
  assert.ok(error instanceof TransportError, `expected a TransportError, got ${String(error)}`)
  if (code !== undefined) assert.equal(error.code, code)
  if (kind !== undefined) assert.equal(error.kind, kind, `kind of ${error.code}`)
  for (const text of says) {
    if (typeof text === 'string')
      assert.ok(error.message.includes(text), `${text}: ${error.message}`)
    else assert.match(error.message, text)
  }
}
