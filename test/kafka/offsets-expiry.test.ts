/**
 * Brokers forget the offsets of a group without members when they have not been committed for
 * `offsets.retention.minutes`, a week as a rule and a minute on this broker. An app that was told its
 * partitions has no members, so it commits them anew, at least once a day, although nothing comes in.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hours } from '../../model/duration.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import type { Guarantee } from '../../runtime/config.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { Transport } from '../../transport/transport.ts'
import { TestCluster } from './broker.ts'
import { shiftedClock, type ShiftedClock } from './shifted-clock.ts'
import { until } from './until.ts'

const clock = systemClock()
const RETENTION = { 'offsets.retention.minutes': '1', 'offsets.retention.check.interval.ms': '500' }
const INPUT = { topic: asTopic('words'), partition: asPartition(0) }
const HALF_A_DAY_MS = hours(12)
/** How long half a day of the apps takes the broker: often enough within its minute. */
const HALF_A_DAY_TAKES_MS = 10_000

/** An app that has nothing to do. */
interface Idle {
  readonly app: StreamsApp
  /** Its own time. */
  readonly time: ShiftedClock
}

async function startIdle(
  { log, folder }: { readonly log: Transport; readonly folder: string },
  { application, guarantee }: { readonly application: string; readonly guarantee: Guarantee },
): Promise<Idle> {
  const time = shiftedClock(clock)
  const pipeline = topology(application, ({ stream }) => {
    stream(INPUT.topic, { key: text, value: text }).to('out')
  })
  const app = streams(pipeline, {
    transport: log,
    registry: memoryRegistry(),
    clock: time,
    guarantee,
    state: { kind: 'folder', folder: join(folder, application) },
  })
  await app.start()
  await app.caughtUp()
  return { app, time }
}

async function sendWord(log: Transport): Promise<void> {
  await using producer = log.openProducer({})
  await producer.init()
  const word = Buffer.from('word')
  producer.send({ ...INPUT, key: word, value: word, timestamp: clock.now(), headers: NO_HEADERS })
  await producer.flush()
}

test(
  'offsets without members expire, and those of an idle app do not, for it commits them every half day',
  { timeout: 240_000 },
  async () => {
    await using cluster = await TestCluster.start({ properties: RETENTION })
    await using log = await openKafka({ brokers: cluster.brokers, clock })
    const folder = await mkdtemp(join(tmpdir(), 'millrace-expiry-'))
    onTestFinished(async () => await rm(folder, { recursive: true, force: true }))
    await log.admin.createTopics(
      [INPUT.topic, asTopic('out')].map((topic) => ({ topic, partitions: 1 })),
    )
    await sendWord(log)
    const start = async (application: string, guarantee: Guarantee): Promise<Idle> =>
      await startIdle({ log, folder }, { application, guarantee })
    const forgotten = await start('forgotten', 'exactly-once')
    const kept = [await start('kept', 'exactly-once'), await start('loose', 'at-least-once')]
    await forgotten.app.close()
    const offsetOf = async (application: string): Promise<number | undefined> =>
      (await log.admin.committedOffsets(application, [INPUT]))[0]?.offset
    expect(await offsetOf('forgotten')).toBe(1)

    // Half a day passes for the apps, again and again, and a minute for the broker.
    let nextMs = clock.monotonic()
    await until(
      clock,
      () => 'the broker has forgotten the offsets',
      async () => {
        if (clock.monotonic() >= nextMs) {
          for (const { time } of kept) time.advance(HALF_A_DAY_MS)
          nextMs += HALF_A_DAY_TAKES_MS
        }
        return (await offsetOf('forgotten')) === undefined
      },
    )
    expect(await Promise.all(['kept', 'loose'].map(offsetOf))).toEqual([1, 1])
    await Promise.all(kept.map(async ({ app }) => await app.close()))
  },
)
