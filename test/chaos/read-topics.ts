/** What is committed in the topics of a run, partition by partition, read on from where it was read to. */
import type { Clock } from '../../model/clock.ts'
import { asOffset, asPartition, type Topic } from '../../model/position.ts'
import type { Cursor, Transport } from '../../transport/transport.ts'
import { PARTITIONS } from './shape.ts'

/** How long nothing may come before the end is reached. */
const SILENCE_MS = 60_000
const PREFETCH_BYTES = 16 * 1024 * 1024

/** A record as it lies in its topic. */
export interface ReadRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer
  readonly value: Buffer
}

/** The records of each partition of a topic. */
export type ReadTopic = readonly (readonly ReadRecord[])[]

/** Reads topics of a log from their beginnings. */
export class TopicReading implements AsyncDisposable {
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #reader
  readonly #topics: ReadonlyMap<Topic, ReadRecord[][]>
  readonly #cursors: readonly Cursor[]

  constructor(transport: Transport, clock: Clock, topics: readonly Topic[]) {
    const partitions = Array.from({ length: PARTITIONS }, (_, p) => asPartition(p))
    this.#transport = transport
    this.#clock = clock
    this.#reader = transport.openReader({
      isolation: 'read_committed',
      prefetchBytes: PREFETCH_BYTES,
    })
    this.#topics = new Map(topics.map((topic) => [topic, partitions.map(() => [])]))
    this.#cursors = topics.flatMap((topic) =>
      partitions.map((partition) => this.#reader.open({ topic, partition, offset: asOffset(0) })),
    )
  }

  /** What was read of a topic so far. */
  of(topic: Topic): ReadTopic {
    const records = this.#topics.get(topic)
    if (records === undefined) throw new TypeError(`${topic} is not read`)
    return records
  }

  /** Reads everything that is committed by now. */
  async readOn(): Promise<void> {
    const ends = await this.#transport.admin.offsets(this.#cursors, 'latest', 'read_committed')
    for (;;) {
      const took = this.#cursors.map((cursor) => this.#take(cursor)).includes(true)
      if (this.#cursors.every(({ position }, i) => position >= (ends[i] ?? 0))) return
      if (!took) await this.#wait()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]()
  }

  #take(cursor: Cursor): boolean {
    const batch = cursor.take()
    if (batch === undefined) return false
    const into = this.#topics.get(cursor.topic)?.[cursor.partition]
    for (const { offset, timestamp, key, value } of batch.records) {
      if (key === null || value === null) {
        throw new TypeError(`${cursor.topic}[${cursor.partition}]@${offset} has no key or value`)
      }
      into?.push({ offset, timestamp, key: Buffer.from(key), value: Buffer.from(value) })
    }
    batch.release()
    return true
  }

  async #wait(): Promise<void> {
    const silence = new AbortController()
    const timer = this.#clock.timer(SILENCE_MS, () =>
      silence.abort(new Error(`nothing came for ${SILENCE_MS} ms, and the ends are not reached`)),
    )
    await this.#reader.ready(silence.signal).finally(() => timer.cancel())
  }
}
