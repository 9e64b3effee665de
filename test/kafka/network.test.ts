/**
 * Exactly-once apps over a spoiled network: a proxy stands between them and their broker, and the
 * broker is advertised at the proxy's address, so that there is no way around it. What is fed and
 * what is compared goes past it.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { asPartition } from '../../model/position.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import type { StreamsLimits, StreamsOptions } from '../../runtime/config.ts'
import { AppStage, type AppsWay } from './app-stage.ts'
import { withListeners } from './broker-properties.ts'
import { TestCluster } from './broker.ts'
import { expectCountedOnce } from './counted-once.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** From a request to its answer, whichever it is. */
const ANSWER_MS = 1_500
/** A fetch may wait at the broker for so long, beside that. */
const FETCH_WAIT_MS = 300
/** What a busy machine may add to a deadline. */
const SLACK_MS = 2_500
/** Until an app has noticed, or done, whatever a test waits for. */
const PATIENCE = { timeout: 45_000, interval: 50 }
const PARTITIONS = 2

const LIMITS: Partial<StreamsLimits> = {
  transactionTimeoutMs: 2_500,
  sessionTimeoutMs: 2_500,
  heartbeatIntervalMs: 300,
  rebalanceTimeoutMs: 4_000,
}
const WAY: AppsWay = {
  limits: {
    requestDeadlineMs: ANSWER_MS,
    questionDeadlineMs: ANSWER_MS,
    connectDeadlineMs: ANSWER_MS,
    heldRoundCheckMs: ANSWER_MS,
  },
  producer: { produceDeadlineMs: ANSWER_MS, doubtMs: 500 },
  reader: { requestDeadlineMs: ANSWER_MS, maxWaitMs: FETCH_WAIT_MS, doubtAfterMs: 500 },
}
/** Long enough to find a transaction open, and to do something to it. */
const LONG_COMMIT_MS = 1_000
const MODES = [
  ['alone', { kind: 'static' }],
  ['in a group', { kind: 'group' }],
] as const

let cluster: TestCluster
let proxy: TcpProxy
let stage: AppStage

beforeAll(async () => {
  proxy = await TcpProxy.listen()
  cluster = await TestCluster.start({
    properties: (ports) => {
      proxy.targetPort = ports.secure
      const advertised = `127.0.0.1:${proxy.port}`
      return withListeners(ports, [{ name: 'PROXIED', port: ports.secure, advertised }])
    },
  })
})

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
})

beforeEach(async () => {
  stage = await AppStage.open(cluster.brokers, { ...WAY, brokers: `127.0.0.1:${proxy.port}` })
  await stage.create('in', PARTITIONS)
  await stage.create('out', PARTITIONS)
})

afterEach(async () => {
  proxy.pass()
  if (!proxy.isListening) await proxy.admit()
  await stage[Symbol.asyncDispose]()
})

/** An app that has done something already. */
async function working(
  assignment: NonNullable<StreamsOptions['assignment']> = { kind: 'static' },
  limits: Partial<StreamsLimits> = {},
): Promise<StreamsApp> {
  const app = stage.app(stage.counting(), { assignment, limits: { ...LIMITS, ...limits } })
  await stage.work(app, { partitions: PARTITIONS, withinMs: PATIENCE.timeout })
  return app
}

async function caughtUp(app: StreamsApp): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(PATIENCE.timeout))
}

async function expectExactlyOnce(app: StreamsApp): Promise<void> {
  await expectCountedOnce(stage, app, PATIENCE.timeout)
}

describe.each(MODES)('an app %s, whose broker', (_, assignment) => {
  test('says nothing any more, gives up each request at its deadline, and goes on later', async () => {
    const app = await working(assignment)
    const before = proxy.givenUp
    // In the middle of its work, and of a transaction.
    await stage.feed(200, PARTITIONS)
    proxy.stall()
    await stage.feed(50, PARTITIONS)
    // Long enough for its transaction to be aborted, and for its group to be without it.
    await vi.waitFor(() => expect(proxy.givenUp - before).toBeGreaterThan(3), PATIENCE)
    await vi.waitFor(async () => expect(await members()).toEqual([]), PATIENCE)
    expect(proxy.longestSilenceMs).toBeLessThan(ANSWER_MS + FETCH_WAIT_MS + SLACK_MS)
    proxy.pass()
    await stage.feed(50, PARTITIONS)
    await expectExactlyOnce(app)
  })

  test('is asked and is not heard, loses and doubles nothing', async () => {
    const app = await working(assignment)
    for (let round = 0; round < 4; round += 1) {
      await stage.feed(20, PARTITIONS)
      proxy.mute()
      await stage.feed(20, PARTITIONS)
      const before = proxy.givenUp
      if (round % 2 === 0) proxy.cut('reset')
      else await vi.waitFor(() => expect(proxy.givenUp).toBeGreaterThan(before), PATIENCE)
      proxy.pass()
    }
    await expectExactlyOnce(app)
  })

  test('is not there for a while, goes on when it is', async () => {
    const app = await working(assignment, { commitIntervalMs: LONG_COMMIT_MS })
    for (let round = 0; round < 3; round += 1) {
      const before = troubles()
      await refuseInTransaction()
      await stage.feed(30, PARTITIONS)
      // Nobody but the broker ends that transaction now, and it does not commit it.
      await vi.waitFor(async () => expect(await openRecords()).toBe(0), PATIENCE)
      await vi.waitFor(async () => expect(await members()).toEqual([]), PATIENCE)
      await proxy.admit()
      await caughtUp(app)
      expect(troubles()).toBeGreaterThan(before)
    }
    await expectExactlyOnce(app)
  })
})

describe('connections that', () => {
  test('break again and again cost nothing but time', async () => {
    const app = await working()
    for (let round = 0; round < 20; round += 1) {
      await stage.feed(20, PARTITIONS)
      if (round % 4 === 3) await caughtUp(app)
      proxy.cut(round % 2 === 0 ? 'reset' : 'end')
    }
    await expectExactlyOnce(app)
  })

  test('are slow hold nothing up for good, and give nothing up', async () => {
    const app = await working()
    const before = troubles()
    proxy.slow({ lateMs: 250, bytesPerSecond: 20_000 })
    for (let round = 0; round < 5; round += 1) await stage.feed(40, PARTITIONS)
    await expectExactlyOnce(app)
    expect(troubles()).toBe(before)
  })
})

/** Who is in the app's group. */
async function members() {
  return await stage.log.admin.describeGroup(stage.application)
}

/** Ends the app's way to its broker while records of its wait for the end of a transaction. */
async function refuseInTransaction(): Promise<void> {
  await vi.waitFor(async () => {
    await stage.feed(10, PARTITIONS)
    expect(await openRecords()).toBeGreaterThan(0)
    await proxy.refuse()
    const open = await openRecords()
    // It was committed in between.
    if (open === 0) await proxy.admit()
    expect(open).toBeGreaterThan(0)
  }, PATIENCE)
}

/** How many records of `out` wait for the end of a transaction. */
async function openRecords(): Promise<number> {
  const topic = stage.topic('out')
  const places = Array.from({ length: PARTITIONS }, (_, p) => ({
    topic,
    partition: asPartition(p),
  }))
  const ends = await stage.log.admin.offsets(places, 'latest', 'read_uncommitted')
  const stable = await stage.log.admin.offsets(places, 'latest', 'read_committed')
  return ends.reduce((open, end, p) => open + end - (stable[p] ?? 0), 0)
}

/** How often an app went back or started over. */
function troubles(): number {
  return stage.events.filter(({ kind }) => kind === 'rewound' || kind === 'restarting').length
}
