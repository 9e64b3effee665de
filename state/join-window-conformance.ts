/** What every store of a windowed join must do, as tests that any implementation can run. */
import assert from 'node:assert/strict'
import type { RegisterTest } from './conformance.ts'
import type { JoinWindowStore } from './store.ts'
import {
  everywhere,
  keyHex,
  logged,
  values,
  type Case,
  type TimedStoreHarness,
} from './timed-conformance.ts'

type Texts = JoinWindowStore<string, string>

/** Runs the suite of JoinWindowStore, declared with CONFORMANCE_TIMES. */
export function joinWindowStoreConformance(
  harness: TimedStoreHarness<Texts>,
  test: RegisterTest,
): void {
  const run = everywhere(harness, test)
  readCases(run)
  writeCases(run)
  test("logs every row once, as Java's, and forgets at an abort", async () => {
    await using opened = await harness.open()
    const { store, state } = opened
    store.put('a', '1', 4)
    store.put('a', '2', 4)
    assert.deepEqual(logged(state), [
      [keyHex('a', [4], 1), '1', 4],
      [keyHex('a', [4], 2), '2', 4],
    ])
    state.commit(new Map())
    store.put('a', '3', 3)
    assert.deepEqual(logged(state), [[keyHex('a', [3], 3), '3', 3]])
    state.abort()
    assert.deepEqual(values(store.fetch('a', 0, 9)), ['1', '2'])
  })
}

function readCases(run: Case<Texts>): void {
  run('gives a range by timestamp, both bounds included, equal ones as they were put', {
    fill,
    check: async ({ store }) => {
      assert.deepEqual(store.fetch('a', 9, 20), [
        { value: 'of 9', timestamp: 9 },
        { value: 'first of 10', timestamp: 10 },
        { value: 'second of 10', timestamp: 10 },
        { value: 'late of 20', timestamp: 20 },
      ])
      assert.deepEqual(values(store.fetch('a', 10, 19)), ['first of 10', 'second of 10'])
      assert.deepEqual(values(store.fetch('a', 21, 1_000)), ['of 90'])
      assert.deepEqual(store.fetch('a', 0, 8), [])
      assert.deepEqual(store.fetch('b', 0, 1_000), [])
    },
  })
  run('keeps equal rows, in the order they were put, through later commits', {
    fill,
    check: async ({ store, settle }) => {
      store.put('a', 'second of 10', 10)
      await settle()
      store.put('a', 'fourth of 10', 10)
      const found = ['first of 10', 'second of 10', 'second of 10', 'fourth of 10']
      assert.deepEqual(values(store.fetch('a', 10, 10)), found)
    },
  })
}

function writeCases(run: Case<Texts>): void {
  run('keeps a row until the retention has passed, to the millisecond', {
    fill,
    check: async ({ store }) => {
      store.put('b', 'later', 109)
      assert.deepEqual(values(store.fetch('a', 0, 10)), ['first of 10', 'second of 10'])
      assert.equal(store.put('a', 'late', 9), false)
      store.put('b', 'later', 110)
      assert.deepEqual(store.fetch('a', 0, 10), [])
      assert.equal(store.observedMs, 110)
    },
  })
  run('keeps any number of rows and bytes under one key and time', {
    fill: (store) => {
      for (let n = 0; n < 700; n++) store.put('a', String(n), n % 2)
      store.put('a', 'x'.repeat(100_000), 0)
      store.put('a', 'small', 0)
    },
    check: async ({ store, settle }) => {
      await settle()
      store.put('a', 'last', 0)
      const rows = store.fetch('a', 0, 0)
      const even = Array.from({ length: 350 }, (_, n) => String(2 * n))
      assert.deepEqual(values(rows), [...even, 'x'.repeat(100_000), 'small', 'last'])
      assert.equal(store.fetch('a', 0, 1).length, 703)
    },
  })
}

function fill(store: Texts): void {
  store.put('a', 'late of 20', 20)
  store.put('a', 'first of 10', 10)
  store.put('ab', 'of another key', 10)
  store.put('a', 'of 9', 9)
  store.put('a', 'second of 10', 10)
  store.put('a', 'of 90', 90)
}
