/** A topic that a test writes to. */
import { asPartition, asTopic, type Topic } from '../model/position.ts'
import { NO_HEADERS, type Headers } from '../model/record.ts'
import { partitionForKey } from '../model/murmur2.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import type { PartitionBy } from '../topology/graph.ts'
import type { ProducerRecord } from '../transport/transport.ts'
import type { DrivenApp } from './driven-app.ts'

/** How a test writes a topic. */
export interface InputOptions<K, V> {
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** The timestamp of the first record piped without one, milliseconds since 1970. Default: where `advanceMs` is given the driver's wall clock now, else the wall clock at each pipe. */
  readonly timestampMs?: number
  /** By how much the timestamp grows with each record piped without one. Default 0. */
  readonly advanceMs?: number
}

/** What a test may say about one record. */
export interface PipeOptions {
  /** Milliseconds since 1970. The timestamps of later records do not depend on it. */
  readonly timestampMs?: number
  readonly headers?: Headers
  /** Default: by the topic's `partitionBy`, where the topology has one, else by the key's bytes as Kafka's own producer does; 0 where there is no key. */
  readonly partition?: number
}

/** A record to pipe. */
export interface InputRecord<K, V> extends PipeOptions {
  readonly key: K | null
  readonly value: V | null
}

/** How the topic is partitioned. */
export interface InputPartitioning {
  readonly partitions: number
  readonly partitionBy: PartitionBy | undefined
}

/** Pipes records into a topic of a driver. */
export class TestInputTopic<K, V> {
  readonly topic: Topic
  readonly #app: DrivenApp
  readonly #options: InputOptions<K, V>
  readonly #partitioning: InputPartitioning
  #serdes: Promise<{ readonly key: OpenSerde<K>; readonly value: OpenSerde<V> }> | undefined
  /** Of the next record without one; undefined where that is the wall clock's. */
  #nextMs: number | undefined

  /** Made by `TopologyTestDriver.input`. */
  constructor(
    app: DrivenApp,
    topic: string,
    parts: { readonly options: InputOptions<K, V>; readonly partitioning: InputPartitioning },
  ) {
    const { timestampMs, advanceMs } = parts.options
    this.topic = asTopic(topic)
    this.#app = app
    this.#options = parts.options
    this.#partitioning = parts.partitioning
    this.#nextMs = timestampMs ?? (advanceMs === undefined ? undefined : app.clock.now())
  }

  /**
   * Writes a record and resolves when the app has processed and committed it, and everything that
   * follows from it without time passing. (Kafka Streams' driver returns from `pipeInput` instead;
   * here a commit, a schema or an enrichment is asynchronous, so a call that does not wait would
   * leave the next line of the test to chance.) What waits for an asynchronous step that does not
   * answer at once is settled by `driver.settle()`. Rejects with what the app failed of.
   */
  async pipe(key: K | null, value: V | null, options: PipeOptions = {}): Promise<void> {
    await this.pipeAll([{ ...options, key, value }])
  }

  /** Pipes records one after the other, each processed and committed before the next. */
  async pipeAll(records: readonly InputRecord<K, V>[]): Promise<void> {
    await this.#app.inTurn(async () => {
      for (const record of records) await this.#app.pipe(await this.#written(record))
    })
  }

  /** Moves the timestamp of the next record without one; asserts that the topic has timestamps of its own (`timestampMs` or `advanceMs`). */
  advanceTime(byMs: number): void {
    if (this.#nextMs === undefined) {
      throw new TypeError(
        `records of ${this.topic} take the wall clock's time: give the topic a timestampMs, or use driver.advanceWallClock`,
      )
    }
    this.#nextMs += byMs
  }

  async #written({ key, value, ...options }: InputRecord<K, V>): Promise<ProducerRecord> {
    const serdes = await (this.#serdes ??= this.#open())
    const keyBytes = key === null ? null : serdes.key.serialize(key)
    return {
      topic: this.topic,
      partition: asPartition(options.partition ?? this.#partitionOf(key, keyBytes)),
      key: keyBytes,
      value: value === null ? null : serdes.value.serialize(value),
      timestamp: options.timestampMs ?? this.#timestamp(),
      headers: options.headers ?? NO_HEADERS,
    }
  }

  async #open(): Promise<{ readonly key: OpenSerde<K>; readonly value: OpenSerde<V> }> {
    const { registry, clock } = this.#app
    const context = { topic: this.topic, registry, clock }
    return {
      key: await this.#options.key.open({ ...context, role: 'key' }),
      value: await this.#options.value.open({ ...context, role: 'value' }),
    }
  }

  #partitionOf(key: K | null, bytes: Buffer | null): number {
    const { partitions, partitionBy } = this.#partitioning
    if (key === null || bytes === null) return 0
    const chosenBy = partitionBy === undefined ? bytes : Buffer.from(partitionBy(key))
    return partitionForKey(chosenBy, partitions)
  }

  #timestamp(): number {
    const timestamp = this.#nextMs
    if (timestamp === undefined) return this.#app.clock.now()
    this.#nextMs = timestamp + (this.#options.advanceMs ?? 0)
    return timestamp
  }
}
