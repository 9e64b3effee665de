import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { KafkaAdmin } from '../../transport/kafka/admin/admin.ts'
import { METADATA } from '../../transport/kafka/api/metadata.ts'
import { HEARTBEAT } from '../../transport/kafka/api/heartbeat.ts'
import { KafkaCluster, type ClusterOptions } from '../../transport/kafka/cluster/cluster.ts'
import { addressesOf } from './addresses.ts'
import { PLAIN_USER, SUPER_USER } from './broker-properties.ts'
import { TestCluster } from './broker.ts'

const clock = systemClock()
const limits = { callDeadlineMs: 2_000, connectDeadlineMs: 5_000 }
let brokers: TestCluster
const tls = () => ({ ca: brokers.ca })
/** A topic that only those see who are taken for super users. */
const SEEN = 'for-super-users'
const scram = { mechanism: 'SCRAM-SHA-512', ...SUPER_USER } as const

beforeAll(async () => {
  brokers = await TestCluster.start({
    secure: true,
    // Sessions of SASL end while a test goes on.
    properties: { 'connections.max.reauth.ms': '3000' },
  })
  await using owner = cluster({ tls: tls(), sasl: scram })
  await new KafkaAdmin(owner).createTopics([{ topic: asTopic(SEEN), partitions: 1 }])
})

afterAll(() => brokers[Symbol.asyncDispose]())

function cluster(options: Partial<ClusterOptions> = {}): KafkaCluster {
  const addresses = addressesOf(brokers.secureBrokers)
  return new KafkaCluster({ brokers: addresses, clock, limits, ...options })
}

/** A token that nobody signed, as the test broker takes it. */
function unsignedToken(user: string): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  return `${part({ alg: 'none' })}.${part({ sub: user, iat: now - 5, exp: now + 600 })}.`
}

async function topicsSeenBy(options: Partial<ClusterOptions>): Promise<readonly string[]> {
  await using it = cluster(options)
  const { topics } = await it.askAny([METADATA, { topics: null }])
  return topics.map(({ topic }) => topic)
}

describe('credentials', () => {
  test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)(
    '%s over TLS',
    async (mechanism) => {
      const sasl = { mechanism, ...SUPER_USER }
      expect(await topicsSeenBy({ tls: tls(), sasl })).toContain(SEEN)
    },
  )

  test('OAUTHBEARER over TLS', async () => {
    const sasl = { mechanism: 'OAUTHBEARER', token: async () => unsignedToken('ann') } as const
    expect(await topicsSeenBy({ tls: tls(), sasl })).toContain(SEEN)
  })

  test.each([
    ['a wrong password', { ...scram, password: 'wrong' }],
    ['an unknown user', { ...scram, username: 'nobody' }],
    ['a wrong password of PLAIN', { ...scram, mechanism: 'PLAIN', password: 'wrong' } as const],
  ])('%s is told at once', async (_, sasl) => {
    await expect(topicsSeenBy({ tls: tls(), sasl })).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_AUTHENTICATION',
      kind: 'fatal',
      isAccess: true,
      message: expect.stringMatching(/user name and password/) as unknown,
    })
  })

  test('none where some are wanted is unreachable, with the hint', async () => {
    await expect(topicsSeenBy({ tls: tls() })).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_UNREACHABLE',
      message: expect.stringMatching(/SASL/) as unknown,
    })
  })
})

describe('TLS', () => {
  const fatal = (says: RegExp) => ({
    code: 'MILLRACE_KAFKA_TLS',
    kind: 'fatal',
    isAccess: true,
    message: expect.stringMatching(says) as unknown,
  })

  test('with an authority that nobody trusts', async () => {
    await expect(topicsSeenBy({ tls: {}, sasl: scram })).rejects.toMatchObject(fatal(/tls\.ca/))
  })

  test('with a certificate for another name', async () => {
    const other = { ...tls(), serverName: 'elsewhere.example' }
    await expect(topicsSeenBy({ tls: other, sasl: scram })).rejects.toMatchObject(fatal(/name/))
    const anyName = { ...other, verifyName: false }
    expect(await topicsSeenBy({ tls: anyName, sasl: scram })).toContain(SEEN)
  })

  test('that wants a certificate of the client takes it, and says so where none comes', async () => {
    const mutual = addressesOf(brokers.mutualBrokers)
    const shown = { ...tls(), cert: brokers.ca, key: brokers.key }
    expect(await topicsSeenBy({ brokers: mutual, tls: shown })).toContain(SEEN)
    await expect(topicsSeenBy({ brokers: mutual, tls: tls() })).rejects.toMatchObject(
      fatal(/certificate/),
    )
  })

  test('at a port without it', async () => {
    const plain = addressesOf(brokers.brokers)
    await expect(topicsSeenBy({ brokers: plain, tls: tls() })).rejects.toMatchObject(
      fatal(/speaks no TLS on this port/),
    )
  })

  test('left out at a port with it', async () => {
    await expect(topicsSeenBy({})).rejects.toMatchObject(fatal(/wants TLS/))
  })
})

test('a session that ends is renewed while requests are under way, and each gets its answer', async () => {
  await using it = cluster({ tls: tls(), sasl: scram })
  const lane = it.openLane('test')
  await it.metadata.refresh([])
  const node = await it.coordinators.find({ kind: 'group', key: 'g' })
  const address = it.metadata.broker(node)
  if (address === undefined) throw new Error('the coordinator is no broker')
  const connection = await lane.connectTo(address)
  const end = clock.monotonic() + 6_000
  let answers = 0
  while (clock.monotonic() < end) {
    const beat = { groupId: 'g', generation: 1, memberId: 'm', groupInstanceId: null }
    const some = Array.from({ length: 20 }, () => lane.request(node, [HEARTBEAT, beat]))
    answers += (await Promise.all(some)).length
  }
  expect(answers).toBeGreaterThan(20)
  // It would have been closed by the broker twice.
  expect(connection.isOpen).toBe(true)
})

test('what a user has no right to is told, with the right that is missing', async () => {
  await using owner = cluster({ tls: tls(), sasl: scram })
  const topic = asTopic('not-for-bob')
  await new KafkaAdmin(owner).createTopics([{ topic, partitions: 1 }])
  await using it = cluster({ tls: tls(), sasl: { mechanism: 'SCRAM-SHA-256', ...PLAIN_USER } })
  const admin = new KafkaAdmin(it)
  const at = { topic, partition: asPartition(0) }
  const denied = (says: RegExp) => ({
    code: 'MILLRACE_KAFKA_NOT_AUTHORIZED',
    kind: 'fatal',
    message: expect.stringMatching(says) as unknown,
  })
  await expect(admin.describeTopics([topic])).rejects.toMatchObject(denied(/topic not-for-bob/))
  await expect(
    admin.createTopics([{ topic: asTopic('new'), partitions: 1 }]),
  ).rejects.toMatchObject(denied(/CreateTopics for topic new/))
  await expect(admin.offsets([at], 'latest', 'read_committed')).rejects.toMatchObject(
    denied(/not-for-bob/),
  )
  await expect(admin.committedOffsets('group', [at])).rejects.toMatchObject(denied(/group group/))
  await expect(
    admin.commitOffsets('group', [{ ...at, offset: asOffset(0), metadata: '' }]),
  ).rejects.toMatchObject(denied(/group group/))
  expect(await admin.describeTopics()).toEqual([])
})
