import { afterAll, expect, inject, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { CREATE_TOPICS } from '../../transport/kafka/api/create-topics.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import { addressesOf } from './addresses.ts'

const clock = systemClock()
const cluster = new KafkaCluster({ brokers: addressesOf(inject('kafkaBrokers')), clock })
const topic = asTopic(`cluster-${clock.uuid()}`)

afterAll(() => cluster[Symbol.asyncDispose]())

test('a cluster of Kafka 4.1 tells that its transactions are of version 2, its coordinators and leaders', async () => {
  expect(await cluster.transactionVersion()).toBe(2)
  const created = await cluster.askAny([
    CREATE_TOPICS,
    {
      topics: [{ topic, partitions: 2, replicationFactor: -1, config: { 'retention.ms': '-1' } }],
      timeoutMs: 10_000,
      validateOnly: false,
    },
  ])
  expect(created.topics).toMatchObject([{ topic, errorCode: 0 }])
  const at = { topic, partition: asPartition(1) }
  const leader = await cluster.metadata.leader(at)
  expect(leader.topicId).toBe(created.topics[0]?.topicId)
  expect(cluster.metadata.known(at)).toEqual(leader)
  const nodes = cluster.metadata.brokers.map(({ nodeId }) => nodeId)
  expect(nodes).toContain(leader.node)
  const group = await cluster.coordinators.find({ kind: 'group', key: 'some' })
  const producer = await cluster.coordinators.find({ kind: 'transaction', key: 'some' })
  expect(nodes).toEqual(expect.arrayContaining([group, producer]))
})

test('a partition that is not there is unknown, soon', async () => {
  await expect(cluster.metadata.leader({ topic, partition: asPartition(2) })).rejects.toMatchObject(
    { code: 'MILLRACE_UNKNOWN_PARTITION' },
  )
  await expect(
    cluster.metadata.leader({ topic: asTopic('missing'), partition: asPartition(0) }),
  ).rejects.toMatchObject({ code: 'MILLRACE_UNKNOWN_PARTITION' })
})
