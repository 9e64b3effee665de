import { afterAll, describe, expect, inject, test } from 'vitest'
import { asOffset, asPartition, asTopic, type TopicPartition } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { KafkaAdmin } from '../../transport/kafka/admin/admin.ts'
import { ADD_PARTITIONS_TO_TXN } from '../../transport/kafka/api/add-partitions-to-txn.ts'
import { ADD_OFFSETS_TO_TXN } from '../../transport/kafka/api/add-offsets-to-txn.ts'
import { END_TXN } from '../../transport/kafka/api/end-txn.ts'
import { INIT_PRODUCER_ID } from '../../transport/kafka/api/init-producer-id.ts'
import { PRODUCE, type ProduceRequest } from '../../transport/kafka/api/produce.ts'
import { TXN_OFFSET_COMMIT } from '../../transport/kafka/api/txn-offset-commit.ts'
import { askLeaders } from '../../transport/kafka/cluster/by-leader.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import { RecordBatchBuilder } from '../../transport/record-batch-builder.ts'
import { byTopic } from '../../transport/kafka/api/api.ts'
import { addressesOf } from './addresses.ts'

const clock = systemClock()
const cluster = new KafkaCluster({ brokers: addressesOf(inject('kafkaBrokers')), clock })
const admin = new KafkaAdmin(cluster)
const run = clock.uuid().slice(0, 8)
const name = (text: string) => asTopic(`admin-${run}-${text}`)
const at = (topic: string, partition = 0): TopicPartition => {
  return { topic: asTopic(topic), partition: asPartition(partition) }
}

afterAll(() => cluster[Symbol.asyncDispose]())

interface Identity {
  readonly transactionalId: string | null
  readonly producerId: number
  readonly producerEpoch: number
}

const NOBODY: Identity = { transactionalId: null, producerId: -1, producerEpoch: -1 }

/** Appends one batch of so many records, as the adapter's own requests do it. */
async function append(place: TopicPartition, count: number, by = NOBODY): Promise<number> {
  const builder = new RecordBatchBuilder()
  for (let index = 0; index < count; index += 1) {
    const value = Buffer.from(`value ${index}`)
    builder.append({ key: null, value, timestamp: 1_700_000_000_000, headers: [] })
  }
  const stamp = { baseOffset: 0, leaderEpoch: 0, baseSequence: by === NOBODY ? -1 : 0 }
  const transactional = by.transactionalId !== null
  const records = builder.seal({ ...stamp, ...by, transactional })
  const [answer] = await askLeaders(cluster, [place], {
    api: PRODUCE,
    request: (): ProduceRequest => ({
      transactionalId: by.transactionalId,
      acks: -1,
      timeoutMs: 10_000,
      topics: byTopic([{ ...place, records }]),
    }),
  })
  return answer?.baseOffset ?? -1
}

async function transaction(id: string): Promise<Identity & { readonly transactionalId: string }> {
  const { errorCode, ...identity } = await cluster.askCoordinator(
    { kind: 'transaction', key: id },
    [
      INIT_PRODUCER_ID,
      { transactionalId: id, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 },
    ],
    { version: 4, codeOf: (answer) => answer.errorCode },
  )
  expect(errorCode).toBe(0)
  return { ...identity, transactionalId: id }
}

describe('topics', () => {
  test('a topic is there when it was created, and gone when it was deleted', async () => {
    const topic = name('created')
    const config = { 'cleanup.policy': 'compact', 'max.message.bytes': '2000000' }
    await admin.createTopics([{ topic, partitions: 3, config }])
    const [found] = await admin.describeTopics([topic, name('missing')])
    expect(found).toMatchObject({ topic, partitions: 3, config })
    expect((await admin.describeTopics()).map((one) => one.topic)).toContain(topic)
    await admin.deleteTopics([topic])
    expect(await admin.describeTopics([topic])).toEqual([])
    await admin.createTopics([{ topic, partitions: 1 }])
    const [again] = await admin.describeTopics([topic])
    expect(again).toMatchObject({ partitions: 1 })
    expect(again?.topicId).not.toBe(found?.topicId)
  })

  test('a topic that exists stops what was to be created after it', async () => {
    const [before, there, after] = [name('before'), name('there'), name('after')]
    await admin.createTopics([{ topic: there, partitions: 1 }])
    const topics = [before, there, after].map((topic) => ({ topic, partitions: 1 }))
    await expect(admin.createTopics(topics)).rejects.toMatchObject({
      code: 'MILLRACE_TOPIC_EXISTS',
      place: there,
    })
    const found = await admin.describeTopics([after, before])
    expect(found.map(({ topic }) => topic)).toEqual([before])
  })

  test('what Kafka does not accept is refused in its words', async () => {
    const config = { 'cleanup.policy': 'nonsense' }
    await expect(
      admin.createTopics([{ topic: name('bad'), partitions: 1, config }]),
    ).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_REFUSED',
      kind: 'fatal',
      message: expect.stringMatching(/INVALID_CONFIG.*cleanup\.policy/) as unknown,
    })
  })

  test('a topic to delete that is not there is unknown', async () => {
    await expect(admin.deleteTopics([name('never')])).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
    })
  })

  test('internal topics are not among all topics', async () => {
    await admin.commitOffsets(`group-${run}`, [])
    await cluster.coordinators.find({ kind: 'group', key: run })
    const all = (await admin.describeTopics()).map((one) => String(one.topic))
    expect(all.filter((topic) => topic.startsWith('__'))).toEqual([])
  })
})

describe('ends', () => {
  test('are told in the order asked, and records are deleted up to the last stable offset', async () => {
    const topic = name('ends')
    await admin.createTopics([{ topic, partitions: 3 }])
    expect(await append(at(topic, 1), 3)).toBe(0)
    await append(at(topic, 2), 1)
    const asked = [at(topic, 2), at(topic, 0), at(topic, 1)]
    expect(await admin.offsets(asked, 'latest', 'read_committed')).toEqual([1, 0, 3])
    expect(await admin.offsets(asked, 'earliest', 'read_uncommitted')).toEqual([0, 0, 0])
    expect(await admin.offsets([], 'latest', 'read_committed')).toEqual([])
    const before = (offset: number) => [{ ...at(topic, 1), offset: asOffset(offset) }]
    await admin.deleteRecords([...before(1), ...before(2)])
    await admin.deleteRecords(before(1))
    expect(await admin.offsets([at(topic, 1)], 'earliest', 'read_committed')).toEqual([2])
    await expect(admin.deleteRecords(before(4))).rejects.toMatchObject({
      code: 'MILLRACE_OFFSET_OUT_OF_RANGE',
      message: expect.stringContaining('2 to 3') as unknown,
    })
    for (const missing of [at(topic, 3), at(name('none'))]) {
      await expect(admin.offsets([missing], 'latest', 'read_committed')).rejects.toMatchObject({
        code: 'MILLRACE_UNKNOWN_PARTITION',
      })
    }
  })

  test('an open transaction holds the last stable offset', async () => {
    const topic = name('open')
    await admin.createTopics([{ topic, partitions: 1 }])
    await append(at(topic), 2)
    const producer = await transaction(`open-${run}`)
    const coordinator = { kind: 'transaction', key: producer.transactionalId } as const
    const added = await cluster.askCoordinator(
      coordinator,
      [ADD_PARTITIONS_TO_TXN, { ...producer, topics: [{ topic, partitions: [0] }] }],
      { codeOf: ({ partitions }) => partitions[0]?.errorCode ?? 0 },
    )
    expect(added.partitions).toMatchObject([{ errorCode: 0 }])
    await append(at(topic), 1, producer)
    expect(await admin.offsets([at(topic)], 'latest', 'read_committed')).toEqual([2])
    expect(await admin.offsets([at(topic)], 'latest', 'read_uncommitted')).toEqual([3])
    await expect(
      admin.deleteRecords([{ ...at(topic), offset: asOffset(3) }]),
    ).rejects.toMatchObject({ code: 'MILLRACE_OFFSET_OUT_OF_RANGE' })
    const ended = await cluster.askCoordinator(
      coordinator,
      [END_TXN, { ...producer, committed: true }],
      { version: 3, codeOf: ({ errorCode }) => errorCode },
    )
    expect(ended.errorCode).toBe(0)
  })
})

describe('groups', () => {
  test('offsets are committed, kept with their metadata, and forgotten with the group', async () => {
    const topic = name('committed')
    await admin.createTopics([{ topic, partitions: 2 }])
    const group = `committed-${run}`
    await admin.deleteGroup(group)
    await admin.commitOffsets(group, [{ ...at(topic, 1), offset: asOffset(7), metadata: 'm' }])
    expect(await admin.committedOffsets(group, [at(topic), at(topic, 1)])).toEqual([
      undefined,
      { ...at(topic, 1), offset: 7, metadata: 'm' },
    ])
    expect(await admin.describeGroup(group)).toEqual([])
    await admin.deleteGroup(group)
    expect(await admin.committedOffsets(group, [at(topic, 1)])).toEqual([undefined])
  })

  test('offsets that an open transaction commits are pending, and their group stays', async () => {
    const topic = name('pending')
    await admin.createTopics([{ topic, partitions: 1 }])
    const group = `pending-${run}`
    const producer = await transaction(`pending-${run}`)
    const coordinator = { kind: 'transaction', key: producer.transactionalId } as const
    const codeOf = ({ errorCode }: { readonly errorCode: number }) => errorCode
    const offsets = [{ partition: 0, offset: 4, leaderEpoch: -1, metadata: '' }]
    const nobody = { groupId: group, generation: -1, memberId: '', groupInstanceId: null }
    const added = await cluster.askCoordinator(
      coordinator,
      [ADD_OFFSETS_TO_TXN, { ...producer, groupId: group }],
      { codeOf },
    )
    expect(added.errorCode).toBe(0)
    const sent = await cluster.askCoordinator(
      { kind: 'group', key: group },
      [TXN_OFFSET_COMMIT, { ...producer, ...nobody, topics: [{ topic, partitions: offsets }] }],
      { version: 3, codeOf: ({ partitions }) => partitions[0]?.errorCode ?? 0 },
    )
    expect(sent.partitions).toMatchObject([{ errorCode: 0 }])
    const pending = { code: 'MILLRACE_OFFSETS_PENDING', kind: 'retriable' }
    await expect(admin.committedOffsets(group, [at(topic)])).rejects.toMatchObject(pending)
    await expect(admin.deleteGroup(group)).rejects.toMatchObject(pending)
    const end = [END_TXN, { ...producer, committed: false }] as const
    expect((await cluster.askCoordinator(coordinator, end, { version: 3, codeOf })).errorCode).toBe(
      0,
    )
  })

  test('a generation that is not there is fenced', async () => {
    const topic = name('fenced')
    await admin.createTopics([{ topic, partitions: 1 }])
    const group = `fenced-${run}`
    const offset = { ...at(topic), offset: asOffset(1), metadata: '' }
    await expect(
      admin.commitOffsets(group, [offset], { groupId: group, generation: 3, memberId: 'me' }),
    ).rejects.toMatchObject({ code: 'MILLRACE_GROUP_FENCED', kind: 'abortable' })
  })
})
