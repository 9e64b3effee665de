/**
 * A reader over pretended brokers that lose requests and answers, forget sessions, move leaders and
 * take their time, all from one seed. Whatever happens, each partition must be read exactly once, in
 * order, without what was aborted, and never more ahead than the budget allows.
 */
import { describe, expect, test } from 'vitest'
import { asOffset, asPartition } from '../../../model/position.ts'
import { KafkaReader } from '../../../transport/kafka/reader/kafka-reader.ts'
import type { Cursor, FetchedBatch, Reader } from '../../../transport/transport.ts'
import { SeededRandom } from '../../../testing/seeded-random.ts'
import { SimulatedClock } from '../../../testing/simulated-clock.ts'
import { FetchBrokers } from './fetch-brokers.ts'
import { FetchLog } from './fetch-log.ts'

const SEEDS = Number(process.env['MILLRACE_SEEDS'] ?? 100)
const FIRST_SEED = Number(process.env['MILLRACE_SEED'] ?? 1)
const LIMIT_MS = 600_000
const NODES = 3
const CODECS = ['none', 'none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

class World {
  readonly clock: SimulatedClock
  readonly random: SeededRandom
  readonly brokers: FetchBrokers
  readonly logs: readonly FetchLog[]
  readonly prefetchBytes: number
  isWriting = true

  constructor(seed: number) {
    this.clock = new SimulatedClock(seed)
    this.random = new SeededRandom(seed * 7919)
    this.brokers = new FetchBrokers(this.clock)
    const { random } = this
    const partitions = 1 + random.below(6)
    this.logs = Array.from({ length: partitions }, (_, partition) => {
      return new FetchLog('t', partition, { topicId: 'id', leader: random.below(NODES) })
    })
    this.brokers.logs.push(...this.logs)
    this.brokers.faults = {
      lost: random.pick([0, 0.02, 0.1]),
      unanswered: random.pick([0, 0.02, 0.1]),
      forgets: random.pick([0, 0.05]),
      delayMs: random.pick([1, 5, 40]),
    }
    this.prefetchBytes = random.pick([1, 2_000, 20_000, 1_000_000])
  }

  get largestBatchBytes(): number {
    return Math.max(...this.logs.map((log) => log.largestBatchBytes))
  }

  async write(): Promise<void> {
    const { random } = this
    for (let step = 0; step < 120; step += 1) {
      const log = random.pick(this.logs)
      const producerId = random.below(4)
      if (random.chance(0.2)) log.endTransaction(producerId, random.pick(['commit', 'abort']))
      else if (random.chance(0.05)) log.elect(random.below(NODES))
      else {
        const large = random.chance(0.1) ? 3_000 : 20
        const values = Array.from({ length: 1 + random.below(5) }, (_, index) => {
          return `${step}.${index}`.padEnd(random.below(large), '-')
        })
        const compression = random.pick(CODECS)
        if (random.chance(0.6)) log.write(values, { producerId, compression })
        else log.write(values, { compression })
        if (random.chance(0.05)) log.empty(log.end - 1)
      }
      this.brokers.notify()
      if (random.chance(0.5))
        await new Promise<void>((done) => void this.clock.timer(random.below(30), done))
    }
    for (const log of this.logs) {
      for (let producerId = 0; producerId < 4; producerId += 1) {
        log.endTransaction(producerId, random.pick(['commit', 'abort']))
      }
    }
    this.isWriting = false
    this.brokers.notify()
  }
}

interface Kept {
  readonly batch: FetchedBatch
  readonly values: readonly string[]
}

class Consumer {
  readonly got: string[][]
  readonly #world: World
  readonly #reader: Reader
  readonly #cursors: readonly Cursor[]
  readonly #kept: Kept[] = []
  readonly #end = new AbortController()

  constructor(world: World, reader: Reader) {
    this.#world = world
    this.#reader = reader
    this.got = world.logs.map(() => [])
    this.#cursors = world.logs.map(({ topic, partition }) =>
      reader.open({ topic, partition: asPartition(partition), offset: asOffset(0) }),
    )
  }

  get isDone(): boolean {
    const { logs, isWriting } = this.#world
    return !isWriting && this.#cursors.every(({ position }, index) => position === logs[index]?.end)
  }

  /** Wakes it where it waits for news that will not come. */
  stop(): void {
    this.#end.abort(new Error('all is read'))
  }

  readonly #ended = (error: unknown): void => {
    if (!this.#end.signal.aborted) throw error
  }

  async run(): Promise<void> {
    const { random } = this.#world
    while (!this.isDone) {
      this.#checkBound()
      const order = this.#cursors.toSorted(() => random.next() - 0.5)
      const batch = order.reduce<FetchedBatch | undefined>(
        (found, cursor) => found ?? cursor.take(),
        undefined,
      )
      this.#checkBound()
      if (batch === undefined) await this.#reader.ready(this.#end.signal).catch(this.#ended)
      else {
        this.#take(batch)
        if (random.chance(0.3))
          await new Promise<void>((done) => void this.#world.clock.timer(random.below(20), done))
      }
    }
    for (const { batch, values } of this.#kept) expect(textsOf(batch)).toEqual(values)
  }

  #take(batch: FetchedBatch): void {
    const values = textsOf(batch)
    this.got[batch.partition]?.push(...values)
    // What is held must stay as it is, whatever becomes of the buffers of the others.
    if (this.#world.random.chance(0.2)) this.#kept.push({ batch, values })
    else batch.release()
  }

  #checkBound(): void {
    const { prefetchBytes, largestBatchBytes } = this.#world
    const bound = prefetchBytes + this.#cursors.length * largestBatchBytes
    expect(this.#reader.bufferedBytes).toBeLessThanOrEqual(bound)
  }
}

function textsOf(batch: FetchedBatch): readonly string[] {
  return batch.records.map(({ offset, value }) => `${offset}:${value?.toString() ?? ''}`)
}

describe('a reader over brokers that fail', () => {
  for (const isolation of ['read_committed', 'read_uncommitted'] as const) {
    test(`reads each record once, in order, under ${isolation}`, async () => {
      for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
        const world = new World(seed)
        const { brokers: cluster, prefetchBytes } = world
        const reader = new KafkaReader({ cluster, isolation, prefetchBytes })
        const consumer = new Consumer(world, reader)
        let outcome: unknown
        Promise.all([world.write(), consumer.run()]).then(
          () => (outcome = 'read'),
          (error: unknown) => (outcome = error),
        )
        const isOver = (): boolean => {
          if (consumer.isDone) consumer.stop()
          return outcome !== undefined
        }
        try {
          await world.clock.runUntil(isOver, LIMIT_MS)
          if (outcome !== 'read') throw outcome
          const seen = isolation === 'read_committed' ? 'committed' : 'all'
          expect(consumer.got).toEqual(world.logs.map((log) => log[seen]))
          expect(cluster.mostAtOnce).toBe(1)
          await reader[Symbol.asyncDispose]()
          expect(reader.bufferedBytes).toBe(0)
          expect(cluster.openLanes).toBe(0)
        } catch (error) {
          throw new Error(`seed ${seed}: MILLRACE_SEED=${seed}`, { cause: error })
        }
      }
    })
  }
})
