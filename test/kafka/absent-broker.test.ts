import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { AppStage } from './app-stage.ts'
import { TestCluster } from './broker.ts'

const clock = systemClock()
/**
 * Far below an app's deadline for a close. A start that stops while it commits its first offsets lets
 * the producer try for five seconds to end the transaction.
 */
const SOON_MS = 12_000
/** How far a start has come when the broker stands still: before its first question, and between two of them. */
const HALTS_MS = [0, 15, 40, 80, 160]

let cluster: TestCluster

beforeAll(async () => {
  cluster = await TestCluster.start()
})

afterEach(() => resumed())

afterAll(() => cluster[Symbol.asyncDispose]())

describe.each(['static', 'group'] as const)('a start (%s) whose broker stands still', (kind) => {
  test.each(HALTS_MS)('after %i ms is stopped at once, and the next one works', async (haltMs) => {
    await using stage = await AppStage.open(cluster.brokers)
    await stage.create('in', 2)
    await stage.create('out', 2)
    await stage.feed(20, 2)
    const app = stage.app(stage.counting(), { assignment: { kind } })
    const started = app.start()
    await sleep(clock, haltMs)
    halted()
    // A start that was quicker has something to commit, for which it waits.
    await sleep(clock, 100)
    const wasStarting = app.state === 'starting'
    const closedAtMs = clock.monotonic()
    const closed = Promise.allSettled([started, app.close()])
    if (!wasStarting) resumed()
    await closed
    if (wasStarting) expect(clock.monotonic() - closedAtMs).toBeLessThan(SOON_MS)
    expect(app.state).toBe('stopped')
    resumed()
    const next = stage.app(stage.counting(), { assignment: { kind } })
    await next.start()
    await next.caughtUp(AbortSignal.timeout(60_000))
    expect(await stage.counts()).toEqual(stage.expectedCounts)
    await next.close()
  })
})

function halted(): void {
  for (const node of cluster.nodes) node.halt()
}

function resumed(): void {
  for (const node of cluster.nodes) node.resume()
}
