/** What tests of faults do to a cluster beside the commands: records, rights, strangers, brokers that are none. */
import { spawn, type ChildProcess } from 'node:child_process'
import { sleep } from '../../model/clock.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import { answer, bodyOf, FakeBroker } from '../transport/kafka/fake-broker.ts'
import { PLAIN_USER } from './broker-properties.ts'
import { javaArguments, kafkaProgram } from './program.ts'
import { kafkaTool } from './tools.ts'

const clock = systemClock()
/** How long another program may take to start. */
const START_MS = 60_000

/** Puts a word into a partition of `words`. With times of now: what is older than its retention goes while it is read. */
export async function sendWord(brokers: string, word: string, partition: number): Promise<void> {
  await using log = await openKafka({ brokers, clock })
  await using producer = log.openProducer({})
  await producer.init()
  const bytes = Buffer.from(word)
  const place = { topic: asTopic('words'), partition: asPartition(partition) }
  producer.send({ ...place, key: bytes, value: bytes, timestamp: clock.now(), headers: NO_HEADERS })
  await producer.flush()
}

/** Lets the user without rights do something, by Kafka's own tool; another where one is named. */
export async function allow(
  brokers: string,
  operations: string,
  resource: readonly string[],
  username: string = PLAIN_USER.username,
): Promise<void> {
  const who = ['--allow-principal', `User:${username}`]
  await changeRights(brokers, ['--add', ...who, ...named(operations), ...resource])
}

/** Takes a right from the user without rights of his own, whatever he is allowed. Resolves with how it is given back. */
export async function withhold(
  brokers: string,
  operations: string,
  resource: readonly string[],
): Promise<() => Promise<void>> {
  const what = ['--deny-principal', `User:${PLAIN_USER.username}`, ...named(operations)]
  await changeRights(brokers, ['--add', ...what, ...resource])
  return async () => await changeRights(brokers, ['--remove', ...what, ...resource])
}

function named(operations: string): readonly string[] {
  return operations.split(' ').flatMap((operation) => ['--operation', operation])
}

async function changeRights(brokers: string, change: readonly string[]): Promise<void> {
  const to = ['--bootstrap-server', brokers, '--force']
  await kafkaTool('org.apache.kafka.tools.AclCommand', ...to, ...change)
}

/** Makes a user of SCRAM-SHA-512, or gives one that there is another password. */
export async function setPassword(
  brokers: string,
  { username, password }: { readonly username: string; readonly password: string },
): Promise<void> {
  const to = ['--bootstrap-server', brokers, '--alter']
  const who = ['--entity-type', 'users', '--entity-name', username]
  const how = ['--add-config', `SCRAM-SHA-512=[password=${password}]`]
  await kafkaTool('kafka.admin.ConfigCommand', ...to, ...who, ...how)
}

/** Kafka's own consumer of `words` in a group, when it has joined. */
export async function otherConsumer(brokers: string, group: string): Promise<ChildProcess> {
  const java = javaArguments(await kafkaProgram('4.1.0'), 128)
  const consumed = ['--bootstrap-server', brokers, '--topic', 'words', '--group', group]
  const tool = ['org.apache.kafka.tools.consumer.ConsoleConsumer', ...consumed]
  const consumer = spawn('java', [...java, ...tool], { stdio: 'ignore' })
  await using opened = await openKafka({ brokers, clock })
  const end = clock.monotonic() + START_MS
  while ((await opened.admin.describeGroup(group)).length === 0) {
    if (clock.monotonic() > end) {
      consumer.kill('SIGKILL')
      throw new Error(`Kafka's consumer did not join ${group}`)
    }
    await sleep(clock, 200)
  }
  return consumer
}

/** A broker that knows requests in versions up to `most` only; with `knowsUs` false it does not even know our first question. */
export async function oldBroker(most: number, knowsUs: boolean): Promise<FakeBroker> {
  const keys = Array.from({ length: 60 }, (_, key) => key)
  const young = bodyOf((to) => {
    to.int16(0)
    to.array(keys, (key) => to.int16(key).int16(0).int16(most).tags())
    to.int32(0).tags()
  })
  const old = bodyOf((to) => {
    to.int16(35).int32(keys.length)
    for (const key of keys) to.int16(key).int16(0).int16(most)
  }, false)
  return await FakeBroker.raw((socket) => {
    socket.on('data', (bytes: Buffer) => {
      const correlationId = bytes.readInt32BE(8)
      const asked = { key: 18, version: 3, correlationId, bytes, socket }
      answer(asked, knowsUs ? young : old, { plain: true })
    })
  })
}
