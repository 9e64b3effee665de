import { beforeAll, expect, inject, test } from 'vitest'
import { borrowNodes } from './borrowed-nodes.ts'
import { brokerAnswers } from './broker-ready.ts'
import { TestCluster } from './broker.ts'
import { kafkaProgram } from './program.ts'

// Fetched before the clock of a test runs.
beforeAll(() => kafkaProgram('3.9.1'))

const port = (broker: string | undefined): number => Number(broker?.split(':')[1])

test('the cluster of the run answers', async () => {
  const [broker] = inject('kafkaBrokers')
  expect(await brokerAnswers(port(broker), 5_000, () => true)).toBe(true)
})

test('Kafka 3.9 starts with a secure listener, survives kill -9 and comes back', async () => {
  await using cluster = await TestCluster.start({ version: '3.9.1', secure: true })
  expect(cluster.ca).toContain('BEGIN CERTIFICATE')
  const [broker] = cluster.brokers
  await cluster.node(1).kill()
  expect(await brokerAnswers(port(broker), 200, () => true)).toBe(false)
  await cluster.node(1).start()
  expect(await brokerAnswers(port(broker), 5_000, () => true)).toBe(true)
})

test('two nodes of three go on without the third, and all are whole again', async () => {
  await using cluster = await borrowNodes()
  expect(new Set(cluster.brokers).size).toBe(3)
  await cluster.node(3).kill()
  expect(await brokerAnswers(port(cluster.brokers[0]), 5_000, () => true)).toBe(true)
  expect(await brokerAnswers(port(cluster.brokers[2]), 200, () => true)).toBe(false)
  await cluster.whole()
  expect(await brokerAnswers(port(cluster.brokers[2]), 5_000, () => true)).toBe(true)
}, 600_000)
