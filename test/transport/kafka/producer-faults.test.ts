/**
 * Producers on a cluster that fails by chance, beside a model: what was acknowledged is in the log once
 * and in order, what was committed is visible once and in order, and nothing else is.
 */
import { describe, expect, it } from 'vitest'
import { isMillraceError } from '../../../model/errors.ts'
import { TransportError } from '../../../transport/errors.ts'
import type { TransactionVersion } from '../../../transport/kafka/cluster/cluster.ts'
import type { KafkaProducer } from '../../../transport/kafka/producer/kafka-producer.ts'
import { drawnSeed } from '../../seed.ts'
import { NO_FAULTS } from './faulty-cluster.ts'
import { offsetFor, ProducerWorld, recordFor } from './producer-world.ts'

const PARTITIONS = 4
const SEEDS = Number(process.env['MILLRACE_SEEDS'] ?? 25)
const first = drawnSeed()
const seeds = Array.from({ length: SEEDS }, (_, index) => first + index)
const GROUP = { groupId: 'group', generation: -1, memberId: '' }
const COMPRESSIONS = ['none', 'gzip', 'lz4'] as const

/** Faults of one world: some worlds have many, some few. */
function faults(world: ProducerWorld): void {
  const most = world.clock.random64.pick([0.02, 0.08, 0.2])
  const random = (): number => world.clock.random() * most
  world.cluster.faults = { cut: random(), move: random(), refuse: random() }
}

function limits(world: ProducerWorld): {
  readonly batchBytes: number
  readonly requestBytes: number
} {
  const { random64 } = world.clock
  return {
    batchBytes: random64.pick([100, 400, 5_000]),
    requestBytes: random64.pick([300, 50_000]),
  }
}

describe('a producer without transactions', () => {
  it.each(seeds)('loses, doubles and reorders nothing (seed %i)', async (seed) => {
    const world = new ProducerWorld(seed, { partitions: PARTITIONS })
    const { random64 } = world.clock
    const compression = random64.pick(COMPRESSIONS)
    const producer = world.producer({ compression }, limits(world))
    await world.run(producer.init())
    faults(world)
    const sent: string[][] = Array.from({ length: PARTITIONS }, () => [])
    for (let step = 0; step < 60; step += 1) {
      for (let count = random64.below(20); count > 0; count -= 1) {
        const partition = random64.below(PARTITIONS)
        const value = `${partition}:${sent[partition]?.length}`.padEnd(1 + random64.below(60), '.')
        sent[partition]?.push(value)
        producer.send(recordFor(partition, value))
      }
      if (random64.chance(0.3)) await world.pass(random64.below(40))
      if (random64.chance(0.2)) await world.run(producer.flush())
    }
    const offsets = await world.run(producer.flush())
    expect(producer.bufferedBytes).toBe(0)
    await world.pass(1_000)
    for (const [partition, values] of sent.entries()) {
      expect(world.visible(partition), `partition ${partition}`).toEqual(values)
    }
    for (const { partition, offset } of offsets) {
      expect(offset).toBe((sent[partition]?.length ?? 0) - 1)
    }
    await world.run(producer[Symbol.asyncDispose]())
  })
})

describe('a flush', () => {
  it.each(seeds)(
    'tells of all that was lost, whatever is sent meanwhile (seed %i)',
    async (seed) => {
      const world = new ProducerWorld(seed, { partitions: PARTITIONS })
      const { random64 } = world.clock
      const producer = world.producer({}, limits(world))
      await world.run(producer.init())
      faults(world)
      world.cluster.maxMessageBytes = 500
      const sent: string[][] = Array.from({ length: PARTITIONS }, () => [])
      const acknowledged: string[] = []
      let values: string[] = []
      let isFlushing = false
      const flush = async (): Promise<boolean> => {
        const answered = values
        values = []
        isFlushing = true
        const isWhole = await producer.flush().then(
          () => true,
          () => false,
        )
        isFlushing = false
        if (isWhole) acknowledged.push(...answered)
        return isWhole
      }
      for (let step = 0; step < 80; step += 1) {
        for (let count = random64.below(8); count > 0; count -= 1) {
          const partition = random64.below(PARTITIONS)
          const name = `${partition}:${sent[partition]?.length}.`
          const value = name.padEnd(random64.chance(0.03) ? 900 : 1 + random64.below(60), '.')
          sent[partition]?.push(value)
          values.push(value)
          producer.send(recordFor(partition, value))
        }
        if (random64.chance(0.4) && !isFlushing) void flush()
        if (random64.chance(0.5)) await world.pass(random64.below(40))
        if (isFlushing) continue
        if (random64.chance(0.03)) {
          await world.pass(300_000)
          for (const partition of world.cluster.partitions.values()) partition.forget()
        }
        if (!random64.chance(0.2)) continue
        if (!(await world.run(flush()))) await world.run(producer.init())
      }
      await world.clock.runUntil(() => !isFlushing, 200_000)
      await world.run(flush())
      await world.pass(1_000)
      const visible = sent.map((_, partition) => world.visible(partition))
      for (const [partition, shown] of visible.entries()) {
        expect(shown).toEqual(sent[partition]?.filter((value) => shown.includes(value)))
      }
      expect(acknowledged.filter((value) => !visible.flat().includes(value))).toEqual([])
      await world.run(producer[Symbol.asyncDispose]().catch(() => {}))
    },
  )
})

interface Work {
  readonly partition: number
  readonly value: string
}

/** An application that does its work again until it is committed, and notes what was. */
class Committing {
  readonly committed: string[][] = Array.from({ length: PARTITIONS }, () => [])
  offset = 0
  readonly #world: ProducerWorld
  readonly #producer: KafkaProducer
  #count = 0

  constructor(world: ProducerWorld, producer: KafkaProducer) {
    this.#world = world
    this.#producer = producer
  }

  async transaction(): Promise<void> {
    const { random64 } = this.#world.clock
    const work = Array.from({ length: 1 + random64.below(15) }, () => {
      this.#count += 1
      return { partition: random64.below(PARTITIONS), value: `${this.#count}` }
    })
    const isAborted = random64.chance(0.2)
    const hasOffsets = random64.chance(0.6)
    let isDone = false
    while (!isDone) isDone = await this.#once(work, { isAborted, hasOffsets })
    if (isAborted) return
    for (const { partition, value } of work) this.committed[partition]?.push(value)
    if (hasOffsets) this.offset += 1
  }

  /** Whether the work has come to its end, one way or the other. */
  async #once(
    work: readonly Work[],
    { isAborted, hasOffsets }: { readonly isAborted: boolean; readonly hasOffsets: boolean },
  ): Promise<boolean> {
    try {
      await this.#attempt(work, hasOffsets ? this.offset + 1 : undefined)
      await this.#untilKnown(() => (isAborted ? this.#producer.abort() : this.#producer.commit()))
      return true
    } catch (error) {
      if (isMillraceError(error, 'MILLRACE_PRODUCER_FENCED'))
        return await this.#afterFence(work, error)
      if (!(error instanceof TransportError) || error.kind !== 'abortable') throw error
    }
    try {
      await this.#untilKnown(() => this.#producer.abort())
    } catch (error) {
      if (!isMillraceError(error, 'MILLRACE_PRODUCER_FENCED')) throw error
      await this.#afterFence(work, error)
    }
    return false
  }

  /**
   * Under version 1 a transaction whose time was over while answers were lost cannot be told from one
   * that another producer ended: the app starts anew, and asks the log what became of its work.
   */
  async #afterFence(work: readonly Work[], error: Error): Promise<boolean> {
    if (this.#world.cluster.version === 2) throw error
    await this.#world.run(this.#producer.init())
    await this.#world.pass(1_000)
    const [one] = work
    return one !== undefined && this.#world.visible(one.partition).includes(one.value)
  }

  async #attempt(work: readonly Work[], offset: number | undefined): Promise<void> {
    const { random64 } = this.#world.clock
    for (const { partition, value } of work) {
      this.#producer.send(recordFor(partition, value))
      if (random64.chance(0.1)) await this.#world.pass(random64.below(20))
    }
    if (random64.chance(0.5)) await this.#world.run(this.#producer.flush())
    if (random64.chance(0.02)) await this.#world.pass(3_000)
    if (offset === undefined) return
    await this.#world.run(this.#producer.sendOffsets([offsetFor(0, offset)], GROUP))
  }

  async #untilKnown(call: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await this.#world.run(call())
        return
      } catch (error) {
        if (!(error instanceof TransportError) || error.kind !== 'retriable') throw error
      }
    }
  }
}

describe.each([1, 2] satisfies TransactionVersion[])('transactions of version %i', (version) => {
  it.each(seeds)('are visible whole, once and in order (seed %i)', async (seed) => {
    const world = new ProducerWorld(seed, { partitions: PARTITIONS, version })
    const options = { transactionalId: 'id', transactionTimeoutMs: 2_500 }
    const patience = world.clock.random64.pick([{}, { coordinatorDeadlineMs: 60 }])
    const producer = world.producer(options, { ...limits(world), ...patience })
    await world.run(producer.init())
    faults(world)
    const app = new Committing(world, producer)
    for (let count = 0; count < 25; count += 1) await app.transaction()
    await world.pass(5_000)
    for (const [partition, values] of app.committed.entries()) {
      expect(world.visible(partition), `partition ${partition}`).toEqual(values)
    }
    expect(world.cluster.offsets.get('group topic[0]') ?? 0).toBe(app.offset)
    expect(world.cluster.isAtRest).toBe(true)
    await world.run(producer[Symbol.asyncDispose]())
  })
})

/** Does the same thing again and again, until it hears that it is fenced. */
async function haunt(zombie: KafkaProducer): Promise<void> {
  for (;;) {
    try {
      zombie.send(recordFor(0, 'zombie'))
      await zombie.flush()
      await zombie.abort()
    } catch (error) {
      if (isMillraceError(error, 'MILLRACE_PRODUCER_FENCED')) return
      await zombie.abort().catch(() => {})
    }
  }
}

/** Commits one record, with as many tries as it takes; rejects where somebody took over. */
async function persist(heir: KafkaProducer): Promise<void> {
  for (;;) {
    try {
      heir.send(recordFor(0, 'heir'))
      await heir.commit()
      return
    } catch (error) {
      if (!(error instanceof TransportError) || error.kind !== 'abortable') throw error
      await heir.abort()
    }
  }
}

describe.each([1, 2] satisfies TransactionVersion[])('a successor of version %i', (version) => {
  it.each(seeds)('is not fenced by what it took over from (seed %i)', async (seed) => {
    const world = new ProducerWorld(seed, { version })
    const options = { transactionalId: 'id' }
    const [zombie, heir] = [world.producer(options), world.producer(options)]
    await world.run(zombie.init())
    const { random64 } = world.clock
    world.cluster.faults = { cut: random64.pick([0, 0.1, 0.3]), move: 0, refuse: 0 }
    const haunting = haunt(zombie)
    await world.pass(random64.below(200))
    await world.run(heir.init())
    world.cluster.faults = NO_FAULTS
    await world.run(persist(heir))
    await world.run(haunting)
    await world.run(persist(heir))
    await world.pass(1_000)
    expect(world.visible(0)).toEqual(['heir', 'heir'])
  })
})
