/**
 * Writes the inputs at a steady pace. It is never killed, so what it counted is what has to be in the
 * log: each record once, for its producer is idempotent.
 *
 * A log in a folder is held by one of the processes that use it. The feeder lets go of it whenever it
 * has become the holder, so that a killed process is often the one that held the log.
 */
import { sleep, type Clock } from '../../model/clock.ts'
import { NO_HEADERS } from '../../model/record.ts'
import type { Topic } from '../../model/position.ts'
import { avro } from '../../serdes/avro.ts'
import type { Registry } from '../../serdes/registry.ts'
import type { OpenSerde } from '../../serdes/serde.ts'
import type { Producer, Transport } from '../../transport/transport.ts'
import type { SeededRandom } from '../../testing/seeded-random.ts'
import { Chunk, ChunkKey } from '../../video/schemas.ts'
import {
  areWholeVideos,
  chunkOf,
  INPUT,
  keyOfNumber,
  keyOfPair,
  partitionOf,
  placeOfChunk,
} from './shape.ts'

/** Time between two rounds, and what each brings beside a chunk. */
const ROUND_MS = 40
const NUMBERS_PER_ROUND = 5
const PAIRS_PER_ROUND = 2
/** Timestamps of numbers lie back by as much at most, so that they are out of order. */
const LATEST_MS = 300

/** How many records of each input were acknowledged. */
export interface Fed {
  readonly numbers: number
  readonly pairs: number
  readonly chunks: number
}

/** What a feeder is made of. */
export interface FeederParts {
  readonly openLog: () => Promise<Transport>
  /** Whether this process holds the log. */
  readonly isHolder: () => Promise<boolean>
  readonly registry: Registry
  readonly clock: Clock
  readonly random: SeededRandom
}

interface ChunkSerdes {
  readonly key: OpenSerde<ChunkKey>
  readonly value: OpenSerde<Chunk>
}

/** The writer of the inputs. */
export class Feeder {
  readonly #parts: FeederParts
  readonly #serdes: ChunkSerdes
  readonly #stopping = new AbortController()
  #numbers = 0
  #pairs = 0
  #chunks = 0

  private constructor(parts: FeederParts, serdes: ChunkSerdes) {
    this.#parts = parts
    this.#serdes = serdes
  }

  static async open(parts: FeederParts): Promise<Feeder> {
    const { registry } = parts
    const of = { topic: INPUT.chunks, registry } as const
    return new Feeder(parts, {
      key: await avro(ChunkKey).open({ ...of, role: 'key' }),
      value: await avro(Chunk).open({ ...of, role: 'value' }),
    })
  }

  get fed(): Fed {
    return { numbers: this.#numbers, pairs: this.#pairs, chunks: this.#chunks }
  }

  /** Ends `run` after the round it is in, and after the videos that are begun. */
  stop(): void {
    this.#stopping.abort()
  }

  /** Writes until it is stopped. Rejects where the log refuses a record for good. */
  async run(): Promise<void> {
    while (!this.#isDone) await this.#runUntilHolder()
  }

  get #isDone(): boolean {
    return this.#stopping.signal.aborted && areWholeVideos(this.#chunks)
  }

  async #runUntilHolder(): Promise<void> {
    const { openLog, isHolder, clock } = this.#parts
    {
      await using transport = await openLog()
      await using producer = transport.openProducer({})
      await producer.init()
      while (!this.#isDone && !(await isHolder())) {
        await this.#round(producer)
        await sleep(clock, ROUND_MS)
      }
    }
    // Others take it meanwhile.
    await sleep(clock, 300)
  }

  async #round(producer: Producer): Promise<void> {
    const { random } = this.#parts
    for (let i = 0; i < NUMBERS_PER_ROUND; i += 1) {
      const n = this.#numbers + i
      const lateMs = random.below(LATEST_MS)
      this.#text(producer, INPUT.numbers, { key: keyOfNumber(n), value: String(n), lateMs })
    }
    for (let i = 0; i < PAIRS_PER_ROUND; i += 1) {
      const n = this.#pairs + i
      this.#text(producer, INPUT.left, { key: keyOfPair(n), value: `l${n}` })
      this.#text(producer, INPUT.right, { key: keyOfPair(n), value: `r${n}` })
    }
    this.#chunk(producer)
    await producer.flush()
    this.#numbers += NUMBERS_PER_ROUND
    this.#pairs += PAIRS_PER_ROUND
    this.#chunks += 1
  }

  #text(
    producer: Producer,
    topic: Topic,
    record: { readonly key: string; readonly value: string; readonly lateMs?: number },
  ): void {
    const { key, value, lateMs = 0 } = record
    producer.send({
      topic,
      partition: partitionOf(key),
      key: Buffer.from(key),
      value: Buffer.from(value),
      timestamp: this.#parts.clock.now() - lateMs,
      headers: NO_HEADERS,
    })
  }

  #chunk(producer: Producer): void {
    const { key, value } = this.#serdes
    const { videoId, index } = placeOfChunk(this.#chunks)
    const chunk = chunkOf(videoId, index)
    producer.send({
      topic: INPUT.chunks,
      partition: partitionOf(chunk.videoId),
      key: key.serialize({ videoId: chunk.videoId, offset: chunk.offset }),
      value: value.serialize(chunk),
      timestamp: this.#parts.clock.now(),
      headers: NO_HEADERS,
    })
  }
}
