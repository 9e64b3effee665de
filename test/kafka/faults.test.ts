/** What a user gets who gave something wrong, or who lacks a right: a sentence with the remedy, soon. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import { makeClip } from '../../video/clip.ts'
import { RAW_TOPIC } from '../../video/topics.ts'
import { folderWith, millrace, start, WORDS, type Ended, type Running } from '../cli/millrace.ts'
import { FakeBroker } from '../transport/kafka/fake-broker.ts'
import { PLAIN_USER, SUPER_USER } from './broker-properties.ts'
import { TestCluster } from './broker.ts'
import { allow, oldBroker, otherConsumer, sendWord } from './fault-stage.ts'
import { kafkaTool } from './tools.ts'

/** Within this everybody has an answer; a start of millrace is a part of it. */
const DEADLINE_MS = 60_000
// Some of them start many processes one after the other.
vi.setConfig({ testTimeout: 240_000 })

const clock = systemClock()
let cluster: TestCluster
let folder: Awaited<ReturnType<typeof folderWith>>

beforeAll(async () => {
  cluster = await TestCluster.start({ secure: true })
  folder = await folderWith({ 'words.ts': WORDS, 'ca.pem': cluster.ca })
  await using log = await openKafka({ brokers: cluster.brokers, clock })
  await log.admin.createTopics([
    { topic: asTopic('words'), partitions: 2 },
    { topic: asTopic('word-counts'), partitions: 2 },
  ])
})

afterAll(async () => {
  await cluster[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

/** Settings of Kafka's tools for the secure listener. */
function login(
  user: { readonly username: string; readonly password: string },
  more: Readonly<Record<string, string>> = {},
): string {
  const { username, password } = user
  const module = 'org.apache.kafka.common.security.scram.ScramLoginModule'
  const settings = {
    'bootstrap.servers': cluster.secureBrokers.join(),
    'security.protocol': 'SASL_SSL',
    'sasl.mechanism': 'SCRAM-SHA-512',
    'sasl.jaas.config': `${module} required username="${username}" password="${password}";`,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(folder.path, 'ca.pem'),
    ...more,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

async function withConfig(name: string, text: string, args: readonly string[]): Promise<Ended> {
  await writeFile(join(folder.path, name), text)
  return await inTime([...args, '--kafka-config', name])
}

async function inTime(args: readonly string[]): Promise<Ended> {
  const begun = clock.monotonic()
  const ended = await millrace(args, folder.path)
  expect(clock.monotonic() - begun, ended.stderr).toBeLessThan(DEADLINE_MS)
  return ended
}

/** One line that names the code, so one sentence or two and no stack. */
function expectSentence(ended: Ended, code: string, says: RegExp): void {
  const lines = ended.stderr.trimEnd().split('\n')
  expect(lines.at(-1)).toMatch(new RegExp(`\\[${code}\\]$`))
  expect(lines.at(-1)).toMatch(says)
  expect(ended.stderr).not.toMatch(/ {4}at /)
}

/** The brokers, where nobody has to log in. */
const all = (): string => cluster.brokers.join()
const log = (): readonly string[] => ['--brokers', all()]

const TAIL = ['tail', 'words']
const RUN = ['run', 'words.ts', '--until-caught-up']

describe.concurrent('the way to a cluster', () => {
  test('a right user with the right password is let in', async () => {
    expect(await withConfig('right.properties', login(SUPER_USER), TAIL)).toMatchObject({
      code: 0,
      stderr: '',
    })
  })

  test('an address where nothing listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    server.close()
    const ended = await inTime([...TAIL, '--brokers', `127.0.0.1:${port}`])
    expectSentence(ended, 'MILLRACE_KAFKA_UNREACHABLE', /nothing listens there.*Check/)
    expect(ended.code).toBe(5)
  })

  test('an address that takes connections and says nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const ended = await inTime([...TAIL, '--brokers', `127.0.0.1:${port}`])
    server.close()
    expectSentence(ended, 'MILLRACE_KAFKA_(UNREACHABLE|TIMED_OUT)', /Check/)
    expect(ended.code).toBe(5)
  })

  test('a name that no host has', async () => {
    const ended = await inTime([...TAIL, '--brokers', 'no-such-host.invalid:9092'])
    expectSentence(ended, 'MILLRACE_KAFKA_UNREACHABLE', /no-such-host\.invalid:9092.*name/)
    expect(ended.code).toBe(5)
  })

  test('no TLS where TLS is spoken', async () => {
    const ended = await inTime([...TAIL, '--brokers', cluster.secureBrokers.join()])
    expectSentence(ended, 'MILLRACE_KAFKA_TLS', /wants TLS on this port/)
    expect(ended.code).toBe(3)
  })

  test('TLS where none is spoken', async () => {
    const plain = login(SUPER_USER, { 'bootstrap.servers': cluster.brokers.join() })
    const ended = await withConfig('tls.properties', plain, TAIL)
    expectSentence(ended, 'MILLRACE_KAFKA_TLS', /speaks no TLS on this port/)
    expect(ended.code).toBe(3)
  })

  test('a certificate that nobody vouches for', async () => {
    const text = login(SUPER_USER).replace(/ssl\.truststore.*\n/g, '')
    const ended = await withConfig('untrusted.properties', text, TAIL)
    expectSentence(ended, 'MILLRACE_KAFKA_TLS', /signed its certificate/)
    expect(ended.code).toBe(3)
  })

  test.each(['SCRAM-SHA-512', 'PLAIN'])('a wrong password, with %s', async (mechanism) => {
    const wrong = { ...SUPER_USER, password: 'not-the-secret' }
    const text = login(wrong, { 'sasl.mechanism': mechanism })
    const ended = await withConfig(`wrong-${mechanism}.properties`, text, TAIL)
    expectSentence(
      ended,
      'MILLRACE_KAFKA_AUTHENTICATION',
      /Check mechanism, user name and password/,
    )
    expect(ended.stderr).not.toContain('not-the-secret')
    expect(ended.code).toBe(3)
  })

  test('a mechanism that is not known', async () => {
    const text = login(SUPER_USER, { 'sasl.mechanism': 'GSSAPI' })
    const ended = await withConfig('gssapi.properties', text, TAIL)
    expectSentence(ended, 'MILLRACE_KAFKA_MISCONFIGURED', /SCRAM-SHA-512/)
    expect(ended.code).toBe(3)
  })
})

describe.concurrent('another version', () => {
  test.each([
    ['that is old', true],
    ['that is very old', false],
  ])('of Kafka %s', async (_, knowsUs) => {
    await using broker = await oldBroker(3, knowsUs)
    const { host, port } = broker.address
    const ended = await inTime([...TAIL, '--brokers', `${host}:${port}`])
    expectSentence(ended, 'MILLRACE_KAFKA_UNSUPPORTED_VERSION', /Use Kafka 3\.6 or later/)
    expect(ended.code).toBe(3)
  })

  test('of what is no Kafka at all', async () => {
    await using broker = await FakeBroker.raw((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    const { host, port } = broker.address
    const ended = await inTime([...TAIL, '--brokers', `${host}:${port}`])
    expectSentence(ended, 'MILLRACE_KAFKA_BAD_RESPONSE', /is not Kafka.*Check the address/)
    expect(ended.code).toBe(3)
  })
})

describe('rights', () => {
  /** The run of bob is refused for want of a right on `what`, and says so. */
  const refused = async (args: readonly string[], what: RegExp): Promise<void> => {
    const ended = await withConfig('bob.properties', login(PLAIN_USER), args)
    expectSentence(ended, 'MILLRACE_KAFKA_NOT_AUTHORIZED', what)
    expect(ended.stderr).toContain('(kafka-acls.sh --add --operation ')
    expect(ended.code).toBe(3)
  }

  test('that are missing are named one by one, and with all of them the pipeline runs', async () => {
    await refused(TAIL, /Metadata for topic words.*right Describe on the topic/)
    await refused(RUN, /for topic word/)
    await allow(all(), 'Read DescribeConfigs', ['--topic', 'words'])
    await allow(all(), 'Describe Write DescribeConfigs', ['--topic', 'word-counts'])
    await allow(all(), 'Describe', ['--topic', 'words-counts-changelog'])
    await refused(RUN, /CreateTopics for topic words-counts-changelog.*right Create on the topic/)
    await allow(all(), 'Create Read Write DescribeConfigs', ['--topic', 'words-counts-changelog'])
    await refused(RUN, /for group words.*on the group/)
    await allow(all(), 'Read', ['--group', 'words'])
    await refused(RUN, /for transaction words-.*on the transactional id/)
    await allow(all(), 'Write Describe', [
      '--transactional-id',
      'words-',
      '--resource-pattern-type',
      'prefixed',
    ])
    const ended = await withConfig('bob.properties', login(PLAIN_USER), RUN)
    expect(ended, ended.stderr).toMatchObject({ code: 0 })
  })
})

describe('topics', () => {
  test('that are missing are named', async () => {
    await writeFile(join(folder.path, 'missing.ts'), WORDS.replaceAll(/'words'/g, "'wrods'"))
    const ended = await inTime(['run', 'missing.ts', ...log()])
    expectSentence(ended, 'MILLRACE_TOPOLOGY_INVALID', /the topic wrods does not exist/)
    expect(ended.code).toBe(3)
    const tailed = await inTime(['tail', 'wrods', ...log()])
    expectSentence(tailed, 'MILLRACE_UNKNOWN_TOPIC', /did you mean words\?/)
  })

  test('with fewer partitions than a process is told to run', async () => {
    const ended = await inTime([...RUN, ...log(), '--partition', '2', '--state', 'few'])
    expectSentence(ended, 'MILLRACE_NO_SUCH_PARTITION', /partition 2 does not exist.*0 to 1/)
    expect(ended.code).toBe(3)
  })
})

describe('records over a limit', () => {
  test('that a pipeline writes end it, and name the topic and its setting', async () => {
    const text = `import { text, topology } from 'millrace'
export default topology('grow', ({ stream }) => {
  stream('words', { key: text, value: text })
    .mapValues((value) => value.padEnd(2_000_000, 'x'))
    .to('narrow', { value: text })
})
`
    await writeFile(join(folder.path, 'grow.ts'), text)
    const create = ['topics', 'grow.ts', ...log(), '--create', '--partitions', '2']
    expect((await inTime(create)).code).toBe(0)
    const alter = ['--bootstrap-server', all(), '--alter', '--entity-type', 'topics']
    const narrow = ['--entity-name', 'narrow', '--add-config', 'max.message.bytes=1000000']
    await kafkaTool('kafka.admin.ConfigCommand', ...alter, ...narrow)
    await sendWord(all(), 'a', 0)
    const ended = await inTime(['run', 'grow.ts', ...log(), '--until-caught-up'])
    expectSentence(
      ended,
      'MILLRACE_RECORD_TOO_LARGE',
      /for topic narrow is over its limit of 1000000 bytes.*Raise max\.message\.bytes of narrow/,
    )
    expect(ended.code).toBe(6)
  })

  test('that an ingest would write are refused before anything is written', async () => {
    await using admin = await openKafka({ brokers: cluster.brokers, clock })
    await admin.admin.createTopics([
      { topic: RAW_TOPIC, partitions: 1, config: { 'max.message.bytes': '1000000' } },
    ])
    const { path } = await makeClip({ folder: folder.path, size: 'small' })
    const without = await inTime(['ingest', path, ...log()])
    expect(without.stderr).toMatch(/give --registry URL, or on one machine --schemas FILE/)
    expect(without.code).toBe(2)
    const ended = await inTime(['ingest', path, ...log(), '--schemas', 'schemas.jsonl'])
    expectSentence(
      ended,
      'MILLRACE_CHUNK_TOO_LARGE',
      /videos\.raw: its max\.message\.bytes is 1000000 and must be at least 5308416/,
    )
    expect(ended.code).toBe(3)
  })
})

describe('somebody else', () => {
  test('who takes over the same partition ends this process, with an exit code of its own', async () => {
    const share = ['run', 'words.ts', ...log(), '--partition', '0', '--state']
    const startOne = (state: string): Running => {
      const one = start([...share, state], folder.path)
      onTestFinished(() => void one.child.kill('SIGKILL'))
      return one
    }
    const first = startOne('first')
    await first.says(/the app is running/)
    const second = startOne('second')
    await second.says(/the app is running/)
    await sendWord(all(), 'b', 0)
    const ended = await first.ended
    expectSentence(
      ended,
      'MILLRACE_PRODUCER_FENCED',
      /transactional id words-0.*give each its own id/,
    )
    expect(ended.code).toBe(4)
    second.child.kill('SIGTERM')
    expect(await second.ended).toMatchObject({ code: 0 })
  })

  test('who has the name of the group for something else is named', async () => {
    await writeFile(
      join(folder.path, 'taken.ts'),
      WORDS.replace("topology('words'", "topology('taken'"),
    )
    const consumer = await otherConsumer(all(), 'taken')
    try {
      const member = await inTime(['run', 'taken.ts', ...log(), '--group'])
      expectSentence(member, 'MILLRACE_GROUP_PROTOCOL', /taken.*(another|other)/i)
      expect(member.code).toBe(3)
      const told = await inTime(['run', 'taken.ts', ...log(), '--partition', '0'])
      expectSentence(told, 'MILLRACE_GROUP_HAS_MEMBERS', /taken has 1 member/)
      expect(told.code).toBe(5)
    } finally {
      consumer.kill('SIGKILL')
    }
  })
})
