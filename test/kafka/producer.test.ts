/** A producer on real brokers with transactions of both versions: what a fake one cannot promise. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { asOffset, asPartition, asTopic, type Offset, type Topic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { Compression } from '../../transport/kafka/codecs.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { Producer, Transport } from '../../transport/transport.ts'
import { TestCluster } from './broker.ts'

const clock = systemClock()

async function create(log: Transport, partitions = 1): Promise<Topic> {
  const topic = asTopic(`producer-${clock.uuid()}`)
  const config = { 'retention.ms': '-1', 'max.message.bytes': '6000000' }
  await log.admin.createTopics([{ topic, partitions, config }])
  return topic
}

function send(producer: Producer, topic: Topic, value: string | Buffer, partition = 0): void {
  const at = { topic, partition: asPartition(partition) }
  const rest = { key: null, timestamp: clock.now(), headers: NO_HEADERS }
  producer.send({ ...at, ...rest, value: Buffer.from(value) })
}

async function readAll(log: Transport, topic: Topic, partition = 0): Promise<readonly string[]> {
  const at = { topic, partition: asPartition(partition) }
  const [end = asOffset(0)] = await log.admin.offsets([at], 'latest', 'read_uncommitted')
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
  const cursor = reader.open({ ...at, offset: asOffset(0) })
  const values: string[] = []
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready(AbortSignal.timeout(30_000))
    else for (const { value } of batch.records) values.push(value?.toString('latin1') ?? '')
  }
  return values
}

describe.each(['gzip', 'snappy', 'lz4', 'zstd'] satisfies Compression[])(
  'records compressed by %s',
  (compression) => {
    test('are taken by a broker and come back, small, alike, and such that do not get smaller', async () => {
      await using log = await openKafka({ brokers: inject('kafkaBrokers'), clock, compression })
      const topic = await create(log)
      const noise = Buffer.from(Array.from({ length: 100_000 }, () => clock.random() * 256))
      const values = [
        'one',
        'alike '.repeat(50_000),
        noise.toString('latin1'),
        'x'.repeat(5_000_000),
      ]
      await using producer = log.openProducer({})
      await producer.init()
      for (let round = 0; round < 3; round += 1) {
        for (const value of values) send(producer, topic, Buffer.from(value, 'latin1'))
      }
      await producer.flush()
      const read = await readAll(log, topic)
      expect(read.length).toBe(12)
      expect(read.every((value, index) => value === values[index % 4])).toBe(true)
    })
  },
)

describe.each([
  ['4.1.0', 2],
  ['3.9.1', 1],
] as const)('transactions of Kafka %s', (version, transactionVersion) => {
  let own: TestCluster | undefined
  let log: Transport

  beforeAll(async () => {
    own = version === '4.1.0' ? undefined : await TestCluster.start({ version })
    log = await openKafka({ brokers: own?.brokers ?? inject('kafkaBrokers'), clock })
  })

  afterAll(async () => {
    await log?.[Symbol.asyncDispose]()
    await own?.[Symbol.asyncDispose]()
  })

  async function transactional(): Promise<Producer> {
    const producer = log.openProducer({ transactionalId: `id-${clock.uuid()}` })
    await producer.init()
    return producer
  }

  /** The end of a topic, once all markers are in it. */
  async function stableEnd(topic: Topic): Promise<Offset> {
    const at = [{ topic, partition: asPartition(0) }]
    for (;;) {
      const [stable] = await log.admin.offsets(at, 'latest', 'read_committed')
      const [end = asOffset(0)] = await log.admin.offsets(at, 'latest', 'read_uncommitted')
      if (stable === end) return end
    }
  }

  test(`one after the other without a pause are each whole, in version ${transactionVersion}`, async () => {
    const [topic, group] = [await create(log, 3), `group-${clock.uuid()}`]
    await using producer = await transactional()
    const kept: string[] = []
    for (let index = 0; index < 100; index += 1) {
      for (const partition of [0, 1, 2]) send(producer, topic, `${index}`, partition)
      if (index % 2 === 0) {
        const at = { topic, partition: asPartition(0), offset: asOffset(index), metadata: '' }
        await producer.sendOffsets([at], { groupId: group, generation: -1, memberId: '' })
      }
      if (index % 5 === 4) await producer.abort()
      else {
        kept.push(`${index}`)
        await producer.commit()
      }
    }
    for (const partition of [0, 1, 2]) expect(await readAll(log, topic, partition)).toEqual(kept)
    const at = { topic, partition: asPartition(0) }
    const committed = await log.admin.committedOffsets(group, [at])
    expect(committed).toMatchObject([{ offset: 98 }])
  })

  test('take nothing that is sent right behind their end', async () => {
    const topic = await create(log)
    await using producer = await transactional()
    for (let index = 0; index < 60; index += 1) {
      send(producer, topic, `kept ${index}`)
      const committing = producer.commit()
      send(producer, topic, 'aborted')
      await committing
      await producer.flush()
      await producer.abort()
    }
    const kept = Array.from({ length: 60 }, (_, index) => `kept ${index}`)
    expect(await readAll(log, topic)).toEqual(kept)
  })

  test('go on where all that was known of their producer was deleted', async () => {
    const topic = await create(log)
    await using producer = await transactional()
    for (let index = 0; index < 3; index += 1) {
      send(producer, topic, `${index}`)
      await producer.commit()
      const at = { topic, partition: asPartition(0) }
      await log.admin.deleteRecords([{ ...at, offset: await stableEnd(topic) }])
    }
    send(producer, topic, 'last')
    const [{ offset } = { offset: -1 }] = await producer.flush()
    await producer.commit()
    expect(offset).toBeGreaterThanOrEqual(6)
  })

  test('with a timeout that the brokers do not allow are refused with the remedy', async () => {
    await using producer = log.openProducer({
      transactionalId: `id-${clock.uuid()}`,
      transactionTimeoutMs: 100_000_000,
    })
    await expect(producer.init()).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('transaction.max.timeout.ms'),
    })
  })
})
