/**
 * Exactly-once apps over three brokers, of which die those that an app needs most while a transaction
 * of it is open: who coordinates it, who leads its source, and so many that nothing can be written.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { asPartition } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import { addressesOf } from './addresses.ts'
import { AppStage } from './app-stage.ts'
import { borrowNodes, type BorrowedNodes } from './borrowed-nodes.ts'
import type { KafkaNode } from './broker.ts'
import { expectCountedOnce } from './counted-once.ts'

const PARTITIONS = 2
/** A node that was killed is noticed after seconds, and starts in seconds. */
const PATIENCE = { timeout: 90_000, interval: 20 }
const LIMITS = {
  // Long enough to find a transaction open, and to kill somebody.
  commitIntervalMs: 500,
  sessionTimeoutMs: 3_000,
  heartbeatIntervalMs: 300,
  rebalanceTimeoutMs: 6_000,
}
const clock = systemClock()
vi.setConfig({ testTimeout: 240_000 })
let nodes: BorrowedNodes
let cluster: KafkaCluster
let stage: AppStage

beforeAll(async () => {
  nodes = await borrowNodes()
  cluster = new KafkaCluster({ brokers: addressesOf(nodes.brokers), clock })
})

beforeEach(async () => {
  await nodes.whole()
  // Records that nobody takes are given up soon: an app has to begin anew, and not only to wait.
  stage = await AppStage.open(nodes.brokers, { producer: { deliveryTimeoutMs: 2_000 } })
  await stage.create('in', PARTITIONS)
  await stage.create('out', PARTITIONS)
})

afterEach(() => stage?.[Symbol.asyncDispose]())

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]()
  await nodes?.[Symbol.asyncDispose]()
})

test('an app whose coordinator and whose leader are killed in a transaction counts everything once', async () => {
  const app = stage.app(stage.counting(), { assignment: { kind: 'static' }, limits: LIMITS })
  await work(app)
  for (const find of [transactionCoordinator, sourceLeader]) {
    const node = await find()
    await untilOpen()
    const before = await committedRecords()
    await node.kill()
    await vi.waitFor(async () => expect((await find()).id).not.toBe(node.id), PATIENCE)
    // Two nodes are enough to go on.
    await stage.feed(50, PARTITIONS)
    await vi.waitFor(
      async () => expect(await committedRecords()).toBeGreaterThan(before + 50),
      PATIENCE,
    )
    await nodes.whole()
    await stage.feed(50, PARTITIONS)
  }
  await expectExactlyOnce(app)
})

test('a member of a group waits while two nodes of three are away, and counts everything once', async () => {
  const app = stage.app(stage.counting(), { assignment: { kind: 'group' }, limits: LIMITS })
  await work(app)
  const leader = await sourceLeader()
  await untilOpen()
  const from = stage.events.length
  // Who leads its source stays, and finds nobody to replicate to.
  await Promise.all(nodes.nodes.filter(({ id }) => id !== leader.id).map((node) => node.kill()))
  const feeding = stage.feed(100, PARTITIONS)
  await vi.waitFor(() => expect(troublesSince(from)).toBeGreaterThan(0), PATIENCE)
  await nodes.whole()
  await feeding
  await expectExactlyOnce(app)
})

/** An app that has done something already. */
async function work(app: StreamsApp): Promise<void> {
  await stage.work(app, { partitions: PARTITIONS, withinMs: PATIENCE.timeout })
}

async function expectExactlyOnce(app: StreamsApp): Promise<void> {
  await expectCountedOnce(stage, app, PATIENCE.timeout)
}

/** The node that coordinates the transactions of the app's first unit. */
async function transactionCoordinator(): Promise<KafkaNode> {
  const what = { kind: 'transaction', key: `${stage.application}-0` } as const
  cluster.coordinators.forget(what)
  return nodes.node(await cluster.coordinators.find(what))
}

/** The node that leads a partition of the app's source. */
async function sourceLeader(): Promise<KafkaNode> {
  const at = { topic: stage.topic('in'), partition: asPartition(0) }
  cluster.metadata.invalidate(at)
  return nodes.node((await cluster.metadata.leader(at)).node)
}

/** Feeds until records of the app wait for the end of its transaction. */
async function untilOpen(): Promise<void> {
  await vi.waitFor(async () => {
    await stage.feed(10, PARTITIONS)
    expect(await records('read_uncommitted')).toBeGreaterThan(await committedRecords())
  }, PATIENCE)
}

async function committedRecords(): Promise<number> {
  return await records('read_committed')
}

async function records(isolation: 'read_committed' | 'read_uncommitted'): Promise<number> {
  const topic = stage.topic('out')
  const places = Array.from({ length: PARTITIONS }, (_, p) => ({
    topic,
    partition: asPartition(p),
  }))
  const ends = await stage.log.admin.offsets(places, 'latest', isolation)
  return ends.reduce((sum, end) => sum + end, 0)
}

/** How often the app went back or started over. */
function troublesSince(from: number): number {
  const since = stage.events.slice(from)
  return since.filter(({ kind }) => kind === 'rewound' || kind === 'restarting').length
}
