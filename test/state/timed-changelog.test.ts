import { describe, expect, test } from 'vitest'
import { asOffset } from '../../model/position.ts'
import { changelogConfig } from '../../state/changelog.ts'
import { joinWindowStore } from '../../state/join-window-store.ts'
import { TaskState } from '../../state/layers.ts'
import { memoryDatabase } from '../../state/memory-database.ts'
import { restoreStores } from '../../state/restore.ts'
import { windowStore } from '../../state/window-store.ts'
import { handClock, textSerde } from './fixtures.ts'
import { TestLog } from './log-reader.ts'

const PREFIX = Buffer.of(0, 0, 0, 0, 7)
const TIMES = { retentionMs: 100, sizeMs: 10, windowMs: 20 }
const KINDS = ['window', 'join-window', 'session'] as const
const clock = handClock()

function stateOf(kind: (typeof KINDS)[number], times = TIMES): TaskState {
  const stores = [{ name: 's', kind, persistent: true, logged: true, ...times }]
  return new TaskState({
    stores,
    database: memoryDatabase(),
    volatileDatabase: memoryDatabase(),
    clock,
  })
}

async function restore(state: TaskState, log: TestLog): Promise<void> {
  const source = {
    ...log.at,
    state,
    store: 's',
    topicId: 'id',
    end: asOffset(log.slots.length),
    earliest: () => Promise.resolve(asOffset(log.earliest)),
    keyPrefixLength: PREFIX.length,
  }
  await restoreStores([source], { reader: log, clock })
}

/** The prefix, a key, and numbers of 8 bytes, then one of 4 where it is given. */
function keyOf(longs: readonly bigint[], int?: number): Buffer {
  const numbers = longs.map((n) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(n)
    return bytes
  })
  const tail = Buffer.alloc(int === undefined ? 0 : 4)
  if (int !== undefined) tail.writeInt32BE(int)
  return Buffer.concat([PREFIX, Buffer.from('a'), ...numbers, tail])
}

describe('the changelog of a store with times', () => {
  test('is configured as Kafka Streams does it: rows of joins only expire, the others are compacted too', () => {
    const retentionMs = 600_000
    const policies = KINDS.map((kind) => changelogConfig(undefined, { kind, retentionMs }))
    expect(policies.map((config) => config['cleanup.policy'])).toEqual([
      'compact,delete',
      'delete',
      'compact,delete',
    ])
    for (const config of policies) {
      expect(config['retention.ms']).toBe(String(600_000 + 86_400_000))
      expect(config['message.timestamp.type']).toBe('CreateTime')
    }
  })
  test.each([
    ['window', 'too short for its times', PREFIX],
    ['window', 'with a start before 1970', keyOf([-1n], 0)],
    ['join-window', 'too short for its times', PREFIX],
    ['join-window', 'with a timestamp before 1970', keyOf([-1n], 1)],
    ['join-window', 'with a negative sequence', keyOf([5n], -1)],
    ['session', 'too short for its times', keyOf([], 0)],
    ['session', 'with its start behind its end', keyOf([5n, 6n])],
    ['session', 'with a time beyond a number', keyOf([2n ** 60n, 6n])],
  ] as const)('of kind %s refuses a key %s', async (kind, _, key) => {
    const log = new TestLog()
    log.slots.push({ key, value: Buffer.from('x'), timestamp: 1 })
    await expect(restore(stateOf(kind), log)).rejects.toMatchObject({
      code: 'MILLRACE_CHANGELOG_CORRUPT',
      place: 'app-s-changelog[0]@0',
    })
  })
  test('brings back rows of a join that another program counted, and goes on behind them', async () => {
    const log = new TestLog()
    // Kafka Streams counts through the whole store, and from zero again after a restart.
    const rows = [
      [20_000, 'first'],
      [20_001, 'second'],
      [3, 'third'],
    ] as const
    for (const [sequence, value] of rows)
      log.slots.push({ key: keyOf([7n], sequence), value: Buffer.from(value), timestamp: 7 })
    const state = stateOf('join-window')
    await restore(state, log)
    const serdes = { key: textSerde(PREFIX), value: textSerde() }
    const store = joinWindowStore<string, string>(state.store('s'), TIMES, serdes)
    store.put('a', 'last', 7)
    const values = store.fetch('a', 7, 7).map(({ value }) => value)
    expect(values.toSorted()).toEqual(['first', 'last', 'second', 'third'])
    expect(values.at(-1)).toBe('last')
  })
  test('brings back how far time had come for the step: to the latest record, whatever its key says', async () => {
    const log = new TestLog()
    for (const [startMs, timestamp] of [
      [10n, 17],
      [20n, 29],
      [0n, 12],
    ] as const) {
      log.slots.push({ key: keyOf([startMs], 0), value: Buffer.from('x'), timestamp })
    }
    const state = stateOf('window')
    await restore(state, log)
    const store = windowOf(state)
    expect(store.observedMs).toBe(20)
    expect(store.stepTime).toEqual({ observedMs: 29, reachedMs: -1 })
  })
})

test('a store keeps what its step says of its time, and forgets it with an abort', () => {
  const state = stateOf('window')
  const store = windowOf(state)
  expect(store.stepTime).toEqual({ observedMs: -1, reachedMs: -1 })
  store.keepStepTime({ observedMs: 9, reachedMs: 4 })
  expect([...state.seal()]).toEqual([])
  state.commit(new Map())
  store.keepStepTime({ observedMs: 12, reachedMs: 12 })
  expect(store.stepTime).toEqual({ observedMs: 12, reachedMs: 12 })
  state.abort()
  expect(store.stepTime).toEqual({ observedMs: 9, reachedMs: 4 })
  expect(store.observedMs).toBe(-1)
})

function windowOf(state: TaskState) {
  const serdes = { key: textSerde(PREFIX), value: textSerde() }
  return windowStore<string, string>(state.store('s'), TIMES, serdes)
}

test.each([
  ['a retention', 'window', { ...TIMES, retentionMs: 0 }],
  ['a retention', 'session', { ...TIMES, retentionMs: 0.5 }],
  ['the width of a join', 'join-window', { ...TIMES, windowMs: -1 }],
] as const)('%s that is no duration is a RangeError', (what, kind, times) => {
  expect(() => stateOf(kind, times)).toThrow(RangeError)
  expect(() => stateOf(kind, times)).toThrow(what)
})
