/**
 * Brokers that are set otherwise than those who use them need it: they say that they are where nobody
 * reaches them (`advertised.listeners`), or remove records that an app has not read yet (`retention.ms`,
 * `retention.bytes`). One node does both: it has a listener for each way in which its address can be
 * wrong, and looks several times a second what it no longer has to keep.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { KAFKA_LIMITS } from '../../transport/kafka/limits.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import { makeClip } from '../../video/clip.ts'
import { folderWith, millrace, WORDS, type Ended } from '../cli/millrace.ts'
import { FakeBroker } from '../transport/kafka/fake-broker.ts'
import { AppStage } from './app-stage.ts'
import { withListeners } from './broker-properties.ts'
import { TestCluster } from './broker.ts'
import { kafkaTool } from './tools.ts'
import { until } from './until.ts'

const clock = systemClock()
/** A start of the program on a busy machine, beside the time that a cluster has to open. */
const DEADLINE_MS = KAFKA_LIMITS.openDeadlineMs + 15_000
/** Within this an app has ended, or done what it has to, on a busy machine too. */
const APP_MS = 20_000
const RETENTION = {
  'log.retention.check.interval.ms': '200',
  'log.initial.task.delay.ms': '200',
}
// Some start programs, one after the other.
vi.setConfig({ testTimeout: 120_000 })

/** How an advertised address is wrong, and what is said of it. */
const WRONG = {
  ABSENT: /cannot be reached: nothing listens there/,
  SILENT: /cannot be reached: no connection within \d+ ms/,
  UNKNOWN: /cannot be reached: there is no host of that name/,
} as const
type Wrong = keyof typeof WRONG

let cluster: TestCluster
let folder: Awaited<ReturnType<typeof folderWith>>
/** Takes connections, and says nothing. */
let silent: FakeBroker
/** What the node says of itself, by listener, and where that listener is. */
const advertised = { ABSENT: '', SILENT: '', UNKNOWN: 'kafka.invalid:9092' }
const named = { ABSENT: '', SILENT: '', UNKNOWN: '' }
let clip: string

beforeAll(async () => {
  silent = await FakeBroker.raw((socket) => void socket.resume())
  const absent = await FakeBroker.raw(() => {})
  await absent[Symbol.asyncDispose]()
  advertised.ABSENT = `127.0.0.1:${absent.address.port}`
  advertised.SILENT = `127.0.0.1:${silent.address.port}`
  cluster = await TestCluster.start({
    properties: (ports) => {
      const port = { ABSENT: ports.secure, SILENT: ports.mutual, UNKNOWN: ports.spare }
      const listeners = (['ABSENT', 'SILENT', 'UNKNOWN'] as const).map((name) => {
        named[name] = `127.0.0.1:${port[name]}`
        return { name, port: port[name], advertised: advertised[name] }
      })
      return { ...RETENTION, ...withListeners(ports, listeners) }
    },
  })
  folder = await folderWith({ 'words.ts': WORDS })
  clip = (await makeClip({ folder: folder.path, size: 'small' })).path
  await using log = await openKafka({ brokers: cluster.brokers, clock })
  const topics = ['words', 'word-counts'].map((name) => ({ topic: asTopic(name), partitions: 1 }))
  await log.admin.createTopics(topics)
})

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]()
  await silent?.[Symbol.asyncDispose]()
  await folder?.[Symbol.asyncDispose]()
})

const COMMANDS = {
  run: (own: string) => ['run', 'words.ts', '--until-caught-up', '--state', own],
  topics: () => ['topics', 'words.ts', '--create'],
  ingest: () => ['ingest', clip, '--schemas', 'schemas.jsonl'],
} as const
const CASES: readonly (readonly [command: keyof typeof COMMANDS, wrong: Wrong])[] = [
  ['run', 'ABSENT'],
  ['run', 'SILENT'],
  ['run', 'UNKNOWN'],
  ['topics', 'SILENT'],
  ['ingest', 'ABSENT'],
]

/** A line that ends with the code, and no stack. */
function lastLine({ stderr }: Ended, code: string): string {
  expect(stderr).not.toMatch(/ {4}at /)
  const line = stderr.trimEnd().split('\n').at(-1) ?? ''
  expect(line).toMatch(/^millrace: /)
  expect(line.endsWith(`[${code}]`), line).toBe(true)
  return line
}

describe.concurrent('an advertised address that is wrong', () => {
  test.each(CASES)('is told to %s by its setting (%s)', async (command, wrong) => {
    const begunMs = clock.monotonic()
    const ended = await millrace(
      [...COMMANDS[command](wrong), '--brokers', named[wrong]],
      folder.path,
    )
    expect(clock.monotonic() - begunMs, ended.stderr).toBeLessThan(DEADLINE_MS)
    const line = lastLine(ended, 'MILLRACE_KAFKA_UNREACHABLE')
    expect(line).toContain(`The cluster answers at ${named[wrong]}`)
    expect(line).toContain(`Broker ${advertised[wrong]} cannot be reached`)
    expect(line).toMatch(WRONG[wrong])
    expect(line).toContain('Set advertised.listeners')
    expect(ended.code).toBe(5)
  })

  test('is of no concern where another listener has one that is right', async () => {
    const log = ['--brokers', cluster.brokers.join()]
    const ended = await millrace([...COMMANDS.run('right'), ...log], folder.path)
    expect(ended, ended.stderr).toMatchObject({ code: 0 })
  })
})

async function caughtUp(app: StreamsApp): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(APP_MS))
}

/** What an app ended of, in time. */
async function endOf(app: StreamsApp): Promise<unknown> {
  const late = AbortSignal.timeout(APP_MS)
  const over = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () => reject(new Error('the app goes on')))
  })
  return await Promise.race([app.closed, over]).then(
    () => new Error('the app ended well'),
    (error: unknown) => error,
  )
}

/** The first and the next offset of the only partition of `in`. */
async function rangeOf(stage: AppStage): Promise<readonly [start: number, end: number]> {
  const at = { topic: stage.topic('in'), partition: asPartition(0) }
  const [start = 0] = await stage.log.admin.offsets([at], 'earliest', 'read_committed')
  const [end = 0] = await stage.log.admin.offsets([at], 'latest', 'read_committed')
  return [start, end]
}

/** Waits for the broker to remove what stands before an offset. */
async function removed(stage: AppStage, before: number): Promise<void> {
  const what = (): string => `retention has removed what is before ${before}`
  await until(clock, what, async () => (await rangeOf(stage))[0] >= before)
}

/** Lets the broker keep the records of a topic for a moment only. */
async function keepShortly(topic: string): Promise<void> {
  const to = ['--bootstrap-server', cluster.brokers.join(), '--alter']
  const which = ['--entity-type', 'topics', '--entity-name', topic]
  await kafkaTool('kafka.admin.ConfigCommand', ...to, ...which, '--add-config', 'retention.ms=500')
}

describe.concurrent('records that retention removes', () => {
  test('before an app that is down has read them end its next run, with what is lost', async () => {
    await using stage = await AppStage.open(cluster.brokers)
    const name = stage.application
    await stage.create('in')
    await stage.create('out')
    const pipeline = `import { text, topology } from 'millrace'
export default topology('${name}', ({ stream }) => {
  stream('${name}.in', { key: text, value: text }).to('${name}.out')
})
`
    await using own = await folderWith({ 'copy.ts': pipeline })
    const args = ['run', 'copy.ts', '--until-caught-up', '--brokers', cluster.brokers.join()]
    await stage.feed(30, 1)
    const first = await millrace(args, own.path)
    expect(first, first.stderr).toMatchObject({ code: 0 })
    await stage.feed(30, 1)
    await keepShortly(stage.topic('in'))
    await removed(stage, 60)
    // Of a time that is yet to come, so that they stay.
    stage.stepMs = 10_000
    await stage.feed(5, 1)
    const ended = await millrace(args, own.path)
    const line = lastLine(ended, 'MILLRACE_OFFSET_OUT_OF_RANGE')
    expect(line).toContain(`the group ${name} goes on at ${name}.in[0]@30`)
    expect(line).toContain('that goes from 60 to 65')
    expect(line).toContain('The records from 30 to 59 were removed')
    expect(line).toMatch(/retention.*before they were processed.*choose where to go on/)
    expect(ended.code).toBe(6)
    // Nobody has chosen for the user.
    expect(await millrace(args, own.path)).toMatchObject({ code: 6 })
    expect(await stage.read('out')).toHaveLength(30)
    const chosen = { topic: stage.topic('in'), partition: asPartition(0), offset: asOffset(60) }
    await stage.log.admin.commitOffsets(name, [{ ...chosen, metadata: '' }])
    const next = await millrace(args, own.path)
    expect(next, next.stderr).toMatchObject({ code: 0 })
    const values = (await stage.read('out')).map(({ value }) => value)
    const kept = Array.from({ length: 65 }, (_, n) => n).filter((n) => n < 30 || n >= 60)
    expect(values).toEqual(kept.map(String))
  })

  test.each([
    ['alone', { kind: 'static' }],
    ['in a group', { kind: 'group' }],
  ] as const)('before an app %s that lags has read them end it', async (_, assignment) => {
    await using stage = await AppStage.open(cluster.brokers)
    await stage.create('in', 1, { 'retention.bytes': '2000000', 'segment.bytes': '1048576' })
    await stage.create('out')
    const app = stage.app(stage.copying(), { assignment, limits: { prefetchBytes: 1 } })
    await stage.feed(30, 1)
    await app.start()
    await caughtUp(app)
    app.pause()
    const large = Array.from({ length: 40 }, (_each, n) => ({
      key: 'k0',
      value: `${n}`.padEnd(200_000),
    }))
    await stage.send('in', large)
    await removed(stage, 45)
    app.resume()
    const error = await endOf(app)
    expect(error).toMatchObject({ code: 'MILLRACE_OFFSET_OUT_OF_RANGE' })
    const says =
      /\.in\[0\]@(?<at>\d+), which is outside the log: that goes from (?<start>\d+) to 70\. The records from (?<first>\d+) to (?<last>\d+) were removed/
    const found = says.exec(String(error))?.groups ?? {}
    expect(found['first'], String(error)).toBe(found['at'])
    expect(Number(found['last'])).toBe(Number(found['start']) - 1)
    // What it had before is in the output, and nothing from behind the gap.
    const written = (await stage.read('out')).map(({ value }) => value.trim())
    expect(written.slice(0, 30)).toEqual(Array.from({ length: 30 }, (_each, n) => String(n)))
    expect(written).not.toContain('39')
  })

  test('behind an app that has read them are no loss, while it runs and when it starts', async () => {
    await using stage = await AppStage.open(cluster.brokers)
    // Long enough for an app that is there, on a busy machine too.
    await stage.create('in', 1, { 'retention.ms': '4000' })
    await stage.create('out')
    const app = stage.app(stage.counting())
    await app.start()
    await stage.feed(30, 1)
    await caughtUp(app)
    await removed(stage, 30)
    await stage.feed(30, 1)
    await caughtUp(app)
    await app.close()
    await removed(stage, 60)
    const next = stage.app(stage.counting())
    await next.start()
    await stage.feed(30, 1)
    await caughtUp(next)
    expect(await stage.counts()).toEqual(stage.expectedCounts)
    await next.close()
  })

  test('while their values are referred to are told to the step that needs them', async () => {
    await using stage = await AppStage.open(cluster.brokers)
    await stage.create('in', 1, { 'retention.ms': '4000' })
    await stage.create('late')
    await stage.create('out')
    const before = stage.app(stage.referring())
    await before.start()
    await stage.send('in', [{ key: 'a', value: 'first' }])
    await caughtUp(before)
    // What it has in memory ends with it.
    await before.close()
    await removed(stage, 1)
    const app = stage.app(stage.referring())
    await app.start()
    await stage.send('late', [{ key: 'a', value: 'now' }])
    await caughtUp(app)
    const [told, ...more] = await stage.read('out')
    expect(more).toEqual([])
    expect(told?.value).toMatch(/\.in\[0\]@0 is not in the log any more.*a retention longer than/)
    await app.close()
  })
})
