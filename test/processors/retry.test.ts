import { describe, expect, test } from 'vitest'
import { classifyFailure } from '../../processors/classify-failure.ts'
import { MillraceError } from '../../model/errors.ts'
import { backoffMs, withDeadline, type RetryLimits } from '../../processors/retry.ts'
import { SerdeError } from '../../serdes/errors.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { TransportError } from '../../transport/errors.ts'

const limits: RetryLimits = {
  attempts: 10,
  attemptDeadlineMs: 1,
  totalDeadlineMs: 1,
  backoffMs: 100,
  maxBackoffMs: 1000,
}
const never = new AbortController().signal

/** Lets so much virtual time pass. */
async function pass(clock: SimulatedClock, ms: number): Promise<void> {
  let isOver = false
  clock.timer(ms, () => void (isOver = true))
  await clock.runUntil(() => isOver, ms)
}

describe('a back-off', () => {
  test.each([
    [1, 100],
    [2, 200],
    [4, 800],
    [5, 1000],
    [1000, 1000],
  ])('after attempt %i is drawn between 0 and %i ms', (attempt, longest) => {
    const clock = new SimulatedClock(3)
    const drawn = Array.from({ length: 500 }, () => backoffMs(attempt, limits, clock))
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
    expect(Math.min(...drawn)).toBeLessThan(longest * 0.1)
    expect(Math.max(...drawn)).toBeLessThan(longest)
    expect(Math.max(...drawn)).toBeGreaterThan(longest * 0.9)
  })
})

describe('a deadline', () => {
  test('ends what does not heed the signal', async () => {
    const clock = new SimulatedClock(1)
    let given: AbortSignal | undefined
    const work = withDeadline(
      (signal) => {
        given = signal
        return new Promise<void>(() => {})
      },
      { deadlineMs: 50, what: 'the call', clock },
      never,
    )
    const ended = expect(work).rejects.toMatchObject({ code: 'MILLRACE_ENRICH_DEADLINE' })
    await pass(clock, 49)
    expect(given?.aborted).toBe(false)
    await pass(clock, 2)
    await ended
    expect(given?.aborted).toBe(true)
  })

  test('counts from the last progress where there is any', async () => {
    const clock = new SimulatedClock(1)
    let progressMs = 0
    const work = withDeadline(
      () => new Promise<void>(() => {}),
      { deadlineMs: 50, what: 'the session', clock, progressMs: () => progressMs },
      never,
    )
    let isOver = false
    work.catch(() => void (isOver = true))
    for (let i = 0; i < 5; i += 1) {
      await pass(clock, 40)
      progressMs = clock.monotonic()
    }
    expect(isOver).toBe(false)
    await pass(clock, 51)
    expect(isOver).toBe(true)
  })

  test('leaves no timer and no listener behind', async () => {
    const clock = new SimulatedClock(1)
    const controller = new AbortController()
    expect(
      await withDeadline(
        async () => 'done',
        { deadlineMs: 5, what: 'it', clock },
        controller.signal,
      ),
    ).toBe('done')
    await expect(clock.runUntil(() => false, 100)).rejects.toThrow('no timer is left')
  })

  test('is over at once when the outer signal aborts', async () => {
    const clock = new SimulatedClock(1)
    const controller = new AbortController()
    const work = withDeadline(
      () => new Promise<void>(() => {}),
      { deadlineMs: 50, what: 'it', clock },
      controller.signal,
    )
    controller.abort(new Error('enough'))
    await expect(work).rejects.toThrow('enough')
  })
})

describe('a failure', () => {
  const stop = () => 'stop' as const
  test.each([
    ['an error of the author', new Error('x'), undefined, 'retry'],
    ['an error that the author sorts', new Error('x'), stop, 'stop'],
    [
      'an error with the remedy retry',
      new MillraceError('MILLRACE_X', '', { remedy: 'retry' }),
      undefined,
      'retry',
    ],
    [
      'an error with the remedy skip',
      new MillraceError('MILLRACE_X', '', { remedy: 'skip' }),
      undefined,
      'reject',
    ],
    ['an error with the remedy stop', new MillraceError('MILLRACE_X', ''), undefined, 'stop'],
    ['a reference that is gone', new MillraceError('MILLRACE_REFERENCE_GONE', ''), stop, 'reject'],
    ['bytes that cannot be read', new SerdeError('MILLRACE_DESERIALIZATION', ''), stop, 'reject'],
    ['an unknown schema', new SerdeError('MILLRACE_UNKNOWN_SCHEMA', ''), stop, 'reject'],
    ['a deadline', new MillraceError('MILLRACE_ENRICH_DEADLINE', ''), stop, 'retry'],
    [
      'a log that does not answer',
      new TransportError('MILLRACE_X', 'retriable', { message: '' }),
      stop,
      'retry',
    ],
    [
      'a log that is closed',
      new TransportError('MILLRACE_X', 'fatal', { message: '' }),
      undefined,
      'stop',
    ],
  ] as const)('that is %s is sorted', (_name, error, classify, expected) => {
    expect(classifyFailure(error, classify)).toBe(expected)
  })
})
