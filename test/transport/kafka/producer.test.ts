import { describe, expect, it } from 'vitest'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import type { KafkaProducer } from '../../../transport/kafka/producer/kafka-producer.ts'
import { at, offsetFor, ProducerWorld, recordFor } from './producer-world.ts'

const GROUP = { groupId: 'group', generation: -1, memberId: '' }

async function ready(
  options: ConstructorParameters<typeof ProducerWorld>[1] = {},
  ...[producerOptions, limits]: Parameters<ProducerWorld['producer']>
) {
  const world = new ProducerWorld(7, options)
  const producer = world.producer(producerOptions, limits)
  await world.run(producer.init())
  return { world, producer }
}

/** Aborts, and then commits the first that the log shows. */
async function expectUsable(world: ProducerWorld, producer: KafkaProducer): Promise<void> {
  await world.run(producer.abort())
  producer.send(recordFor(0, 'committed'))
  await world.run(producer.commit())
  await world.pass(100)
  expect(world.visible(0)).toEqual(['committed'])
}

describe('a producer on Kafka', () => {
  it('gathers records of a partition into batches, and of a broker into requests', async () => {
    const { world, producer } = await ready({ partitions: 3 })
    for (const partition of [0, 1, 2]) world.cluster.partitions.get(`topic[${partition}]`)?.lead(2)
    for (let index = 0; index < 300; index += 1) producer.send(recordFor(index % 3, `${index}`))
    const offsets = await world.run(producer.flush())
    expect(offsets.map(({ offset }) => offset)).toEqual([99, 99, 99])
    const produced = world.cluster.requests.filter(({ api }) => api === 'Produce')
    expect(produced.length).toBeLessThanOrEqual(3)
  })

  it('lets records leave by themselves after a few milliseconds', async () => {
    const { world, producer } = await ready()
    producer.send(recordFor(0, 'alone'))
    await world.pass(100)
    expect(producer.bufferedBytes).toBe(0)
    expect(world.visible(0)).toEqual(['alone'])
  })

  it('sends the first batch of a partition alone, for a log without a trace of it takes any sequence', async () => {
    const { world, producer } = await ready({ partitions: 2 }, {}, { batchBytes: 100 })
    for (const partition of [0, 1]) world.cluster.partitions.get(`topic[${partition}]`)?.lead(1)
    producer.send(recordFor(1, 'the broker has answered before'))
    await world.run(producer.flush())
    world.cluster.script.push(CODE.notEnoughReplicas)
    const values = Array.from({ length: 20 }, (_, index) => `${index}`.padStart(40, '0'))
    for (const value of values) producer.send(recordFor(0, value))
    await world.run(producer.flush())
    expect(world.visible(0)).toEqual(values)
  })

  it('takes a sequence that comes behind a refused one as a reason to send again', async () => {
    const { world, producer } = await ready({}, {}, { batchBytes: 100 })
    producer.send(recordFor(0, 'first'))
    await world.run(producer.flush())
    world.cluster.script.push(CODE.none, CODE.notEnoughReplicas)
    const values = Array.from({ length: 20 }, (_, index) => `${index}`.padStart(40, '0'))
    for (const value of values) producer.send(recordFor(0, value))
    await world.run(producer.flush())
    expect(world.visible(0)).toEqual(['first', ...values])
  })

  it('goes on under the next epoch where the log lost what it acknowledged', async () => {
    const { world, producer } = await ready()
    for (const value of ['a', 'b', 'c']) {
      producer.send(recordFor(0, value))
      await world.run(producer.flush())
    }
    world.cluster.partitions.get('topic[0]')?.lose(1)
    producer.send(recordFor(0, 'd'))
    await world.run(producer.flush())
    producer.send(recordFor(0, 'e'))
    await world.run(producer.flush())
    expect(world.visible(0)).toEqual(['a', 'b', 'd', 'e'])
  })

  it('takes a repetition that the log tells so as acknowledged', async () => {
    const { world, producer } = await ready()
    world.cluster.script.push(CODE.duplicateSequence)
    producer.send(recordFor(0, 'a'))
    expect(await world.run(producer.flush())).toEqual([])
    expect(producer.bufferedBytes).toBe(0)
  })

  it('splits a batch over the limit of its topic, and keeps the order', async () => {
    const { world, producer } = await ready()
    world.cluster.maxMessageBytes = 500
    const values = Array.from({ length: 100 }, (_, index) => `${index}`.padStart(30, '0'))
    for (const value of values) producer.send(recordFor(0, value))
    await world.run(producer.flush())
    for (const value of values) producer.send(recordFor(0, value))
    await world.run(producer.flush())
    expect(world.visible(0)).toEqual([...values, ...values])
    expect(producer.bufferedBytes).toBe(0)
  })

  it('splits several batches that are refused while they are under way, and keeps the order', async () => {
    const { world, producer } = await ready({}, {}, { batchBytes: 2_000 })
    world.cluster.maxMessageBytes = 500
    const values = Array.from({ length: 300 }, (_, index) => `${index}`.padStart(30, '0'))
    for (const value of values) producer.send(recordFor(0, value))
    await world.run(producer.flush())
    expect(world.visible(0)).toEqual(values)
    expect(producer.bufferedBytes).toBe(0)
  })

  it.each(['none', 'zstd'] as const)(
    'names a record over the limit of its topic, its size and the remedy (%s)',
    async (compression) => {
      const { world, producer } = await ready({}, { compression })
      world.cluster.maxMessageBytes = 500
      const noise = Array.from({ length: 3_000 }, () => world.clock.random().toString(36)).join('')
      producer.send(recordFor(0, 'small'))
      producer.send(recordFor(0, noise.slice(0, 5_000)))
      await expect(world.run(producer.flush())).rejects.toMatchObject({
        code: 'MILLRACE_RECORD_TOO_LARGE',
        kind: 'abortable',
        message: expect.stringMatching(/50\d\d bytes.*500 bytes.*max\.message\.bytes of topic/),
      })
      producer.send(recordFor(0, 'next'))
      await world.run(producer.flush())
      expect(world.visible(0)).toEqual(['small', 'next'])
    },
  )

  it('says within seconds that a partition does not exist, and sends to others meanwhile', async () => {
    const { world, producer } = await ready()
    producer.send(recordFor(9, 'nowhere'))
    producer.send(recordFor(0, 'somewhere'))
    const start = world.clock.monotonic()
    await expect(world.run(producer.flush())).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
      kind: 'abortable',
    })
    expect(world.clock.monotonic() - start).toBeLessThan(5_000)
    expect(world.visible(0)).toEqual(['somewhere'])
  })

  it('finds a partition that comes into being a moment later', async () => {
    const { world, producer } = await ready()
    producer.send(recordFor(1, 'early'))
    world.clock.timer(1_000, () => void world.cluster.create(at(1)))
    await world.run(producer.flush())
    expect(world.visible(1)).toEqual(['early'])
  })

  it('gives up at the deadline, and sends no more before the next init where the log may have some', async () => {
    const { world, producer } = await ready({}, {}, { deliveryTimeoutMs: 2_000 })
    world.cluster.faults = { cut: 1, move: 0, refuse: 0 }
    producer.send(recordFor(0, 'lost'))
    const failure = { code: 'MILLRACE_DELIVERY_FAILED', kind: 'abortable' }
    await expect(world.run(producer.flush())).rejects.toMatchObject(failure)
    world.cluster.faults = { cut: 0, move: 0, refuse: 0 }
    producer.send(recordFor(0, 'behind it'))
    await expect(world.run(producer.flush())).rejects.toMatchObject(failure)
    await world.run(producer.init())
    producer.send(recordFor(0, 'anew'))
    await world.run(producer.flush())
    expect(world.visible(0).at(-1)).toBe('anew')
  })

  it('names the limit of requests where the connection breaks over a large record', async () => {
    const { world, producer } = await ready({}, {}, { deliveryTimeoutMs: 2_000 })
    world.cluster.faults = { cut: 1, move: 0, refuse: 0 }
    producer.send(recordFor(0, 'x'.repeat(2_000_000)))
    await expect(world.run(producer.flush())).rejects.toThrow(
      /20\d{5} bytes .*socket\.request\.max/,
    )
  })

  it('leaves a halted broker when another one leads, long before the deadline of its request', async () => {
    const { world, producer } = await ready()
    const partition = world.cluster.partitions.get('topic[0]')
    partition?.lead(1)
    producer.send(recordFor(0, 'a'))
    await world.run(producer.flush())
    world.cluster.silent.add(1)
    producer.send(recordFor(0, 'b'))
    world.clock.timer(4_000, () => partition?.lead(2))
    const start = world.clock.monotonic()
    await world.run(producer.flush())
    expect(world.clock.monotonic() - start).toBeLessThan(8_000)
    expect(world.visible(0)).toEqual(['a', 'b'])
  })

  it('refuses a record beyond the bound on what it queues', async () => {
    const { world, producer } = await ready({}, {}, { producerBytes: 1_000 })
    producer.send(recordFor(0, 'x'.repeat(900)))
    producer.send(recordFor(0, 'y'.repeat(900)))
    await expect(world.run(producer.flush())).rejects.toMatchObject({
      code: 'MILLRACE_PRODUCER_FULL',
    })
  })

  it('drops at once what was sent behind a record that is lost, and tells it', async () => {
    const { world, producer } = await ready()
    producer.send(recordFor(9, 'nowhere'))
    await world.pass(6_000)
    producer.send(recordFor(9, 'behind it'))
    const start = world.clock.monotonic()
    const failure = { code: 'MILLRACE_UNKNOWN_PARTITION' }
    await expect(world.run(producer.flush())).rejects.toMatchObject(failure)
    expect(world.clock.monotonic() - start).toBeLessThan(1_000)
    expect(producer.bufferedBytes).toBe(0)
    await world.run(producer.flush())
  })

  it('tells each flush of what it answers for, also where an earlier one told the reason', async () => {
    const { world, producer } = await ready()
    world.cluster.maxMessageBytes = 500
    const failure = { code: 'MILLRACE_RECORD_TOO_LARGE' }
    producer.send(recordFor(0, 'x'.repeat(5_000)))
    const flushing = producer.flush()
    await world.pass(1)
    producer.send(recordFor(0, 'sent while the first flush waits'))
    await expect(world.run(flushing)).rejects.toMatchObject(failure)
    await expect(world.run(producer.flush())).rejects.toMatchObject(failure)
    producer.send(recordFor(0, 'after it'))
    await world.run(producer.flush())
    expect(world.visible(0)).toEqual(['after it'])
  })

  it('sends a batch alone after a pause, for the log may have forgotten the producer', async () => {
    const { world, producer } = await ready({}, {}, { batchBytes: 100 })
    producer.send(recordFor(0, 'first'))
    await world.run(producer.flush())
    await world.pass(10 * 60_000)
    world.cluster.partitions.get('topic[0]')?.forget()
    world.cluster.script.push(CODE.notEnoughReplicas)
    const values = Array.from({ length: 6 }, (_, index) => `${index}`.padStart(40, '0'))
    for (const value of values) producer.send(recordFor(0, value))
    await world.run(producer.flush())
    expect(world.visible(0)).toEqual(['first', ...values])
  })

  it('leaves no timer behind when it is closed', async () => {
    const { world, producer } = await ready()
    producer.send(recordFor(0, 'last'))
    await world.run(producer[Symbol.asyncDispose]())
    expect(world.visible(0)).toEqual(['last'])
    await expect(world.clock.runUntil(() => false, 1e9)).rejects.toThrow(/no timer is left/)
  })
})

describe.each([1, 2] as const)('a transaction of version %i', (version) => {
  const id = { transactionalId: 'id' }

  it('adds partitions and groups by request in version 1 alone', async () => {
    const { world, producer } = await ready({ version }, id)
    producer.send(recordFor(0, 'a'))
    await world.run(producer.sendOffsets([offsetFor(0, 4)], GROUP))
    await world.run(producer.commit())
    const added = ['AddPartitionsToTxn', 'Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit']
    const implied = ['Produce', 'TxnOffsetCommit']
    const sent = [...new Set(world.cluster.requests.map(({ api }) => api))]
    const between = version === 1 ? added : implied
    expect(sent).toEqual(['InitProducerId', ...between, 'EndTxn'])
    await world.pass(100)
    expect(world.visible(0)).toEqual(['a'])
    expect(world.cluster.offsets.get('group topic[0]')).toBe(4)
  })

  it('that is empty sends nothing, committed or aborted', async () => {
    const { world, producer } = await ready({ version }, id)
    await world.run(producer.commit())
    await world.run(producer.abort())
    const sent = world.cluster.requests.map(({ api }) => api)
    expect(sent).toEqual(['InitProducerId', 'InitProducerId'])
  })

  it('holds what is sent while one ends for the next one', async () => {
    const { world, producer } = await ready({ version }, id)
    producer.send(recordFor(0, 'first'))
    const committing = producer.commit()
    producer.send(recordFor(0, 'second'))
    await world.run(committing)
    await world.run(producer.flush())
    await world.run(producer.abort())
    await world.pass(100)
    expect(world.visible(0)).toEqual(['first'])
  })

  it('whose outcome is unknown says so, and tells it when it is asked again', async () => {
    const { world, producer } = await ready({ version }, id, { coordinatorDeadlineMs: 200 })
    producer.send(recordFor(0, 'a'))
    await world.run(producer.flush())
    world.cluster.faults = { cut: 1, move: 0, refuse: 0 }
    await expect(world.run(producer.commit())).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_TIMED_OUT',
      kind: 'retriable',
    })
    world.cluster.faults = { cut: 0, move: 0, refuse: 0 }
    producer.send(recordFor(0, 'b'))
    await world.run(producer.commit())
    await world.pass(100)
    expect(world.visible(0)).toEqual(['a'])
    await world.run(producer.commit())
    await world.pass(100)
    expect(world.visible(0)).toEqual(['a', 'b'])
  })

  it('that the broker ended for its age is aborted, and told from one that another producer ended', async () => {
    const { world, producer } = await ready({ version }, { ...id, transactionTimeoutMs: 500 })
    producer.send(recordFor(0, 'too late'))
    await world.run(producer.flush())
    await world.pass(1_000)
    await expect(world.run(producer.commit())).rejects.toMatchObject({
      code: 'MILLRACE_TRANSACTION_TIMED_OUT',
      kind: 'abortable',
    })
    await world.run(producer.abort())
    producer.send(recordFor(0, 'in time'))
    await world.run(producer.commit())
    await world.pass(100)
    expect(world.visible(0)).toEqual(['in time'])
  })

  it('that the broker ended for its age before anything of it was heard is aborted likewise', async () => {
    const { world, producer } = await ready({ version }, { ...id, transactionTimeoutMs: 500 })
    world.cluster.fate = 'unheard'
    producer.send(recordFor(0, 'unheard'))
    await world.pass(1_500)
    world.cluster.fate = undefined
    await expect(world.run(producer.flush())).rejects.toMatchObject({ kind: 'abortable' })
    await expectUsable(world, producer)
  })

  it('is not fenced by an own init that the broker serves late', async () => {
    const world = new ProducerWorld(7, { version })
    const producer = world.producer(id)
    world.cluster.delaysMs.push(5_000)
    await world.run(producer.init())
    await world.pass(6_000)
    producer.send(recordFor(0, 'fenced by its own'))
    await expect(world.run(producer.flush())).rejects.toMatchObject({ kind: 'abortable' })
    await expectUsable(world, producer)
  })

  it('that was never heard of is fenced by a successor, and the successor is not', async () => {
    const { world, producer } = await ready({ version }, id)
    const heir = world.producer(id)
    await world.run(heir.init())
    world.cluster.fate = 'lost'
    producer.send(recordFor(0, 'zombie'))
    await world.pass(200)
    world.cluster.fate = undefined
    const calls: readonly (() => Promise<unknown>)[] = [
      () => producer.flush(),
      () => producer.abort(),
    ]
    for (const call of calls) {
      await expect(world.run(call())).rejects.toMatchObject({ kind: 'fenced' })
    }
    await expectUsable(world, heir)
  })

  it('of a successor outlives the question of a zombie whether it is one', async () => {
    const { world, producer } = await ready({ version }, id)
    producer.send(recordFor(0, 'zombie'))
    await world.run(producer.flush())
    const heir = world.producer(id)
    await world.run(heir.init())
    heir.send(recordFor(0, 'disturbed'))
    await world.run(heir.flush())
    await expect(world.run(producer.commit())).rejects.toMatchObject({ kind: 'fenced' })
    await expect(world.run(heir.commit())).rejects.toMatchObject({ kind: 'abortable' })
    await expectUsable(world, heir)
    await expect(world.run(producer.abort())).rejects.toMatchObject({ kind: 'fenced' })
  })

  it('is fenced by a successor for good, and the successor is not', async () => {
    const { world, producer } = await ready({ version }, id)
    producer.send(recordFor(0, 'old'))
    await world.run(producer.flush())
    const heir = world.producer(id)
    await world.run(heir.init())
    for (const call of [() => producer.commit(), () => producer.commit(), () => producer.abort()]) {
      await expect(world.run(call())).rejects.toMatchObject({ kind: 'fenced' })
    }
    heir.send(recordFor(0, 'heir'))
    await world.run(heir.commit())
    await world.pass(100)
    expect(world.visible(0)).toEqual(['heir'])
  })

  it('is aborted where the log lost what it acknowledged, and the next one is whole', async () => {
    const { world, producer } = await ready({ version }, id)
    producer.send(recordFor(0, 'a'))
    await world.run(producer.flush())
    producer.send(recordFor(0, 'b'))
    await world.run(producer.flush())
    world.cluster.partitions.get('topic[0]')?.lose(1)
    producer.send(recordFor(0, 'c'))
    const failure = { code: 'MILLRACE_OUT_OF_ORDER', kind: 'abortable' }
    await expect(world.run(producer.flush())).rejects.toMatchObject(failure)
    await expect(world.run(producer.commit())).rejects.toMatchObject(failure)
    await world.run(producer.abort())
    producer.send(recordFor(0, 'd'))
    await world.run(producer.commit())
    await world.pass(100)
    expect(world.visible(0)).toEqual(['d'])
  })
})
