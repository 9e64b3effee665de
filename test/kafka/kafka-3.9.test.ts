/**
 * Kafka 3.9, whose transactions are of version 1: the log port, what comes too late, and apps that are
 * killed or halted in the middle of a transaction. One node for all of it.
 */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import { addressesOf } from './addresses.ts'
import { TestCluster } from './broker.ts'
import { conformanceOnce } from './conformance-on.ts'
import { testLateRequests } from './late-cases.ts'
import { testKilledCommits } from './recovery-cases.ts'
import { testHaltedOwner } from './zombie-cases.ts'

// Some start several processes, one after the other.
vi.setConfig({ testTimeout: 240_000 })
let node: TestCluster | undefined
const brokers = (): readonly string[] => node?.brokers ?? []

beforeAll(async () => {
  node = await TestCluster.start({ version: '3.9.1' })
})

afterAll(() => node?.[Symbol.asyncDispose]())

conformanceOnce('Kafka 3.9 with one node', brokers)

test('its transactions are of version 1', async () => {
  const at = { brokers: addressesOf(brokers()), clock: systemClock() }
  await using cluster = new KafkaCluster(at)
  expect(await cluster.transactionVersion()).toBe(1)
})

testLateRequests(brokers, 1)
testKilledCommits(brokers, ['sendOffsets', 'commitTransaction'])
testHaltedOwner(brokers)
