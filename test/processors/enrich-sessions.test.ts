/** Enriching by sessions, in whole apps over the memory log. */
import { describe, expect, test } from 'vitest'
import type { EnrichOptions } from '../../processors/enrich-options.ts'
import { Lane, type DriverTask, type LaneEntry } from '../../processors/enrich-lanes.ts'
import { ByteBudget, Slots } from '../../processors/enrich-limits.ts'
import { SessionDriver } from '../../processors/enrich-sessions.ts'
import { NO_HEADERS, StreamRecord } from '../../model/record.ts'
import { text } from '../../serdes/primitives.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { topology } from '../../topology/builder.ts'
import { MemoryBench, type Given } from '../runtime/memory-bench.ts'
import { HandSessions } from './hand-services.ts'

const enriched = (sessions: HandSessions, options: EnrichOptions<string, string, string> = {}) =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: text }).enrich('watch', sessions.enricher, options).to('out')
  })

const records = (...pairs: readonly string[]): readonly Given[] =>
  pairs.map((pair) => ({ key: pair.split('=')[0] as string, value: pair.split('=')[1] as string }))

async function running(
  options: EnrichOptions<string, string, string>,
  given: readonly Given[],
  sessions = new HandSessions(),
) {
  const bench = await MemoryBench.with(['in', 'out'])
  await bench.produce('in', given)
  const life = await bench.start(enriched(sessions, options), { deadLetterTopic: 'dead' })
  await bench.pass(150)
  return { bench, life, sessions }
}

/** Entries of the step's changelog that were not deleted. */
function entriesOf(bench: MemoryBench): number {
  const rows = new Map<string, boolean>()
  for (const { key, value } of bench.records('app-watch-pending-changelog')) {
    rows.set(key?.toString('hex') ?? '', value !== null)
  }
  return [...rows.values()].filter(Boolean).length
}

describe('the answers of a session', () => {
  test('leave in the order of their inputs though they come in another', async () => {
    const { bench, life, sessions } = await running({}, records('v=1', 'v=2', 'v=3!'))
    expect(sessions.last.values).toEqual(['1', '2', '3!'])
    expect(sessions.last.isEnded).toBe(true)
    sessions.last.answer('3!')
    sessions.last.answer('2')
    await bench.pass(150)
    expect(bench.texts('out')).toEqual([])
    sessions.last.answer('1')
    sessions.last.finish()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['v=1', 'v=2', 'v=3!'])
    await life.close()
  })

  test('leave as they come where the author says so, and none is lost when the last comes first', async () => {
    const { bench, life, sessions } = await running(
      { release: 'completion' },
      records('v=1', 'v=2', 'v=3!'),
    )
    sessions.last.answer('3!')
    await bench.pass(150)
    sessions.last.answer('2')
    await bench.pass(150)
    expect(bench.texts('out')).toEqual(['v=2'])
    life.kill()
    const again = new HandSessions()
    const next = await bench.start(enriched(again, { release: 'completion' }))
    expect(again.last.values).toEqual(['1', '2', '3!'])
    again.last.complete()
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['v=2', 'v=1', 'v=3!'])
    await next.close()
  })

  test('may wait for many further records, past every limit', async () => {
    const { bench, life, sessions } = await running(
      { sessions: 1, inFlightBytes: 1, calls: 1 },
      records(...Array.from({ length: 50 }, (_, i) => `v=frame${i}`)),
      new HandSessions(),
    )
    expect(sessions.all).toHaveLength(1)
    expect(sessions.last.pushed).toHaveLength(50)
    await bench.produce('in', records('v=end!'))
    await bench.pass(50)
    sessions.last.complete()
    await life.caughtUp()
    expect(bench.texts('out')).toHaveLength(51)
    await life.close()
  })

  test('wait for the transport to take the bytes before the next record is pushed', async () => {
    const { bench, life, sessions } = await running(
      { inFlightBytes: 1 },
      records('v=1', 'v=2!'),
      new HandSessions({ takesAtOnce: false }),
    )
    expect(sessions.last.values).toEqual(['1'])
    sessions.last.pushed[0]?.take()
    await bench.pass(5)
    expect(sessions.last.values).toEqual(['1', '2!'])
    sessions.last.complete()
    await life.caughtUp()
    await life.close()
  })

  test('take the rows of the session away with the last of them', async () => {
    const { bench, life, sessions } = await running({}, records('v=1', 'v=2!', 'w=1', 'w=2!'))
    const [v, w] = sessions.all
    v?.complete()
    w?.answer('1')
    await bench.pass(150)
    // Two rows, and the mark that one of them is answered.
    expect(entriesOf(bench)).toBe(3)
    w?.complete()
    await life.caughtUp()
    await life.close()
    // The newest row stays as the mark of how far the partition was taken in.
    expect(entriesOf(bench)).toBe(1)
    expect(bench.texts('out')).toHaveLength(4)
  })
})

describe('the row of a session', () => {
  test('is written once, however large: an answer adds a mark beside it', async () => {
    const large = '7'.repeat(100_000)
    const { bench, life, sessions } = await running(
      {},
      records(`v=1${large}`, `v=2${large}`, 'v=3!'),
    )
    sessions.last.answer(`1${large}`)
    await bench.pass(150)
    sessions.last.answer(`2${large}`)
    await bench.pass(150)
    life.kill()
    const again = new HandSessions()
    const next = await bench.start(enriched(again))
    expect(again.last.values).toHaveLength(3)
    again.last.complete()
    await next.caughtUp()
    await next.close()
    expect(bench.texts('out')).toEqual([`v=1${large}`, `v=2${large}`, 'v=3!'])
    const changes = bench.records('app-watch-pending-changelog')
    expect(changes.filter(({ value }) => (value?.length ?? 0) > large.length)).toHaveLength(2)
    expect(entriesOf(bench)).toBe(1)
  })
})

describe('a session that fails', () => {
  test('is opened again and begins with the first record; answers that were given are not repeated', async () => {
    const { bench, life, sessions } = await running({ backoffMs: 10 }, records('v=1', 'v=2', 'v=3'))
    const first = sessions.last
    first.answer('1')
    await bench.pass(150)
    expect(bench.texts('out')).toEqual(['v=1'])
    first.pushed[2]?.fail(new Error('the stream broke'))
    await bench.produce('in', records('v=4!'))
    await bench.pass(20)
    const second = sessions.last
    expect(first.aborted).toBeDefined()
    expect(second.attempt).toBe(2)
    expect(second.values).toEqual(['1', '2', '3', '4!'])
    // What the given-up session still says is not its successor's answer.
    first.answer('2', 'late')
    await bench.pass(150)
    expect(bench.texts('out')).toEqual(['v=1'])
    second.complete()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['v=1', 'v=2', 'v=3', 'v=4!'])
    await life.close()
  })

  test('because its process was killed is replayed from its rows in the next one', async () => {
    const { bench, life, sessions } = await running({}, records('v=1', 'v=2', 'w=1'))
    sessions.all[0]?.answer('1')
    await bench.pass(150)
    life.kill()
    const again = new HandSessions()
    const next = await bench.start(enriched(again))
    await bench.produce('in', records('v=3!', 'w=2!'))
    await bench.pass(50)
    expect(again.all.map(({ values }) => values)).toEqual([
      ['1', '2', '3!'],
      ['1', '2!'],
    ])
    for (const session of again.all) session.complete()
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['v=1', 'v=2', 'v=3!', 'w=1', 'w=2!'])
    await next.close()
  })

  test('to answer every record before it ends is tried again, and then the policy decides', async () => {
    const { bench, life, sessions } = await running(
      { attempts: 2, backoffMs: 1, onFailure: 'skip' },
      records('v=1', 'v=2!'),
    )
    for (let i = 0; i < 2; i += 1) {
      sessions.last.finish()
      await bench.pass(20)
    }
    await life.caughtUp()
    expect(sessions.all).toHaveLength(2)
    expect(life.count('failed')).toBe(2)
    expect(bench.texts('out')).toEqual([])
    await life.close()
    expect(entriesOf(bench)).toBe(1)
  })

  test('because it gives no answer for too long is given up, but not while answers come', async () => {
    const { bench, life, sessions } = await running(
      { attemptDeadlineMs: 1000, backoffMs: 1 },
      records('v=1', 'v=2', 'v=3', 'v=4!'),
    )
    for (const value of ['1', '2', '3']) {
      await bench.pass(800)
      sessions.last.answer(value)
    }
    await bench.pass(900)
    expect(sessions.all).toHaveLength(1)
    await bench.pass(200)
    expect(sessions.all).toHaveLength(2)
    sessions.last.complete()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['v=1', 'v=2', 'v=3', 'v=4!'])
    await life.close()
  })

  test('for good gives its policy to each record that waits and each that comes, in order', async () => {
    const { bench, life, sessions } = await running(
      { onFailure: 'dead-letter' },
      records('v=1', 'v=2', 'w=1'),
      new HandSessions({ classify: () => 'reject' }),
    )
    sessions.all[0]?.answer('1')
    await bench.pass(150)
    sessions.all[0]?.pushed[1]?.fail(new Error('this is no video'))
    await bench.produce('in', records('v=3', 'v=4!', 'v=new', 'v=new!'))
    await bench.pass(150)
    expect(bench.texts('dead')).toEqual(['v=2', 'v=3', 'v=4!'])
    // What comes after the last record is a new session.
    expect(sessions.last.values).toEqual(['new', 'new!'])
    sessions.last.complete()
    await bench.pass(150)
    expect(bench.texts('out')).toEqual(['v=1', 'v=NEW', 'v=NEW!'])
    await life.close()
  })

  test('for good stops the app by default, and the next start tries it again from the first record', async () => {
    const { bench, life, sessions } = await running(
      {},
      records('v=1', 'v=2!'),
      new HandSessions({ classify: () => 'reject' }),
    )
    sessions.last.pushed[0]?.fail(new Error('no'))
    expect(await life.failure()).toMatchObject({ code: 'MILLRACE_ENRICH_FAILED' })
    const again = new HandSessions()
    const next = await bench.start(enriched(again))
    again.last.complete()
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['v=1', 'v=2!'])
    await next.close()
  })
})

describe('a lane without a session', () => {
  test('gets its turn when a session ends, while intake goes on', async () => {
    const { bench, life, sessions } = await running(
      { sessions: 1 },
      records('v=1', 'w=1!', 'v=2', 'v=3!'),
    )
    expect(sessions.keys).toHaveLength(1)
    expect(await bench.committed('app', 'in')).toBe(4)
    sessions.last.complete()
    await bench.pass(10)
    expect(sessions.last.values).toEqual(['1!'])
    sessions.last.complete()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['v=1', 'v=2', 'v=3!', 'w=1!'])
    await life.close()
  })

  test('gets the place of a session that has nothing to do, once the partition is read to its end', async () => {
    const { bench, life, sessions } = await running({ sessions: 1 }, records('v=1', 'w=1!'))
    const [idle] = sessions.all
    idle?.answer('1')
    await bench.pass(1000)
    expect(idle?.aborted).toBeDefined()
    expect(sessions.last.values).toEqual(['1!'])
    sessions.last.complete()
    await bench.produce('in', records('v=2!'))
    await bench.pass(300)
    expect(sessions.last.values).toEqual(['1', '2!'])
    sessions.last.complete()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['v=1', 'w=1!', 'v=2!'])
    await life.close()
  })

  test('waits while the open session has answers on their way, but not for ever', async () => {
    const { bench, life, sessions } = await running({ sessions: 1 }, records('v=1', 'w=1!'))
    await bench.pass(3000)
    expect(sessions.all).toHaveLength(1)
    await bench.pass(3000)
    expect(sessions.last.values).toEqual(['1!'])
    sessions.last.complete()
    await bench.pass(300)
    await life.close()
  })

  test('does not take the place of an idle session while the partition has more to read', async () => {
    const clock = new SimulatedClock(1)
    const pass = async (ms: number): Promise<void> => {
      let isOver = false
      clock.timer(ms, () => void (isOver = true))
      await clock.runUntil(() => isOver, ms)
    }
    let isCaughtUp = false
    const sessions = new HandSessions()
    const driver = new SessionDriver({
      enricher: sessions.enricher,
      limits: { calls: new Slots(1), sessions: new Slots(1), bytes: new ByteBudget(1) },
      retry: RETRY,
      release: 'input-order',
      clock,
      caughtUp: () => isCaughtUp,
      task: taskOf(['a', 'b']),
    })
    const lanes = ['v', 'w'].map((key, arrival) => {
      const lane = new Lane(key)
      lane.add({ arrival, timestamp: 0, answered: false })
      driver.wake(lane)
      return lane
    })
    await pass(10)
    sessions.last.answer('a')
    await pass(60_000)
    expect(sessions.keys).toEqual(['v'])
    isCaughtUp = true
    await pass(300)
    expect(sessions.keys).toEqual(['v', 'w'])
    expect(lanes[0]?.phase).toBe('parked')
  })
})

const RETRY = {
  attempts: 1,
  attemptDeadlineMs: 1000,
  totalDeadlineMs: 1000,
  backoffMs: 1,
  maxBackoffMs: 1,
}

/** A task whose rows have these values, by arrival. */
function taskOf(values: readonly string[]): DriverTask<string, string, string> {
  const load = async ({ arrival }: LaneEntry) => ({
    record: new StreamRecord('key', values[arrival] ?? '', 0, NO_HEADERS),
    raw: Buffer.alloc(0),
    idempotencyKey: String(arrival),
  })
  return {
    signal: new AbortController().signal,
    load,
    loadUnreadable: async () => ({
      record: new StreamRecord('key', null, 0, NO_HEADERS),
      raw: null,
    }),
    sizeOf: async () => 1,
    settle: () => {},
    fail: (error) => expect.fail(error.message),
    count: () => {},
    retrying: () => {},
  }
}
