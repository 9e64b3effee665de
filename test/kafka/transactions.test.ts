/** Apps whose transactions, or whose clocks, do not go as everybody thinks. */
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { isMillraceError } from '../../model/errors.ts'
import { asPartition } from '../../model/position.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { AppStage, clockAt } from './app-stage.ts'

const DEADLINE_MS = 40_000
const PATIENCE = { timeout: DEADLINE_MS, interval: 10 }
const HOUR_MS = 3_600_000
const MODES = [
  ['alone', { kind: 'static' }],
  ['in a group', { kind: 'group' }],
] as const
const LIMITS = { sessionTimeoutMs: 3_000, heartbeatIntervalMs: 300, rebalanceTimeoutMs: 6_000 }

let stage: AppStage

beforeEach(async () => {
  stage = await AppStage.open(inject('kafkaBrokers'))
})

afterEach(() => stage[Symbol.asyncDispose]())

async function caughtUp(app: StreamsApp): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(DEADLINE_MS))
}

/** Outputs of a transaction that has not ended. */
async function openRecords(): Promise<number> {
  const at = [{ topic: stage.topic('out'), partition: asPartition(0) }]
  const [stable = 0] = await stage.log.admin.offsets(at, 'latest', 'read_committed')
  const [end = 0] = await stage.log.admin.offsets(at, 'latest', 'read_uncommitted')
  return end - stable
}

/** Whether the app was told that a transaction of it was too old. */
function hasTimedOut(): boolean {
  return stage.events.some(
    (event) =>
      (event.kind === 'rewound' || event.kind === 'restarting') &&
      isMillraceError(event.error, 'MILLRACE_TRANSACTION_TIMED_OUT'),
  )
}

/** Blocks this thread, as a function does that computes for too long. */
function block(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs)
}

describe.each(MODES)('an app %s', (_, assignment) => {
  test('whose transaction outlives its timeout forgets it, and does its work once', async () => {
    await stage.create('in', 1)
    await stage.create('out', 1)
    let willBlock = false
    const pipeline = topology('blocked', ({ stream }) => {
      stream(stage.topic('in'), { key: text, value: text })
        .filter(() => {
          if (willBlock) block(3_500)
          willBlock = false
          return true
        })
        .groupByKey()
        .count({ store: 'counts' })
        .toStream()
        .mapValues(String, { value: text })
        .to(stage.topic('out'))
    })
    const limits = { ...LIMITS, commitIntervalMs: 700, transactionTimeoutMs: 1_500 }
    const app = stage.app(pipeline, { assignment, limits })
    await app.start()
    // A commit that is under way already when the block begins may yet succeed: then once more.
    for (let round = 0; round < 5 && !hasTimedOut(); round += 1) {
      await stage.feed(20, 1)
      await vi.waitFor(async () => expect(await openRecords()).toBeGreaterThan(0), PATIENCE)
      willBlock = true
      await stage.feed(20, 1)
      await caughtUp(app)
    }
    expect(hasTimedOut()).toBe(true)
    expect(await stage.counts()).toEqual(stage.expectedCounts)
    expect(app.state).toBe('running')
  })

  test('whose clock jumps an hour forth and back commits, beats and counts as before', async () => {
    await stage.create('in', 2)
    await stage.create('out', 2)
    const clock = systemClock()
    let aheadMs = 0
    const jumping = clockAt(() => clock.now() + aheadMs)
    const way = await stage.anotherWay({ clock: jumping })
    const app = stage.app(stage.counting(), {
      assignment,
      limits: LIMITS,
      clock: jumping,
      transport: way,
    })
    await app.start()
    for (const jumpMs of [HOUR_MS, -HOUR_MS, 0, -24 * HOUR_MS, 0]) {
      aheadMs = jumpMs
      await stage.feed(40, 2)
      await caughtUp(app)
    }
    expect(await stage.counts()).toEqual(stage.expectedCounts)
    const troubles = stage.events.filter(({ kind }) => kind === 'rewound' || kind === 'restarting')
    expect(troubles).toEqual([])
  })
})

describe('a clock that is not the brokers’', () => {
  test.each([
    ['ahead', 'message.timestamp.after.max.ms', HOUR_MS],
    ['behind', 'message.timestamp.before.max.ms', -HOUR_MS],
  ])('and runs %s of what a topic takes is told in one sentence', async (_, config, awayMs) => {
    await stage.create('in', 1)
    await stage.create('out', 1, { [config]: '60000' })
    const clock = systemClock()
    const now = clockAt(() => clock.now() + awayMs)
    const pipeline = topology('skewed', ({ stream }) => {
      stream(stage.topic('in'), { key: text, value: text, timestamp: () => now.now() }).to(
        stage.topic('out'),
      )
    })
    const app = stage.app(pipeline, { limits: LIMITS })
    await stage.feed(3, 1)
    await app.start()
    const error: unknown = await app.closed.catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'MILLRACE_TIMESTAMP_REFUSED',
      message: expect.stringMatching(
        new RegExp(`\\.out\\[0\\] .*clock.*message\\.timestamp\\.(before|after)\\.max\\.ms`),
      ),
    })
  })
})
