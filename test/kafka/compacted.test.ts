/**
 * Topics that a broker really compacts. It does so with whole segments, and a new one begins with a
 * record that is late enough after the first of the last: so times here grow by more than `segment.ms`
 * from record to record, and every record but the newest can be compacted at once.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { asOffset, asPartition, asTopic, type Topic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import type { StateLocation } from '../../runtime/config.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Producer } from '../../transport/transport.ts'
import { AppStage } from './app-stage.ts'
import { TestCluster } from './broker.ts'

const STEP_MS = 2_000
const PATIENCE = { timeout: 45_000, interval: 50 }
const COMPACT = {
  'cleanup.policy': 'compact',
  'segment.ms': '1000',
  'min.cleanable.dirty.ratio': '0.001',
  'min.compaction.lag.ms': '0',
}
const clock = systemClock()
let cluster: TestCluster
let stage: AppStage

beforeAll(async () => {
  cluster = await TestCluster.start({ properties: { 'log.cleaner.backoff.ms': '50' } })
})

afterAll(() => cluster?.[Symbol.asyncDispose]())

beforeEach(async () => {
  stage = await AppStage.open(cluster.brokers)
  stage.stepMs = STEP_MS
})

afterEach(() => stage[Symbol.asyncDispose]())

const first = (topic: Topic) => ({ topic, partition: asPartition(0) })

/** Waits until the broker has taken these offsets out. */
async function compacted(topic: Topic, gone: readonly number[]): Promise<void> {
  await using reader = stage.log.openReader({ isolation: 'read_committed', prefetchBytes: 1 })
  await vi.waitFor(async () => {
    for (const offset of gone) {
      expect(await reader.readAt({ ...first(topic), offset: asOffset(offset) })).toBeUndefined()
    }
  }, PATIENCE)
}

/** What is read from an offset to the end, and where that is. */
async function readFrom(topic: Topic, from: number, end: number) {
  await using reader = stage.log.openReader({ isolation: 'read_committed', prefetchBytes: 1 })
  const cursor = reader.open({ ...first(topic), offset: asOffset(from) })
  const values: string[] = []
  const signal = AbortSignal.timeout(PATIENCE.timeout)
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready(signal)
    for (const { value } of batch?.records ?? []) values.push(String(value))
  }
  return { values, position: cursor.position }
}

test('a reader that waits for the end arrives, wherever in a compacted log it begins', async () => {
  const topic = await stage.create('keys', 1, COMPACT)
  const start = clock.now()
  let sent = 0
  const put = async (producer: Producer, ...texts: readonly string[]): Promise<void> => {
    for (const value of texts) {
      producer.send({
        ...first(topic),
        key: Buffer.from(value.slice(0, 1)),
        value: Buffer.from(value),
        timestamp: start + STEP_MS * (sent += 1),
        headers: NO_HEADERS,
      })
      await producer.flush()
    }
  }
  await using producer = stage.log.openProducer({ transactionalId: stage.application })
  await producer.init()
  await put(producer, 'a1', 'b1', 'a2', 'b2', 'a3')
  await producer.commit()
  await put(producer, 'a4', 'c1')
  await producer.abort()
  // Of another producer: a log keeps the last batch of each, without records if it must.
  await using plain = stage.log.openProducer({})
  await plain.init()
  await put(plain, 'd1', 'd2', 'd3', 'e1')
  const [end = 0] = await stage.log.admin.offsets([first(topic)], 'latest', 'read_committed')
  const at = { a3: 4, b2: 3, d3: end - 2, e1: end - 1 }
  await compacted(topic, [0, 1, 2, 6, 7, end - 4, end - 3])
  for (let from = 0; from <= end; from += 1) {
    const kept = (['b2', 'a3', 'd3', 'e1'] as const).filter((value) => at[value] >= from)
    expect(await readFrom(topic, from, end)).toEqual({ values: kept, position: end })
  }
})

test('a count whose changelog was compacted goes on where it was when its disk is lost', async () => {
  await stage.create('in', 1)
  await stage.create('out', 1)
  const changelog = asTopic(`${stage.application}-counts-changelog`)
  await stage.log.admin.createTopics([{ topic: changelog, partitions: 1, config: COMPACT }])
  const app = stage.app(stage.counting())
  await app.start()
  for (let round = 0; round < 4; round += 1) {
    await stage.feed(21, 1)
    await caughtUp(app)
  }
  await app.close()
  await compacted(changelog, [0, 1, 2, 3, 4, 5, 6])
  const next = stage.app(stage.counting(), { state: newDisk() })
  await next.start()
  await stage.feed(21, 1)
  await caughtUp(next)
  expect(await stage.counts()).toEqual(stage.expectedCounts)
  expect(restored()).toBeGreaterThan(0)
  expect(restored()).toBeLessThan(84)
})

test('a table over a compacted topic is whole again when its disk is lost', async () => {
  const topic = await stage.create('table', 1, COMPACT)
  const pipeline = topology('tabled', ({ table }) => {
    table(topic, { key: text, value: text, store: 'table' })
  })
  const latest: Record<string, string> = {}
  const put = async (round: number): Promise<void> => {
    const records = ['a', 'b', 'c', 'd'].map((key) => ({ key, value: `${key}${round}` }))
    for (const { key, value } of records) latest[key] = value
    await stage.send('table', records)
  }
  const app = stage.app(pipeline)
  await app.start()
  for (let round = 0; round < 4; round += 1) await put(round)
  await caughtUp(app)
  await app.close()
  await compacted(topic, [0, 1, 2, 3, 4, 7])
  await put(4)
  const next = stage.app(pipeline, { state: newDisk() })
  await next.start()
  await caughtUp(next)
  const rows = next.store<string, string>('table')
  const found = await Promise.all(
    Object.keys(latest).map(async (key) => [key, await rows.get(key)]),
  )
  expect(Object.fromEntries(found)).toEqual(latest)
})

test('an app that writes a record without a key to a compacted topic ends, and names it', async () => {
  const source = await stage.create('in', 1)
  const sink = await stage.create('out', 1, COMPACT)
  const pipeline = topology('keyless', ({ stream }) => {
    stream(source, { key: text, value: text }).to(sink)
  })
  const app = stage.app(pipeline)
  await using producer = stage.log.openProducer({})
  await producer.init()
  const value = Buffer.from('without')
  const record = { ...first(source), key: null, value, timestamp: clock.now() }
  producer.send({ ...record, headers: NO_HEADERS })
  await producer.flush()
  await app.start()
  const ended: unknown = await app.closed.catch((error: unknown) => error)
  expect(ended).toMatchObject({
    code: 'MILLRACE_RECORD_WITHOUT_KEY',
    message: expect.stringMatching(/\.out, which is compacted.*Give it a key/),
  })
  expect(stage.events.filter(({ kind }) => kind === 'rewound')).toEqual([])
})

function newDisk(): StateLocation {
  return { kind: 'folder', folder: join(stage.folder, 'another') }
}

async function caughtUp(app: StreamsApp): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(PATIENCE.timeout))
}

/** How many records of changelogs were read at starts. */
function restored(): number {
  const counts = stage.events.map((event) => (event.kind === 'restoring' ? event.restored : 0))
  return Math.max(0, ...counts)
}
