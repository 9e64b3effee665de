/** What calls of an enrich step may hold in memory together. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { NO_HEADERS, StreamRecord } from '../../model/record.ts'
import { CallDriver } from '../../processors/enrich-calls.ts'
import { Lane, type LaneEntry } from '../../processors/enrich-lanes.ts'
import { ByteBudget, Slots } from '../../processors/enrich-limits.ts'
import { handClock } from '../../testing/hand-clock.ts'

const RETRY = {
  attempts: 1,
  attemptDeadlineMs: 1_000,
  totalDeadlineMs: 100_000,
  backoffMs: 1_000,
  maxBackoffMs: 1_000,
}

/** A driver over rows of `sizeBytes`, and what it does: nothing is called back before a test does so. */
function driven(options: {
  readonly sizeBytes: readonly number[]
  readonly budgetBytes: number
  readonly calls?: number
  readonly attempts?: number
  readonly failsToLoad?: boolean
}) {
  const { sizeBytes, budgetBytes, calls = 16, attempts = 1, failsToLoad = false } = options
  const clock = handClock()
  const limits = {
    calls: new Slots(calls),
    sessions: new Slots(1),
    bytes: new ByteBudget(budgetBytes),
  }
  const seen = {
    clock,
    limits,
    /** Arrivals in the order they were read. */
    loads: [] as number[],
    calls: [] as { readonly arrival: number; answer(): void; fail(): void }[],
    settled: [] as string[],
    /** The record loop takes an outcome over. */
    taken: [] as (() => void)[],
    failures: [] as Error[],
    values: [] as WeakRef<Buffer>[],
    stop: new AbortController(),
  }
  const load = async ({ arrival }: LaneEntry) => {
    seen.loads.push(arrival)
    if (failsToLoad) throw new Error('gone')
    const raw = Buffer.alloc(1)
    seen.values.push(new WeakRef(raw))
    const record = new StreamRecord(String(arrival), raw, 0, NO_HEADERS)
    return { record, raw, idempotencyKey: String(arrival) }
  }
  const driver = new CallDriver<string, Buffer, string>({
    enricher: {
      kind: 'function',
      call: async (record) => {
        const { promise, resolve, reject } = Promise.withResolvers<string>()
        seen.calls.push({
          arrival: Number(record.key),
          answer: () => resolve('done'),
          fail: () => reject(new Error('busy')),
        })
        return await promise
      },
    },
    limits,
    retry: { ...RETRY, attempts },
    clock,
    task: {
      signal: seen.stop.signal,
      load,
      loadUnreadable: async ({ arrival }) => ({
        record: new StreamRecord(String(arrival), null, 0, NO_HEADERS),
        raw: null,
      }),
      sizeOf: async ({ arrival }) => sizeBytes[arrival] ?? 0,
      settle(lane, { arrival }, outcome) {
        lane.entries.shift()
        seen.settled.push(`${arrival}: ${outcome.kind}`)
        seen.taken.push(() => outcome.onTaken?.())
      },
      fail: (error) => void seen.failures.push(error),
      count: () => {},
      retrying: () => {},
    },
  })
  for (const arrival of sizeBytes.keys()) {
    const lane = new Lane(`lane-${arrival}`)
    lane.add({ arrival, timestamp: 0, answered: false })
    driver.wake(lane)
  }
  return seen
}

test('no record is read before its bytes have room', async () => {
  const seen = driven({ sizeBytes: Array.from({ length: 20 }, () => 30), budgetBytes: 100 })
  await nextTurn()
  expect(seen.loads).toEqual([0, 1, 2])
  expect(seen.limits.bytes.takenBytes).toBe(90)
  seen.calls[1]?.answer()
  await nextTurn()
  // The result is there, but nobody has taken it yet.
  expect(seen.settled).toEqual(['1: result'])
  expect(seen.loads).toHaveLength(3)
  seen.taken[0]?.()
  await nextTurn()
  expect(seen.loads).toEqual([0, 1, 2, 3])
})

test('a record larger than all bytes is read alone, in its turn', async () => {
  const seen = driven({ sizeBytes: [30, 500, 30], budgetBytes: 100 })
  for (const expected of [[0], [0, 1], [0, 1, 2]]) {
    await nextTurn()
    expect(seen.loads).toEqual(expected)
    seen.calls.at(-1)?.answer()
    await nextTurn()
    seen.taken.at(-1)?.()
  }
  expect(seen.settled).toEqual(['0: result', '1: result', '2: result'])
  expect(seen.limits.bytes.takenBytes).toBe(0)
})

test('records of an outage wait without bytes, place or value, however many they are', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const many = 300
  const seen = driven({
    sizeBytes: Array.from({ length: many }, () => 30),
    budgetBytes: 100,
    calls: 2,
    attempts: 2,
  })
  for (let done = 0; done < many;) {
    await nextTurn()
    expect(seen.limits.bytes.takenBytes).toBeLessThanOrEqual(100)
    for (; done < seen.calls.length; done += 1) seen.calls[done]?.fail()
  }
  await nextTurn()
  expect(seen.limits.bytes.takenBytes).toBe(0)
  expect(seen.limits.calls.isContended).toBe(false)
  expect(seen.settled).toEqual([])
  seen.calls.splice(0)
  collect()
  expect(seen.values.filter((value) => value.deref() !== undefined)).toHaveLength(0)
  seen.stop.abort(new Error('over'))
  await nextTurn()
  expect(seen.failures).toEqual([])
})

test('a record that failed for good keeps its bytes until the record loop has taken it over', async () => {
  const seen = driven({ sizeBytes: [60, 60], budgetBytes: 100 })
  await nextTurn()
  seen.calls[0]?.fail()
  await nextTurn()
  expect(seen.settled).toEqual(['0: failed'])
  expect(seen.loads).toEqual([0])
  seen.taken[0]?.()
  await nextTurn()
  expect(seen.loads).toEqual([0, 1])
})

test('records that cannot be read give their bytes back', async () => {
  const seen = driven({ sizeBytes: [60, 60, 60], budgetBytes: 100, failsToLoad: true })
  for (const settled of [1, 2, 3]) {
    await nextTurn()
    expect(seen.settled).toHaveLength(settled)
    seen.taken.at(-1)?.()
  }
  expect(seen.limits.bytes.takenBytes).toBe(0)
})

test('bytes are given back with the end of the task, whoever holds them', async () => {
  const seen = driven({ sizeBytes: [60, 30, 60], budgetBytes: 100 })
  await nextTurn()
  seen.calls[0]?.answer()
  await nextTurn()
  expect(seen.limits.bytes.takenBytes).toBe(90)
  seen.stop.abort(new Error('over'))
  await nextTurn()
  expect(seen.limits.bytes.takenBytes).toBe(0)
  seen.taken[0]?.()
  expect(seen.limits.bytes.takenBytes).toBe(0)
})
