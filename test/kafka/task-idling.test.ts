/**
 * Whether a task waits for an input whose next records stand in a transaction of somebody else that is
 * still open. As in Kafka Streams, what lies behind the last stable offset is not known to be there:
 * by itself a task does not wait for it, with `maxTaskIdleMs` it does for that long, and what is
 * committed meanwhile comes in its order.
 */
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { asPartition } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import { text } from '../../serdes/primitives.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import type { Producer } from '../../transport/transport.ts'
import { drawnSeed } from '../seed.ts'
import { AppStage } from './app-stage.ts'
import { until } from './until.ts'

/** Far longer than a test: whoever waits for so long waits for ever. */
const FOR_EVER_MS = 300_000
/** A while to look at a task that waits. */
const LOOK_MS = 1_000
/** How often an app that only waits may wake in that time: for answers of its broker, which come twice a second, and for itself. */
const FEW = 40
const PATIENCE_MS = 20_000

let stage: AppStage
/** Delays that the app under test asked its clock for. */
let delays: number[]
/** When the records' times begin. */
let epochMs: number

beforeEach(async () => {
  delays = []
  stage = await AppStage.open(inject('kafkaBrokers'))
  epochMs = stage.clock.now() - 600_000
  for (const name of ['in', 'rows', 'out']) await stage.create(name)
})

afterEach(() => stage[Symbol.asyncDispose]())

/** Each record of `in`, with the row of its key. */
function joining(): Topology {
  return topology('joining', ({ stream, table }) => {
    const rows = table(stage.topic('rows'), { key: text, value: text })
    stream(stage.topic('in'), { key: text, value: text })
      .leftJoin(rows, (value, row) => `${value}:${row ?? 'nothing'}`)
      .to(stage.topic('out'), { value: text })
  })
}

function merging(): Topology {
  return topology('merging', ({ stream }) => {
    const rows = stream(stage.topic('rows'), { key: text, value: text })
    stream(stage.topic('in'), { key: text, value: text }).merge(rows).to(stage.topic('out'))
  })
}

async function started(of: Topology, maxTaskIdleMs?: number): Promise<StreamsApp> {
  const clock = {
    ...stage.clock,
    timer: (delayMs: number, run: () => void) => {
      delays.push(delayMs)
      return stage.clock.timer(delayMs, run)
    },
  }
  const app = stage.app(of, { clock, limits: maxTaskIdleMs === undefined ? {} : { maxTaskIdleMs } })
  await app.start()
  return app
}

/** A producer of somebody else; `id` makes it one of transactions. */
async function stranger(id?: string): Promise<Producer> {
  const transactionalId = `${stage.application}-stranger-${id}`
  const producer = stage.log.openProducer(id === undefined ? {} : { transactionalId })
  await producer.init()
  return producer
}

/** Appends a record, in the transaction of a producer that has those. Its value is the time, a few milliseconds, unless another is given. */
async function put(
  producer: Producer,
  name: 'in' | 'rows',
  { at, key = 'k', value = String(at) }: { at: number; key?: string; value?: string },
): Promise<void> {
  producer.send({
    topic: stage.topic(name),
    partition: asPartition(0),
    key: Buffer.from(key),
    value: Buffer.from(value),
    // What is older than its retention goes while it is read.
    timestamp: epochMs + at,
    headers: NO_HEADERS,
  })
  await producer.flush()
}

async function written(): Promise<readonly string[]> {
  return (await stage.read('out')).map(({ value }) => value)
}

async function expectWritten(expected: readonly string[]): Promise<void> {
  const what = (): string => `the output is ${expected.join()}`
  await until(stage.clock, what, async () => (await written()).length >= expected.length)
  expect(await written()).toEqual(expected)
}

/** Waits for the last stable offset of `rows` to be beyond an offset. */
async function stable(offset: number): Promise<void> {
  const at = { topic: stage.topic('rows'), partition: asPartition(0) }
  const what = (): string => `all of rows before ${offset} is decided`
  await until(stage.clock, what, async () => {
    const [end = 0] = await stage.log.admin.offsets([at], 'latest', 'read_committed')
    return end >= offset
  })
}

/** Waits for the task to wait for an input, for as long as it may. */
async function idling(maxTaskIdleMs: number): Promise<void> {
  const isWait = (delayMs: number): boolean =>
    delayMs <= maxTaskIdleMs && delayMs > maxTaskIdleMs * 0.8
  await until(
    stage.clock,
    () => 'the task waits',
    async () => delays.some(isWait),
  )
}

describe('behind an open transaction a record', () => {
  test('is not waited for by itself, and holds nothing up', async () => {
    await using open = await stranger('a')
    await using other = await stranger()
    await put(open, 'rows', { at: 10, value: 'late' })
    await put(other, 'in', { at: 20, value: 'one' })
    const app = await started(joining())
    await app.caughtUp(AbortSignal.timeout(PATIENCE_MS))
    await expectWritten(['one:nothing'])
    await open.commit()
    await stable(2)
    await app.caughtUp(AbortSignal.timeout(PATIENCE_MS))
    await put(other, 'in', { at: 30, value: 'two' })
    await expectWritten(['one:nothing', 'two:late'])
  })

  test('is waited for without a busy loop, and comes before what is newer when it is committed', async () => {
    await using open = await stranger('a')
    await using other = await stranger()
    await put(open, 'rows', { at: 10, value: 'row' })
    // Not in the transaction, and not to be read before it either.
    await put(other, 'rows', { at: 15, key: 'l', value: 'row' })
    await put(other, 'in', { at: 20, value: 'one' })
    await put(other, 'in', { at: 21, key: 'l', value: 'two' })
    const app = await started(joining(), FOR_EVER_MS)
    await idling(FOR_EVER_MS)
    const before = delays.length
    await sleep(stage.clock, LOOK_MS)
    expect(delays.length - before).toBeLessThan(FEW)
    expect(await app.isCaughtUp()).toBe(false)
    expect(await written()).toEqual([])
    await open.commit()
    await put(other, 'rows', { at: 30, key: 'else' })
    await expectWritten(['one:row', 'two:row'])
  })

  test('that is aborted is as if it had never been, and the next one is waited for', async () => {
    await using open = await stranger('a')
    await using other = await stranger()
    await put(open, 'rows', { at: 10, value: 'undone' })
    await put(other, 'in', { at: 20, value: 'one' })
    await started(joining(), FOR_EVER_MS)
    await idling(FOR_EVER_MS)
    await open.abort()
    await stable(2)
    const before = delays.length
    await sleep(stage.clock, LOOK_MS)
    expect(delays.length - before).toBeLessThan(FEW)
    expect(await written()).toEqual([])
    await put(other, 'rows', { at: 15, value: 'done' })
    await put(other, 'rows', { at: 30, key: 'else' })
    await expectWritten(['one:done'])
  })

  test('that is aborted does not hold up what waited for it longer than it was to', async () => {
    await using open = await stranger('a')
    await using other = await stranger()
    await put(open, 'rows', { at: 10, value: 'undone' })
    await put(other, 'in', { at: 20, value: 'one' })
    const app = await started(joining(), 2_000)
    await idling(2_000)
    await open.abort()
    await expectWritten(['one:nothing'])
    await app.caughtUp(AbortSignal.timeout(PATIENCE_MS))
  })

  test('is waited for as long as was said, and no longer', async () => {
    const idleMs = 1_500
    await using open = await stranger('a')
    await using other = await stranger()
    await put(open, 'rows', { at: 10, value: 'late' })
    await put(other, 'in', { at: 20, value: 'one' })
    const begunMs = stage.clock.monotonic()
    const app = await started(joining(), idleMs)
    await expectWritten(['one:nothing'])
    expect(stage.clock.monotonic() - begunMs).toBeGreaterThanOrEqual(idleMs)
    await app.caughtUp(AbortSignal.timeout(PATIENCE_MS))
    await open.commit()
    await stable(2)
    await app.caughtUp(AbortSignal.timeout(PATIENCE_MS))
    await put(other, 'in', { at: 30, value: 'two' })
    await expectWritten(['one:nothing', 'two:late'])
  })
})

test('two inputs full of transactions of others come in the order of their times', async () => {
  const seed = drawnSeed()
  const random = new SeededRandom(seed)
  const strangers = await Promise.all(
    (['in', 'in', 'rows', 'rows'] as const).map(async (name, n) => {
      return { name, producer: await stranger(String(n)), open: [] as number[] }
    }),
  )
  const committed: number[] = []
  const end = async ({ producer, open }: (typeof strangers)[number], isCommit: boolean) => {
    if (open.length === 0) return
    await (isCommit ? producer.commit() : producer.abort())
    if (isCommit) committed.push(...open)
    open.length = 0
  }
  await started(merging(), FOR_EVER_MS)
  let at = 0
  for (let turn = 0; turn < 60; turn += 1) {
    const one = random.pick(strangers)
    for (let n = random.below(4); n >= 0; n -= 1) {
      at += 1
      await put(one.producer, one.name, { at })
      one.open.push(at)
    }
    if (random.chance(0.6)) await end(one, random.chance(0.7))
  }
  for (const one of strangers) await end(one, random.chance(0.7))
  await using last = await stranger()
  // The second one shows that the first may go, and waits itself.
  await put(last, 'in', { at: at + 1 })
  await put(last, 'rows', { at: at + 2 })
  const expected = [...committed, at + 1].toSorted((a, b) => a - b).map(String)
  const what = (): string => `${expected.length} records are written (seed ${seed})`
  await until(stage.clock, what, async () => (await written()).length >= expected.length)
  expect(await written(), `seed ${seed}`).toEqual(expected)
  for (const { producer } of strangers) await producer[Symbol.asyncDispose]()
})
