/** What a process that is taken for dead does outside transactions: nothing, before anybody tells it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import type { Operation } from '../../transport/memory/faults.ts'
import { emptyProgress, runRound, type CommitRound } from '../../runtime/commit.ts'
import { Lease, whileHeld } from '../../runtime/lease.ts'
import { counting } from './counting.ts'
import { MemoryBench, type Life } from './memory-bench.ts'

const SESSION_MS = 6_000
const LOST = expect.objectContaining({ code: 'MILLRACE_GROUP_LOST', remedy: 'retry' })

describe('a lease', () => {
  const share = { active: [], aliveUntilMs: SESSION_MS }
  let clock: SimulatedClock
  let ends: Error[]
  let lease: Lease

  beforeEach(() => {
    share.aliveUntilMs = SESSION_MS
    clock = new SimulatedClock(1)
    ends = []
    lease = new Lease({ application: 'app', share, clock, onOver: (error) => ends.push(error) })
  })

  afterEach(() => lease[Symbol.dispose]())

  const passTo = async (ms: number): Promise<void> => {
    let isThere = false
    clock.timer(ms - clock.monotonic(), () => (isThere = true))
    await clock.runUntil(() => isThere, ms + 1)
  }

  test('ends once, when its time is over, and holds until then', async () => {
    lease.watch()
    await passTo(SESSION_MS - 1)
    lease.assertHeld()
    await passTo(3 * SESSION_MS)
    expect(ends).toEqual([LOST])
    share.aliveUntilMs = Infinity
    expect(() => lease.assertHeld()).toThrow(LOST)
  })

  test('goes on with each sign of life', async () => {
    lease.watch()
    for (const part of [1, 2, 3, 4]) {
      await passTo((part * SESSION_MS) / 2)
      share.aliveUntilMs = clock.monotonic() + SESSION_MS
      lease.assertHeld()
    }
    expect(ends).toEqual([])
  })

  test('is not watched while members join, and is asked for all the same', async () => {
    lease.watch()
    lease.rest()
    await passTo(2 * SESSION_MS)
    expect(ends).toEqual([])
    expect(() => lease.assertHeld()).toThrow(LOST)
    share.aliveUntilMs = 3 * SESSION_MS
    lease.watch()
    lease.assertHeld()
    await passTo(4 * SESSION_MS)
    expect(ends).toHaveLength(1)
  })

  test('is asked for before each step of a round: a process that stood still has missed its timer', async () => {
    const taken: string[] = []
    const step = (name: string, run: () => void = () => {}) => ({
      name,
      run: () => {
        taken.push(name)
        run()
      },
    })
    const late = (): void => {
      share.aliveUntilMs = clock.monotonic()
    }
    const steps = whileHeld([step('first', late), step('second')], lease)
    const round = { progress: emptyProgress() } as CommitRound
    await expect(runRound(steps, round)).rejects.toThrow(LOST)
    expect(taken).toEqual(['first'])
  })
})

describe('a process of a group under at-least-once', () => {
  /** The process whose records and signs of life do not reach the log, and topics of the records that it tried to send. */
  let cutOff: string | undefined
  let refused: string[]
  let bench: MemoryBench

  const options = {
    guarantee: 'at-least-once',
    assignment: { kind: 'group' },
    limits: {
      sessionTimeoutMs: SESSION_MS,
      heartbeatIntervalMs: 500,
      rebalanceTimeoutMs: 8_000,
      commitIntervalMs: 100,
    },
  } as const

  beforeEach(async () => {
    cutOff = undefined
    refused = []
    const decide = ({ connection, kind, at }: Operation) => {
      const isCut = kind === 'produce' || kind === 'heartbeat' || kind === 'joinGroup'
      if (connection !== cutOff || !isCut) return undefined
      if (kind === 'produce') refused.push(String(at?.topic))
      return { outcome: 'refused' } as const
    }
    bench = new MemoryBench({ decide })
    await bench.createTopics(['in', 'out'])
  })

  const started = async (machine: string): Promise<Life> => {
    const life = bench.life(counting, { ...options, machine })
    await bench.settle(life.app.start())
    return life
  }

  const feed = async (): Promise<void> => await bench.produce('in', [{ key: 'k', value: 'x' }])

  /** A process that is cut off with a record counted and not committed. */
  const cutOffAtWork = async (): Promise<Life> => {
    const life = await started('a')
    await feed()
    await life.caughtUp()
    await feed()
    await bench.until(() => bench.texts('out').includes('k=2'))
    cutOff = 'life-1'
    return life
  }

  test('tries no longer to log what it counted once a session has passed in silence', async () => {
    const zombie = await cutOffAtWork()
    await bench.pass(SESSION_MS - 1_000)
    expect(refused).toContain('app-counts-changelog')
    const tries = refused.length
    await bench.pass(1_500)
    expect(refused.length).toBeGreaterThan(tries)
    const lateTries = refused.length
    await bench.pass(10_000)
    expect(refused).toHaveLength(lateTries)
    const codes = zombie.events.flatMap((event) =>
      event.kind === 'restarting' ? [(event.error as { code?: string }).code] : [],
    )
    expect(codes).toContain('MILLRACE_GROUP_LOST')
    cutOff = undefined
    await feed()
    await zombie.caughtUp()
    expect(bench.texts('out').at(-1)).toBe('k=3')
    await zombie.close()
  })

  test('leaves the state of its heir alone when it comes back', async () => {
    const zombie = await cutOffAtWork()
    const heir = bench.life(counting, { ...options, machine: 'b' })
    const start = heir.app.start()
    await bench.pass(2 * SESSION_MS)
    await bench.settle(start)
    await feed()
    await heir.caughtUp()
    expect(bench.texts('out').at(-1)).toBe('k=3')
    cutOff = undefined
    await bench.pass(2 * SESSION_MS)
    expect(bench.texts('app-counts-changelog')).toHaveLength(3)
    await zombie.close()
    await heir.close()
  })
})
