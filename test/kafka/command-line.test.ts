/** The commands on a real cluster: what goes well. What goes wrong is in faults.test.ts. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { openLog, type OpenLog } from '../../cli/open-log.ts'
import { partitionForKey } from '../../model/murmur2.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { folderWith, millrace, start } from '../cli/millrace.ts'

const brokers = inject('kafkaBrokers').join()
const clock = systemClock()
// Some of them start many processes one after the other.
vi.setConfig({ testTimeout: 240_000 })
const folder = await folderWith()
const run = clock.uuid().slice(0, 8)

afterAll(() => folder[Symbol.asyncDispose]())

function openCluster(): Promise<OpenLog> {
  const schemas = { kind: 'none' } as const
  const place = {
    kind: 'kafka',
    brokers,
    propertiesFile: undefined,
    environment: {},
    schemas,
  } as const
  return openLog(place, { clock })
}

/** A pipeline that counts words, under names of its own. */
async function wordsPipeline(
  name: string,
): Promise<{ readonly file: string; readonly topic: string }> {
  const own = `${name}-${run}`
  const file = `${own}.ts`
  const text = `import { text, topology } from 'millrace'
export default topology('${own}', ({ stream }) => {
  stream('${own}', { key: text, value: text })
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .to('${own}-counts')
})
`
  await writeFile(join(folder.path, file), text)
  return { file, topic: own }
}

/** Sends words of one letter, each to the partition of its place in the alphabet. With times of now: what is older than its retention goes while it is read. */
async function send(topic: string, letters: string, partitions: number): Promise<void> {
  await using log = await openCluster()
  await using producer = log.transport.openProducer({})
  await producer.init()
  for (const letter of letters) {
    const bytes = Buffer.from(letter)
    const partition = asPartition((letter.charCodeAt(0) - 97) % partitions)
    const place = { topic: asTopic(topic), partition }
    producer.send({
      ...place,
      key: bytes,
      value: bytes,
      timestamp: clock.now(),
      headers: NO_HEADERS,
    })
  }
  await producer.flush()
}

/** The keys of the counts, sorted. */
async function counted(topic: string): Promise<string> {
  const args = ['tail', `${topic}-counts`, '--brokers', brokers, '--json']
  const { code, stdout, stderr } = await millrace(args, folder.path)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines
    .map((line) => (JSON.parse(line) as { key: string }).key)
    .sort()
    .join('')
}

describe('send', () => {
  test('puts lines into the partitions of their keys, more than a request holds', async () => {
    const topic = `send-${run}`
    await using log = await openCluster()
    await log.transport.admin.createTopics([{ topic: asTopic(topic), partitions: 3 }])
    const keys = Array.from({ length: 50_000 }, (_, n) => `k${n}`)
    const sending = start(['send', topic, '--brokers', brokers])
    sending.child.stdin.end(keys.map((key) => `${key}\t${'v'.repeat(100)}\n`).join(''))
    const stderr = `sent ${keys.length} records to ${topic}\n`
    expect(await sending.ended).toEqual({ code: 0, stdout: '', stderr })
    const { stdout } = await millrace(['tail', topic, '--brokers', brokers, '--json'])
    const lines = stdout.trimEnd().split('\n')
    const records = lines.map((line) => JSON.parse(line) as { key: string; partition: number })
    expect(new Set(records.map(({ key }) => key)).size).toBe(keys.length)
    expect(records).toHaveLength(keys.length)
    for (const { key, partition } of records) {
      if (partition !== partitionForKey(Buffer.from(key), 3)) expect.fail(`${key} in ${partition}`)
    }
  })

  test('makes no topic', async () => {
    const sending = start(['send', `nowhere-${run}`, '--brokers', brokers])
    sending.child.stdin.on('error', () => undefined).end('a\n')
    const { code, stderr } = await sending.ended
    expect(code).toBe(3)
    expect(stderr).toContain('millrace topics <pipeline.ts> --create')
  })
})

describe('topics', () => {
  test('prints the lines of Kafka that make what is missing, and makes it where it may', async () => {
    const { file, topic } = await wordsPipeline('topics')
    const args = ['topics', file, '--brokers', brokers, '--partitions', '2', '--replication', '1']
    const shown = await millrace([...args, '--chunk', '10MiB'], folder.path)
    expect(shown.code).toBe(7)
    const limit = 10 * 2 ** 20 + 64 * 2 ** 10
    expect(shown.stdout).toContain(
      `$ kafka-topics.sh --bootstrap-server ${brokers} --create --topic ${topic} --partitions 2 --replication-factor 1 --config max.message.bytes=${limit}`,
    )
    expect(shown.stdout).toMatch(
      new RegExp(`--create --topic ${topic}-counts-changelog .*--config cleanup.policy=compact`),
    )
    const create = await millrace([...args, '--create', '--chunk', '10MiB'], folder.path)
    expect(create.code).toBe(0)
    expect(create.stdout).toMatch(new RegExp(`^made ${topic}, .*${topic}-counts-changelog`, 'm'))
    expect(create.stdout).not.toContain('$ kafka-topics.sh')
    const again = await millrace([...args, '--chunk', '10MiB'], folder.path)
    expect(again.stdout).not.toMatch(/missing|differs/)
    expect(again.code).toBe(0)
    await using log = await openCluster()
    const [made] = await log.transport.admin.describeTopics([asTopic(topic)])
    expect(made).toMatchObject({ partitions: 2, config: { 'max.message.bytes': String(limit) } })
  })

  test('prints the line that raises a limit, and names the brokers that are too small', async () => {
    const { file, topic } = await wordsPipeline('limits')
    {
      await using log = await openCluster()
      await log.transport.admin.createTopics([
        { topic: asTopic(topic), partitions: 1, config: { 'max.message.bytes': '2000000' } },
        { topic: asTopic(`${topic}-counts`), partitions: 1 },
      ])
    }
    // The brokers of the tests take requests of 200 MiB and messages of 32.
    const args = ['topics', file, '--brokers', brokers, '--chunk', '300MiB']
    const { code, stdout } = await millrace(args, folder.path)
    expect(code).toBe(7)
    const needed = 300 * 2 ** 20 + 64 * 2 ** 10
    expect(stdout).toContain(
      `$ kafka-configs.sh --bootstrap-server ${brokers} --alter --entity-type topics --entity-name ${topic} --add-config max.message.bytes=${needed}`,
    )
    expect(stdout).toMatch(/broker 1 closes connections .* set socket\.request\.max\.bytes=\d+/)
    expect(stdout).toMatch(/message\.max\.bytes of broker 1 is 33554432/)
    expect(stdout).toMatch(/set replica\.fetch\.max\.bytes=\d+ in its server\.properties/)
  })
})

describe('run', () => {
  test('does what is there once, and goes on from there, with the addresses from the environment', async () => {
    const { file, topic } = await wordsPipeline('run')
    const made = ['topics', file, '--brokers', brokers, '--create', '--partitions', '2']
    expect(await millrace(made, folder.path)).toMatchObject({ code: 0 })
    await send(topic, 'abca', 2)
    await writeFile(join(folder.path, 'client.properties'), `bootstrap.servers=${brokers}\n`)
    const until = ['run', file, '--until-caught-up', '--state', `state-${topic}`]
    expect(await millrace([...until, '--brokers', brokers], folder.path)).toMatchObject({ code: 0 })
    expect(await counted(topic)).toBe('aabc')
    await send(topic, 'd', 2)
    const again = await millrace([...until, '--kafka-config', 'client.properties'], folder.path)
    expect(again).toMatchObject({ code: 0 })
    expect(await counted(topic)).toBe('aabcd')
  })

  test('is reset, and does everything again', async () => {
    const { file, topic } = await wordsPipeline('reset')
    const log = ['--brokers', brokers]
    await millrace(['topics', file, ...log, '--create', '--partitions', '1'], folder.path)
    await send(topic, 'ab', 1)
    const until = ['run', file, ...log, '--until-caught-up']
    expect(await millrace(until, folder.path)).toMatchObject({ code: 0 })
    const reset = await millrace(['reset', file, ...log, '--yes'], folder.path)
    expect(reset).toMatchObject({ code: 0, stderr: '' })
    expect(reset.stdout).toContain(`${topic} was reset`)
    expect(await millrace(until, folder.path)).toMatchObject({ code: 0 })
    expect(await counted(topic)).toBe('aabb')
  })

  test('takes its share alone, and stops where it is told to', async () => {
    const { file, topic } = await wordsPipeline('share')
    const log = ['--brokers', brokers]
    await millrace(['topics', file, ...log, '--create', '--partitions', '2'], folder.path)
    await send(topic, 'abcd', 2)
    const running = start(
      ['run', file, ...log, '--partition', '1', '--state', 'shared'],
      folder.path,
    )
    onTestFinished(() => void running.child.kill('SIGKILL'))
    await running.says(/the app is running/)
    running.child.kill('SIGTERM')
    const stopped = await running.ended
    expect(stopped, stopped.stderr).toMatchObject({ code: 0 })
    const rest = ['run', file, ...log, '--until-caught-up', '--state', 'shared']
    const again = await millrace([...rest, '--partition', '1'], folder.path)
    expect(again, again.stderr).toMatchObject({ code: 0 })
    expect(await counted(topic)).toBe('bd')
  })
})
