import { describe, expect, inject, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import { FakeBroker } from '../transport/kafka/fake-broker.ts'
import { borrowNodes } from './borrowed-nodes.ts'

const clock = systemClock()

describe('opening a log on Kafka', () => {
  test('at an address where nobody listens ends at its deadline and names it', async () => {
    const gone = await FakeBroker.raw(() => {})
    await gone[Symbol.asyncDispose]()
    const brokers = `127.0.0.1:${gone.address.port}`
    const limits = { openDeadlineMs: 300 }
    await expect(openKafka({ brokers, clock, limits })).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_UNREACHABLE',
      message: expect.stringContaining(brokers) as unknown,
    })
  })

  test('at a broker that says nothing ends at its deadline', async () => {
    await using mute = await FakeBroker.raw(() => {})
    const brokers = `127.0.0.1:${mute.address.port}`
    const limits = { openDeadlineMs: 300, connectDeadlineMs: 100 }
    await expect(openKafka({ brokers, clock, limits })).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_UNREACHABLE',
    })
  })

  test('goes past an address where nobody listens', async () => {
    const gone = await FakeBroker.raw(() => {})
    await gone[Symbol.asyncDispose]()
    const brokers = [`127.0.0.1:${gone.address.port}`, ...inject('kafkaBrokers')]
    await using log = await openKafka({ brokers, clock })
    expect(await log.admin.describeTopics([asTopic('missing')])).toEqual([])
  })

  test('leaves nothing behind when it is closed, and refuses what comes after', async () => {
    const log = await openKafka({ brokers: inject('kafkaBrokers'), clock })
    await log.admin.describeTopics()
    await log[Symbol.asyncDispose]()
    expect(() => log.openProducer({})).toThrow(
      expect.objectContaining({ code: 'MILLRACE_LOG_CLOSED' }) as Error,
    )
    await expect(log.admin.describeTopics()).rejects.toMatchObject({ code: 'MILLRACE_LOG_CLOSED' })
  })
})

describe('three nodes', () => {
  test('a leader and a coordinator that are killed are gone on without, and with when they return', async () => {
    await using cluster = await borrowNodes()
    await using log = await openKafka({ brokers: cluster.brokers, clock })
    const topic = asTopic('moves')
    await log.admin.createTopics([{ topic, partitions: 6 }])
    const partitions = Array.from({ length: 6 }, (_, at) => ({ topic, partition: asPartition(at) }))
    await using producer = log.openProducer({})
    await producer.init()
    const round = async (value: string): Promise<readonly number[]> => {
      for (const at of partitions) {
        const record = { ...at, key: null, value: Buffer.from(value), timestamp: clock.now() }
        producer.send({ ...record, headers: NO_HEADERS })
      }
      await producer.flush()
      const [first] = partitions
      if (first === undefined) throw new Error('no partition')
      for (let group = 0; group < 8; group += 1) {
        const offset = { ...first, offset: asOffset(group), metadata: value }
        await log.admin.commitOffsets(`moves-${group}`, [offset])
        const [found] = await log.admin.committedOffsets(`moves-${group}`, [first])
        expect(found?.metadata).toBe(value)
      }
      return await log.admin.offsets(partitions, 'latest', 'read_committed')
    }
    expect(await round('all')).toEqual([1, 1, 1, 1, 1, 1])
    // Each node leads two of the partitions and keeps some of the groups.
    const node = cluster.node(2)
    await node.kill()
    expect(await round('without it')).toEqual([2, 2, 2, 2, 2, 2])
    await node.start()
    expect(await round('with it')).toEqual([3, 3, 3, 3, 3, 3])
  }, 600_000)
})
