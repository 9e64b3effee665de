import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { TaskIdling } from '../../runtime/task-idling.ts'
import { handClock } from '../../testing/hand-clock.ts'
import { topology } from '../../topology/builder.ts'
import { MemoryBench } from './memory-bench.ts'

const merged = () =>
  topology('app', ({ stream }) => {
    const left = stream('left', { key: text, value: text })
    left.merge(stream('right', { key: text, value: text })).to('out')
  })

const record = (side: string, timestamp: number) => ({
  key: side,
  value: `${timestamp}`,
  timestamp,
})

describe('waiting for an empty input', () => {
  test.each([
    { maxIdleMs: -1, lag: 7, passes: true },
    { maxIdleMs: -1, lag: undefined, passes: true },
    { maxIdleMs: 0, lag: 7, passes: false },
    { maxIdleMs: 0, lag: undefined, passes: false },
    { maxIdleMs: 0, lag: 0, passes: true },
    { maxIdleMs: 50, lag: 0, passes: false },
    { maxIdleMs: 50, lag: undefined, passes: false },
  ])('with $maxIdleMs ms and $lag records to come: $passes', ({ maxIdleMs, lag, passes }) => {
    expect(new TaskIdling(handClock(), maxIdleMs).mayPass({ lag })).toBe(passes)
  })

  test('is over when the time is, and begins anew after a record or news of one', async () => {
    const clock = handClock()
    const idling = new TaskIdling(clock, 50)
    const input: { lag: number } = { lag: 0 }
    expect(idling.mayPass(input)).toBe(false)
    expect(idling.remainingMs).toBe(50)
    await clock.advance(49)
    expect(idling.mayPass(input)).toBe(false)
    await clock.advance(1)
    expect(idling.mayPass(input)).toBe(true)
    expect(idling.remainingMs).toBe(Infinity)
    idling.filled(input)
    expect(idling.mayPass(input)).toBe(false)
    await clock.advance(50)
    input.lag = 1
    expect(idling.mayPass(input)).toBe(false)
    input.lag = 0
    expect(idling.mayPass(input)).toBe(false)
    expect(idling.remainingMs).toBe(50)
    idling.clear()
    expect(idling.remainingMs).toBe(Infinity)
  })
})

describe('a task with two inputs', () => {
  test('waits so long for a record that is yet to come, and no longer', async () => {
    const bench = await MemoryBench.with(['left', 'right', 'out'])
    const life = await bench.start(merged(), { limits: { maxTaskIdleMs: 5_000 } })
    await bench.produce('left', [record('l', 20)])
    await bench.pass(2_000)
    expect(bench.texts('out')).toEqual([])
    await bench.produce('right', [record('r', 10)])
    await bench.pass(1_000)
    expect(bench.texts('out')).toEqual(['r=10'])
    await bench.pass(3_000)
    expect(bench.texts('out')).toEqual(['r=10'])
    await bench.pass(2_000)
    expect(bench.texts('out')).toEqual(['r=10', 'l=20'])
    await life.close()
  })

  test('takes what it has at once where waiting is switched off', async () => {
    const bench = new MemoryBench({
      decide: ({ kind, at }) =>
        kind === 'fetch' && at?.topic === 'right' ? { requestDelayMs: 5_000 } : undefined,
    })
    await bench.createTopics(['left', 'right', 'out'])
    await bench.produce('left', [record('l', 20)])
    await bench.produce('right', [record('r', 10)])
    const life = await bench.start(merged(), { limits: { maxTaskIdleMs: -1 } })
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['l=20', 'r=10'])
    await life.close()
  })

  test('is caught up only when it has waited', async () => {
    const bench = await MemoryBench.with(['left', 'right', 'out'])
    await bench.produce('left', [record('l', 20)])
    const life = await bench.start(merged(), { limits: { maxTaskIdleMs: 700 } })
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['l=20'])
    await life.close()
  })
})
