/** A topic that a test reads. */
import { asPartition, asTopic, type Topic } from '../model/position.ts'
import type { Headers, LogRecord } from '../model/record.ts'
import { readNow } from '../processors/deserialize.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import type { DrivenApp } from './driven-app.ts'

/** How a test reads a topic. */
export interface OutputOptions<K, V> {
  readonly key: Serde<K>
  readonly value: Serde<V>
}

/** A record that came out. Key and value are null where the log has none. */
export interface OutputRecord<K, V> {
  readonly key: K | null
  readonly value: V | null
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  readonly headers: Headers
  readonly partition: number
}

/**
 * Reads the committed records of a topic of a driver, each once, from the topic's beginning; what is
 * not committed is not there. Records come in the order in which reads find them: one partition
 * after the other, those of one partition in order. Reads are asynchronous because a serde may have
 * to fetch a schema; nothing else happens meanwhile.
 */
export class TestOutputTopic<K, V> {
  readonly topic: Topic
  readonly #app: DrivenApp
  readonly #options: OutputOptions<K, V>
  /** Records taken from each partition so far. */
  readonly #taken: number[]
  readonly #waiting: { readonly record: LogRecord; readonly partition: number }[] = []
  #serdes: Promise<{ readonly key: OpenSerde<K>; readonly value: OpenSerde<V> }> | undefined

  /** Made by `TopologyTestDriver.output`. */
  constructor(
    app: DrivenApp,
    topic: string,
    parts: { readonly options: OutputOptions<K, V>; readonly partitions: number },
  ) {
    this.topic = asTopic(topic)
    this.#app = app
    this.#options = parts.options
    this.#taken = Array.from({ length: parts.partitions }, () => 0)
  }

  /** The next record. Rejects where none is left. */
  async read(): Promise<OutputRecord<K, V>> {
    this.#look()
    const next = this.#waiting[0]
    if (next === undefined) {
      const read = this.#taken.reduce((sum, taken) => sum + taken, 0)
      throw new TypeError(`no record is left on ${this.topic}; ${read} were read`)
    }
    const record = await this.#value(next.record, next.partition)
    this.#waiting.shift()
    return record
  }

  /** All records that are left. */
  async readAll(): Promise<OutputRecord<K, V>[]> {
    const records: OutputRecord<K, V>[] = []
    while (!this.isEmpty) records.push(await this.read())
    return records
  }

  /** Keys and values of all records that are left; `new Map(…)` of it is the latest value of each key. */
  async readKeyValues(): Promise<[K | null, V | null][]> {
    return (await this.readAll()).map(({ key, value }) => [key, value])
  }

  /** Whether no record is left. */
  get isEmpty(): boolean {
    return this.size === 0
  }

  /** How many records are left. */
  get size(): number {
    this.#look()
    return this.#waiting.length
  }

  /** Takes over what was committed since the last look. */
  #look(): void {
    for (const [index, taken] of this.#taken.entries()) {
      const partition = asPartition(index)
      const records = this.#app.log.records({ topic: this.topic, partition })
      for (const record of records.slice(taken)) this.#waiting.push({ record, partition })
      this.#taken[index] = records.length
    }
  }

  async #value(record: LogRecord, partition: number): Promise<OutputRecord<K, V>> {
    const serdes = await (this.#serdes ??= this.#open())
    const { keyBuffer, keyStart, keyEnd, valueBuffer, valueStart, valueEnd } = record
    return {
      key:
        keyEnd < 0
          ? null
          : await readNow(() => serdes.key.deserialize(keyBuffer, keyStart, keyEnd)),
      value:
        valueEnd < 0
          ? null
          : await readNow(() => serdes.value.deserialize(valueBuffer, valueStart, valueEnd)),
      timestampMs: record.timestamp,
      headers: record.headers,
      partition,
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
}
