/**
 * A reader over three real brokers that die, come back, elect the wrong leader, and serve a rack. The
 * tests share one cluster and go on from the state in which the one before left it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { asOffset, asPartition, asTopic, type Topic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { CREATE_TOPICS } from '../../transport/kafka/api/create-topics.ts'
import type { TopicMetadata } from '../../transport/kafka/api/metadata.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import type { FetchCluster, FetchLane } from '../../transport/kafka/reader/fetch-cluster.ts'
import { FETCH_LIMITS } from '../../transport/kafka/reader/fetch-limits.ts'
import { KafkaReader } from '../../transport/kafka/reader/kafka-reader.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { Cursor, Producer, Reader, Transport } from '../../transport/transport.ts'
import { addressesOf } from './addresses.ts'
import { borrowNodes, type BorrowedNodes } from './borrowed-nodes.ts'

const TEST_MS = 240_000
const PARTITION = asPartition(0)
const clock = systemClock()
let brokers: BorrowedNodes
let log: Transport
let cluster: KafkaCluster

beforeAll(async () => {
  brokers = await borrowNodes()
  log = await openKafka({ brokers: brokers.brokers, clock })
  cluster = new KafkaCluster({ brokers: addressesOf(brokers.brokers), clock })
})

afterAll(async () => {
  await log?.[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
  await brokers?.[Symbol.asyncDispose]()
})

async function create(name: string, replicationFactor: number, config = {}): Promise<Topic> {
  const topic = asTopic(`${name}-${clock.uuid()}`)
  const wanted = {
    topic,
    partitions: 1,
    replicationFactor,
    config: { 'retention.ms': '-1', ...config },
  }
  const answer = await cluster.askAny([
    CREATE_TOPICS,
    { topics: [wanted], timeoutMs: 30_000, validateOnly: false },
  ])
  expect(answer.topics).toMatchObject([{ errorCode: 0 }])
  await until(topic, ({ partitions: [one] }) => (one?.leader ?? -1) > 0)
  return topic
}

/** Waits until what a broker says of a topic is as it should be. */
async function until(
  topic: Topic,
  isSo: (of: TopicMetadata) => boolean,
  asking = cluster,
): Promise<TopicMetadata> {
  const signal = AbortSignal.timeout(TEST_MS)
  for (;;) {
    const [found] = await asking.metadata.refresh([topic], { signal })
    if (found !== undefined && isSo(found)) return found
    await sleep(clock, 50, signal)
  }
}

async function send(producer: Producer, topic: Topic, values: readonly string[]): Promise<void> {
  for (const value of values) {
    const record = { key: null, value: Buffer.from(value), timestamp: 1, headers: NO_HEADERS }
    producer.send({ topic, partition: PARTITION, ...record })
  }
  await producer.flush()
}

/** Sends with a log of its own, which knows nothing of a broker that is halted. */
async function sendFresh(topic: Topic, values: readonly string[], halted = 0): Promise<void> {
  const others = brokers.brokers.filter((_, at) => at + 1 !== halted)
  await using fresh = await openKafka({ brokers: others, clock })
  await using producer = fresh.openProducer({})
  await producer.init()
  await send(producer, topic, values)
}

async function readTo(reader: Reader, cursor: Cursor, end: number): Promise<readonly string[]> {
  const values: string[] = []
  const signal = AbortSignal.timeout(TEST_MS)
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready(signal)
    else for (const { offset, value } of batch.records) values.push(`${offset}:${String(value)}`)
    batch?.release()
  }
  return values
}

describe('a reader over three brokers', () => {
  test(
    'loses and doubles nothing while leaders are killed and come back',
    async () => {
      const topic = await create('moves', 3)
      await using producer = log.openProducer({})
      await producer.init()
      await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
      const cursor = reader.open({ topic, partition: PARTITION, offset: asOffset(0) })
      const rounds = 12
      const expected: string[] = []
      const reading = readTo(reader, cursor, rounds * 100)
      for (let round = 0; round < rounds; round += 1) {
        const values = Array.from({ length: 100 }, (_, index) => `${round}.${index}`)
        expected.push(...values.map((value, index) => `${round * 100 + index}:${value}`))
        await send(producer, topic, values)
        if (round % 4 !== 2) continue
        const leader = (await cluster.metadata.leader({ topic, partition: PARTITION })).node
        await brokers.node(leader).kill()
        await send(producer, topic, [])
        await until(
          topic,
          ({ partitions: [one] }) => one !== undefined && one.leader > 0 && one.leader !== leader,
        )
        await brokers.node(leader).start()
        await until(topic, ({ partitions: [one] }) => one?.inSync.length === 3)
      }
      expect(await reading).toEqual(expected)
    },
    TEST_MS,
  )

  test(
    'reads from the replica in its rack, and from others where that one is gone',
    async () => {
      const topic = await create('rack', 3)
      await using producer = log.openProducer({})
      await producer.init()
      await send(producer, topic, ['a', 'b'])
      const leader = (await cluster.metadata.leader({ topic, partition: PARTITION })).node
      const near = brokers.nodes.find(({ id }) => id !== leader)?.id ?? 0
      const watched = new WatchedCluster(cluster)
      const options = { isolation: 'read_committed', prefetchBytes: 1_000_000 } as const
      const rack = `rack-${near}`
      await using reader = new KafkaReader({ ...options, cluster: watched, rack })
      const cursor = reader.open({ topic, partition: PARTITION, offset: asOffset(0) })
      expect(await readTo(reader, cursor, 2)).toEqual(['0:a', '1:b'])
      expect(watched.asked.at(-1)).toBe(near)
      await brokers.node(near).kill()
      await send(producer, topic, ['c'])
      expect(await readTo(reader, cursor, 3)).toEqual(['2:c'])
      expect(watched.asked.at(-1)).not.toBe(near)
      await brokers.node(near).start()
      await until(topic, ({ partitions: [one] }) => one?.inSync.length === 3)
    },
    TEST_MS,
  )

  test(
    'leaves a leader that is halted for the one that leads instead, long before its request times out',
    async () => {
      const topic = await create('halted', 3)
      const watched = new WatchedCluster(cluster)
      const options = { isolation: 'read_committed', prefetchBytes: 1_000_000 } as const
      await using reader = new KafkaReader({ ...options, cluster: watched, rack: undefined })
      const cursor = reader.open({ topic, partition: PARTITION, offset: asOffset(0) })
      await sendFresh(topic, ['a'])
      expect(await readTo(reader, cursor, 1)).toEqual(['0:a'])
      const leader = (await cluster.metadata.leader({ topic, partition: PARTITION })).node
      brokers.node(leader).halt()
      try {
        const others = new KafkaCluster({
          brokers: addressesOf(brokers.brokers.filter((_, at) => at + 1 !== leader)),
          clock,
        })
        await until(topic, ({ partitions: [one] }) => (one?.leader ?? leader) !== leader, others)
        await others[Symbol.asyncDispose]()
        const signal = AbortSignal.timeout(FETCH_LIMITS.requestDeadlineMs / 2)
        while (watched.asked.at(-1) === leader) await sleep(clock, 50, signal)
        await sendFresh(topic, ['b'], leader)
        expect(await readTo(reader, cursor, 2)).toEqual(['1:b'])
      } finally {
        brokers.node(leader).resume()
      }
      await until(topic, ({ partitions: [one] }) => one?.inSync.length === 3)
    },
    TEST_MS,
  )

  test(
    'stops where an unclean election cut off what it had read, or what was read before it was opened',
    async () => {
      const unclean = { 'unclean.leader.election.enable': 'true', 'min.insync.replicas': '1' }
      const topic = await create('cut', 2, unclean)
      await using producer = log.openProducer({})
      await producer.init()
      await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
      const cursor = reader.open({ topic, partition: PARTITION, offset: asOffset(0) })
      await send(producer, topic, ['a', 'b'])
      const known = await until(topic, ({ partitions: [one] }) => one?.inSync.length === 2)
      const [{ leader, replicas } = { leader: 0, replicas: [] }] = known.partitions
      const behind = replicas.find((id) => id !== leader) ?? 0
      await brokers.node(behind).kill()
      await until(topic, ({ partitions: [one] }) => one?.inSync.length === 1)
      await send(producer, topic, ['c', 'd'])
      expect(await readTo(reader, cursor, 4)).toHaveLength(4)
      const at = { topic, partition: PARTITION }
      const leaderEpoch = (await reader.readAt({ ...at, offset: asOffset(3) }))?.leaderEpoch
      await brokers.node(leader).kill()
      await brokers.node(behind).start()
      await expect(readTo(reader, cursor, 5)).rejects.toMatchObject({
        code: 'MILLRACE_LOG_TRUNCATED',
        place: `${topic}[0]@4`,
      })
      await sendFresh(topic, ['x', 'y', 'z'])
      await using later = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
      const kept = later.open({ ...at, offset: asOffset(2), leaderEpoch })
      expect(await readTo(later, kept, 5)).toEqual(['2:x', '3:y', '4:z'])
      kept.close()
      const cut = later.open({ ...at, offset: asOffset(4), leaderEpoch })
      await expect(readTo(later, cut, 5)).rejects.toMatchObject({ code: 'MILLRACE_LOG_TRUNCATED' })
    },
    TEST_MS,
  )
})

/** A cluster that notes whom the fetches of a session ask. */
class WatchedCluster implements FetchCluster {
  readonly asked: number[] = []
  readonly clock = clock
  readonly metadata: FetchCluster['metadata']
  readonly #cluster: FetchCluster
  readonly #lanes = new Map<FetchLane, FetchLane>()

  constructor(of: FetchCluster) {
    this.#cluster = of
    this.metadata = of.metadata
  }

  openLane(purpose: string): FetchLane {
    const lane = this.#cluster.openLane(purpose)
    const watched: FetchLane = {
      request: async (node, question, options) => {
        const answer = await lane.request(node, question, options)
        if (purpose === 'fetch') this.asked.push(node)
        return answer
      },
    }
    this.#lanes.set(watched, lane)
    return watched
  }

  async closeLane(lane: FetchLane): Promise<void> {
    await this.#cluster.closeLane(this.#lanes.get(lane) ?? lane)
  }
}
