/**
 * A producer over three real brokers whose leaders are killed, halted and lose their replicas in the
 * middle of sends. What was sent is in the log once and in order, what was committed is visible once.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { asOffset, asPartition, asTopic, type Topic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { TransportError } from '../../transport/errors.ts'
import { CREATE_TOPICS } from '../../transport/kafka/api/create-topics.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { Producer, Transport } from '../../transport/transport.ts'
import { addressesOf } from './addresses.ts'
import { borrowNodes, type BorrowedNodes } from './borrowed-nodes.ts'

const TEST_MS = 240_000
const PARTITIONS = 3
const clock = systemClock()
let brokers: BorrowedNodes
let cluster: KafkaCluster
let log: Transport

beforeAll(async () => {
  brokers = await borrowNodes()
  cluster = new KafkaCluster({ brokers: addressesOf(brokers.brokers), clock })
  log = await openKafka({ brokers: brokers.brokers, clock, producer: { produceDeadlineMs: 4_000 } })
})

afterAll(async () => {
  await log?.[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
  await brokers?.[Symbol.asyncDispose]()
})

async function create(replicationFactor: number): Promise<Topic> {
  const topic = asTopic(`producer-${clock.uuid()}`)
  const config = { 'retention.ms': '-1', 'min.insync.replicas': '2' }
  const wanted = { topic, partitions: PARTITIONS, replicationFactor, config }
  const topics = [wanted]
  await cluster.askAny([CREATE_TOPICS, { topics, timeoutMs: 30_000, validateOnly: false }])
  for (let partition = 0; partition < PARTITIONS; partition += 1) await leaderOf(topic, partition)
  return topic
}

async function leaderOf(topic: Topic, partition: number): Promise<number> {
  const at = { topic, partition: asPartition(partition) }
  cluster.metadata.invalidate(at)
  return (await cluster.metadata.leader(at)).node
}

/** Sends numbered values and remembers them by partition. */
class Numbers {
  readonly sent: string[][] = Array.from({ length: PARTITIONS }, () => [])
  readonly #topic: Topic
  #count = 0

  constructor(topic: Topic) {
    this.#topic = topic
  }

  /** Values for all partitions in turn, not sent yet. */
  next(count: number): readonly { readonly partition: number; readonly value: string }[] {
    return Array.from({ length: count }, () => {
      this.#count += 1
      return { partition: this.#count % PARTITIONS, value: `${this.#count}` }
    })
  }

  send(producer: Producer, values: ReturnType<Numbers['next']>): void {
    for (const { partition, value } of values) {
      const rest = { key: null, timestamp: clock.now(), headers: NO_HEADERS }
      const at = { topic: this.#topic, partition: asPartition(partition) }
      producer.send({ ...at, ...rest, value: Buffer.from(value) })
    }
  }

  remember(values: ReturnType<Numbers['next']>): void {
    for (const { partition, value } of values) this.sent[partition]?.push(value)
  }

  /** Compares what the log shows with what is remembered. */
  async verify(): Promise<void> {
    for (const [partition, values] of this.sent.entries()) {
      expect(await readAll(this.#topic, partition), `partition ${partition}`).toEqual(values)
    }
  }
}

async function readAll(topic: Topic, partition: number): Promise<readonly string[]> {
  const at = { topic, partition: asPartition(partition) }
  const [end = asOffset(0)] = await log.admin.offsets([at], 'latest', 'read_uncommitted')
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
  const cursor = reader.open({ ...at, offset: asOffset(0) })
  const values: string[] = []
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready(AbortSignal.timeout(60_000))
    else for (const { value } of batch.records) values.push(value?.toString() ?? '')
  }
  return values
}

/** Sends without a pause until `until` has come to its end. */
async function sendDuring(
  producer: Producer,
  numbers: Numbers,
  until: Promise<unknown>,
): Promise<void> {
  let isOver = false
  const over = until.finally(() => {
    isOver = true
  })
  while (!isOver) {
    const values = numbers.next(30)
    numbers.remember(values)
    numbers.send(producer, values)
    await sleep(clock, 5)
  }
  await over
  await producer.flush()
}

/** The leader of a partition dies and comes back, one after the other. */
async function killLeaders(topic: Topic, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await sleep(clock, 1_000)
    const node = brokers.node(await leaderOf(topic, time % PARTITIONS))
    await node.kill()
    await sleep(clock, 1_000)
    await node.start()
  }
}

test(
  'leaders that are killed in the middle of sends lose, double and reorder nothing',
  { timeout: TEST_MS },
  async () => {
    const topic = await create(3)
    const numbers = new Numbers(topic)
    await using producer = log.openProducer({})
    await producer.init()
    await sendDuring(producer, numbers, killLeaders(topic, 2))
    await numbers.verify()
  },
)

test(
  'a leader that is halted and wakes as a zombie adds nothing',
  { timeout: TEST_MS },
  async () => {
    const topic = await create(3)
    const numbers = new Numbers(topic)
    await using producer = log.openProducer({})
    await producer.init()
    const halt = async (): Promise<void> => {
      await sleep(clock, 500)
      const before = await leaderOf(topic, 0)
      brokers.node(before).halt()
      try {
        while ((await leaderOf(topic, 0)) === before) await sleep(clock, 200)
        await sleep(clock, 500)
      } finally {
        brokers.node(before).resume()
      }
      await sleep(clock, 1_000)
    }
    await sendDuring(producer, numbers, halt())
    await numbers.verify()
  },
)

test(
  'records wait while too few replicas are there, and are there once when these are back',
  { timeout: TEST_MS },
  async () => {
    const topic = await create(2)
    const numbers = new Numbers(topic)
    await using producer = log.openProducer({})
    await producer.init()
    await sendDuring(producer, numbers, killLeaders(topic, 1))
    await numbers.verify()
  },
)

test(
  'transactions over dying leaders and coordinators are visible whole and once',
  { timeout: TEST_MS },
  async () => {
    const topic = await create(3)
    const numbers = new Numbers(topic)
    await using producer = log.openProducer({ transactionalId: `id-${clock.uuid()}` })
    await producer.init()
    let isOver = false
    const killed = killLeaders(topic, 3).finally(() => {
      isOver = true
    })
    while (!isOver) {
      const values = numbers.next(15)
      await transaction(producer, () => numbers.send(producer, values))
      numbers.remember(values)
    }
    await killed
    await numbers.verify()
  },
)

/** Does work in a transaction until it is committed. */
async function transaction(producer: Producer, work: () => void): Promise<void> {
  for (;;) {
    try {
      work()
      await producer.flush()
      await untilKnown(() => producer.commit())
      return
    } catch (error) {
      if (!(error instanceof TransportError) || error.kind !== 'abortable') throw error
      await untilKnown(() => producer.abort())
    }
  }
}

async function untilKnown(call: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await call()
      return
    } catch (error) {
      if (!(error instanceof TransportError) || error.kind !== 'retriable') throw error
    }
  }
}
