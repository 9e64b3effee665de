/** What calls of an enrich step may hold in memory together. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { NO_HEADERS, StreamRecord } from '../../model/record.ts'
import { CallDriver } from '../../processors/enrich-calls.ts'
import { Lane } from '../../processors/enrich-lanes.ts'
import { ByteBudget, Slots } from '../../processors/enrich-limits.ts'
import { handClock } from '../../testing/hand-clock.ts'

const RETRY = {
  attempts: 1,
  attemptDeadlineMs: 1_000,
  totalDeadlineMs: 1_000,
  backoffMs: 1,
  maxBackoffMs: 1,
}

test('bytes that calls fetch count against the bytes in flight, until the result is taken', async () => {
  const calls: (() => void)[] = []
  const settled: string[] = []
  const taken: (() => void)[] = []
  const driver = new CallDriver<string, number, string>({
    enricher: {
      kind: 'function',
      call: async () => {
        const { promise, resolve } = Promise.withResolvers<string>()
        calls.push(() => resolve('done'))
        return await promise
      },
    },
    fetchedBytes: (value) => value,
    limits: { calls: new Slots(16), sessions: new Slots(1), bytes: new ByteBudget(100) },
    retry: RETRY,
    clock: handClock(),
    task: {
      signal: new AbortController().signal,
      load: async ({ arrival }) => ({
        record: new StreamRecord(`key-${arrival}`, 60, 0, NO_HEADERS),
        raw: Buffer.alloc(1),
        idempotencyKey: String(arrival),
      }),
      loadUnreadable: async () => ({
        record: new StreamRecord('', null, 0, NO_HEADERS),
        raw: null,
      }),
      sizeOf: async () => 1,
      settle(lane, { arrival }, outcome) {
        lane.entries.shift()
        settled.push(`${lane.key}: ${arrival}`)
        if (outcome.kind === 'result') taken.push(() => outcome.onTaken?.())
      },
      fail(error) {
        throw error
      },
      count: () => {},
      retrying: () => {},
    },
  })
  for (const arrival of [1, 2]) {
    const lane = new Lane(`lane-${arrival}`)
    lane.add({ arrival, timestamp: 0, answered: false })
    driver.wake(lane)
  }
  await nextTurn()
  expect(calls.length).toBe(1)
  calls[0]?.()
  await nextTurn()
  // The result is there, but nobody has taken it yet.
  expect(settled).toEqual(['lane-1: 1'])
  expect(calls.length).toBe(1)
  taken[0]?.()
  await nextTurn()
  expect(calls.length).toBe(2)
  calls[1]?.()
  await nextTurn()
  expect(settled).toEqual(['lane-1: 1', 'lane-2: 2'])
})
