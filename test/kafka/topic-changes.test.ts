/** Topics that are deleted, made anew, widened or shortened while an app depends on them. */
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { isMillraceError } from '../../model/errors.ts'
import { asOffset, asPartition } from '../../model/position.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { AppStage } from './app-stage.ts'
import { kafkaTool } from './tools.ts'

/** A topic that the cluster does not know is gone after this long. */
const UNKNOWN_MS = 400
/** Within this an app has ended, on a busy machine too. */
const DEADLINE_MS = 20_000
const MODES = [
  ['alone', { kind: 'static' }],
  ['in a group', { kind: 'group' }],
] as const

let stage: AppStage

beforeEach(async () => {
  stage = await AppStage.open(inject('kafkaBrokers'), {
    reader: { unknownTopicMs: UNKNOWN_MS },
    producer: { unknownPartitionMs: UNKNOWN_MS },
  })
  await stage.create('in', 2)
  await stage.create('out', 2)
})

afterEach(() => stage[Symbol.asyncDispose]())

const limits = { topicCheckIntervalMs: 200, sessionTimeoutMs: 2_000, heartbeatIntervalMs: 300 }

async function caughtUp(app: StreamsApp): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(DEADLINE_MS))
}

/** What an app ended of, in time. */
async function endOf(
  app: StreamsApp,
): Promise<{ readonly code: string; readonly message: string }> {
  const { promise, reject } = Promise.withResolvers<never>()
  const late = stage.clock.timer(DEADLINE_MS, () => reject(new Error('the app goes on')))
  const error = await Promise.race([app.closed, promise]).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  late.cancel()
  if (!isMillraceError(error)) throw new Error('the app ended otherwise', { cause: error })
  return error
}

/** What a start fails of. */
async function refusalOf(app: StreamsApp): Promise<{ readonly code: string; message: string }> {
  app.start().catch(() => {})
  return await endOf(app)
}

async function widen(name: string, partitions: number): Promise<void> {
  const where = ['--bootstrap-server', inject('kafkaBrokers').join(), '--topic', stage.topic(name)]
  const alter = ['--alter', '--partitions', String(partitions)]
  await kafkaTool('org.apache.kafka.tools.TopicCommand', ...where, ...alter)
}

const sorted = (values: readonly string[]): readonly string[] => values.toSorted()

async function outputs(): Promise<readonly string[]> {
  return sorted((await stage.read('out')).map(({ value }) => value))
}

describe.each(MODES)('an app %s', (_, assignment) => {
  test('whose source is deleted ends and names it; one that is made anew is no reason to begin again', async () => {
    const app = stage.app(stage.counting(), { assignment, limits })
    await stage.feed(30, 2)
    await app.start()
    await caughtUp(app)
    await stage.log.admin.deleteTopics([stage.topic('in')])
    expect(await endOf(app)).toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
      message: expect.stringMatching(/\.in\[\d\] does not exist\. Create the topic/),
    })
    await stage.create('in', 2)
    await stage.feed(30, 2)
    const next = await refusalOf(stage.app(stage.counting(), { assignment, limits }))
    expect(next).toMatchObject({
      code: 'MILLRACE_OFFSETS_LOST',
      message: expect.stringMatching(/changelog.*no committed offsets.*millrace reset/),
    })
    expect(await stage.read('out')).toHaveLength(30)
  })

  test('whose source is made anew under it does not take the new one for the old one', async () => {
    const app = stage.app(stage.copying(), { assignment, limits })
    await stage.feed(30, 2)
    await app.start()
    await caughtUp(app)
    await stage.log.admin.deleteTopics([stage.topic('in')])
    await stage.create('in', 2)
    // More than there was: an offset of the old one is within the new one.
    await stage.feed(60, 2)
    expect(await endOf(app)).toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
      message: expect.stringMatching(/\.in\[\d\].*deleted and created again/),
    })
    const next = stage.app(stage.copying(), { assignment, limits })
    await next.start()
    await caughtUp(next)
    expect(await outputs()).toEqual(sorted(Array.from({ length: 90 }, (_, n) => String(n))))
  })

  test('whose sink is deleted ends and names it, and goes on where it was when there is one', async () => {
    const app = stage.app(stage.counting(), { assignment, limits })
    await app.start()
    await stage.feed(30, 2)
    await caughtUp(app)
    await stage.log.admin.deleteTopics([stage.topic('out')])
    await stage.feed(30, 2)
    expect(await endOf(app)).toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
      message: expect.stringMatching(/\.out\[\d\] does not exist\. Create the topic/),
    })
    await stage.create('out', 2)
    const next = stage.app(stage.counting(), { assignment, limits })
    await next.start()
    await caughtUp(next)
    const all = stage.expectedCounts
    const later = Object.entries(all).map(([key, counts]) => [
      key,
      // The thirty before are 5 of k0 and k1, and 4 of each other.
      counts.slice(key === 'k0' || key === 'k1' ? 5 : 4),
    ])
    expect(await stage.counts()).toEqual(Object.fromEntries(later))
  })

  test('whose source gets more partitions says so and ends, and takes them in when it starts again', async () => {
    const app = stage.app(stage.copying(), { assignment, limits })
    await stage.feed(30, 2)
    await app.start()
    await caughtUp(app)
    await widen('in', 3)
    await stage.feed(30, 3)
    expect(await endOf(app)).toMatchObject({
      code: 'MILLRACE_PARTITIONS_ADDED',
      message: expect.stringMatching(/\.in has 3 partitions now and had 2.*Start all processes/),
    })
    const next = stage.app(stage.copying(), { assignment, limits })
    await next.start()
    await caughtUp(next)
    expect(await outputs()).toEqual(sorted(Array.from({ length: 60 }, (_, n) => String(n))))
  })
})

test('an offset of a topic that was deleted is none of the topic that was made in its place', async () => {
  await stage.create('other', 2)
  const pipeline = topology('merging', ({ stream }) => {
    const own = stream(stage.topic('in'), { key: text, value: text })
    own.merge(stream(stage.topic('other'), { key: text, value: text })).to(stage.topic('out'))
  })
  const app = stage.app(pipeline, { limits })
  await stage.feed(30, 2)
  await app.start()
  await caughtUp(app)
  let isOver = false
  app.closed.catch(() => (isOver = true))
  // Every commit has the offsets of all sources: one comes when the old topic is gone, or the new one there.
  const busy = (async () => {
    for (let n = 0; !isOver && n < 2_000; n += 1) {
      await stage.send('other', [{ key: `k${n % 7}`, value: 'other' }], 2)
    }
  })()
  await stage.log.admin.deleteTopics([stage.topic('in')])
  await stage.create('in', 2)
  await stage.feed(60, 2)
  expect(await endOf(app)).toMatchObject({ code: 'MILLRACE_UNKNOWN_PARTITION' })
  await busy
  const next = stage.app(pipeline, { limits })
  await next.start()
  await caughtUp(next)
  const numbers = (await outputs()).filter((value) => value !== 'other')
  expect(numbers).toEqual(sorted(Array.from({ length: 90 }, (_, n) => String(n))))
})

test('an app with state whose source gets more partitions is refused when it starts again', async () => {
  const app = stage.app(stage.counting(), { limits })
  await stage.feed(30, 2)
  await app.start()
  await caughtUp(app)
  await widen('in', 3)
  expect(await endOf(app)).toMatchObject({ code: 'MILLRACE_PARTITIONS_ADDED' })
  expect(await refusalOf(stage.app(stage.counting(), { limits }))).toMatchObject({
    code: 'MILLRACE_PARTITIONS_DIFFER',
    message: expect.stringMatching(/changelog has 2 partitions and.*sources have 3/),
  })
})

test('a reference into a topic that was made anew is gone, and its policy decides', async () => {
  await stage.create('late', 2)
  const app = stage.app(stage.referring(), { limits })
  await stage.send(
    'in',
    [
      { key: 'a', value: 'first' },
      { key: 'b', value: 'second' },
    ],
    2,
  )
  await app.start()
  await stage.send('late', [{ key: 'b', value: 'now' }], 2)
  await caughtUp(app)
  await app.close()
  expect(await stage.read('out')).toEqual([{ key: 'b', value: 'second' }])
  await stage.log.admin.deleteTopics([stage.topic('in')])
  await stage.create('in', 2)
  // Other records where the old ones were; one under its key would take the place of what waits.
  const others = ['c', 'd', 'e', 'f'].map((key) => ({ key, value: 'other' }))
  await stage.send('in', others, 2)
  const next = stage.app(stage.referring(), { limits })
  await next.start()
  await stage.send('late', [{ key: 'a', value: 'now' }], 2)
  await caughtUp(next)
  expect(await stage.read('out')).toContainEqual({
    key: 'a',
    value: expect.stringMatching(/reference .*cannot be read: no topic here has the id/),
  })
})

describe('records that are removed before they were read', () => {
  const at = () => ({ topic: stage.topic('in'), partition: asPartition(0) })

  async function started(): Promise<StreamsApp> {
    const app = stage.app(stage.copying(), { limits: { ...limits, prefetchBytes: 1 } })
    await stage.feed(30, 1)
    await app.start()
    await caughtUp(app)
    return app
  }

  test('end a start with the range, and a choice of the user lets it go on', async () => {
    await (await started()).close()
    await stage.feed(30, 1)
    // Of sixty records thirty were read.
    await stage.log.admin.deleteRecords([{ ...at(), offset: asOffset(45) }])
    expect(await refusalOf(stage.app(stage.copying(), { limits }))).toMatchObject({
      code: 'MILLRACE_OFFSET_OUT_OF_RANGE',
      message: expect.stringMatching(
        /\.in\[0\]@30, which is outside the log: that goes from 45 to 60.*choose where to go on/,
      ),
    })
    const where = ['--bootstrap-server', inject('kafkaBrokers').join()]
    const which = ['--group', stage.application, '--topic', stage.topic('in')]
    const to = ['--reset-offsets', '--to-earliest', '--execute']
    const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
    await kafkaTool(tool, ...where, ...which, ...to)
    const next = stage.app(stage.copying(), { limits })
    await next.start()
    await caughtUp(next)
    const kept = Array.from({ length: 60 }, (_, n) => n).filter((n) => n < 30 || n >= 45)
    expect(await outputs()).toEqual(sorted(kept.map(String)))
  })

  test('end an app that runs, with the range', async () => {
    const app = await started()
    app.pause()
    // More than is fetched ahead.
    const large = Array.from({ length: 50 }, (_, n) => ({
      key: 'k0',
      value: `${n}`.padEnd(200_000),
    }))
    await stage.send('in', large)
    const [end] = await stage.log.admin.offsets([at()], 'latest', 'read_committed')
    await stage.log.admin.deleteRecords([{ ...at(), offset: end ?? asOffset(0) }])
    app.resume()
    expect(await endOf(app)).toMatchObject({
      code: 'MILLRACE_OFFSET_OUT_OF_RANGE',
      message: expect.stringMatching(
        /\.in\[0\]@\d+, which is outside the log: that goes from 80 to 80/,
      ),
    })
  })
})
