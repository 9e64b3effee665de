/** What every window store must do, as tests that any implementation can run. */
import assert from 'node:assert/strict'
import type { RegisterTest } from './conformance.ts'
import type { WindowStore } from './store.ts'
import {
  everywhere,
  keyHex,
  list,
  logged,
  type Case,
  type TimedStoreHarness,
} from './timed-conformance.ts'

type Texts = WindowStore<string, string>

/** Runs the suite of WindowStore, declared with CONFORMANCE_TIMES. */
export function windowStoreConformance(
  harness: TimedStoreHarness<Texts>,
  test: RegisterTest,
): void {
  const run = everywhere(harness, test)
  readCases(run)
  writeCases(run)
  test("logs records as Java's, and forgets at an abort", async () => {
    await using opened = await harness.open()
    const { store, state } = opened
    store.put('a', 0x1234, { value: '1', timestamp: 7 })
    store.put('a', 0x1234, { value: '2', timestamp: 8 })
    store.delete('b', 0x1235, 9)
    assert.deepEqual(logged(state), [
      [keyHex('a', [0x1234], 0), '2', 8],
      [keyHex('b', [0x1235], 0), null, 9],
    ])
    state.abort()
    assert.equal(store.observedMs, -1)
    assert.equal(store.fetch('a', 0x1234), undefined)
    assert.throws(() => store.put('a', -1, { value: '', timestamp: 0 }), RangeError)
  })
}

function readCases(run: Case<Texts>): void {
  run('reads the value of a window, with its timestamp', {
    fill,
    check: async ({ store }) => {
      assert.deepEqual(store.fetch('a', 50), { value: 'a50', timestamp: 55 })
      assert.equal(store.fetch('a', 60), undefined)
      assert.equal(store.fetch('c', 50), undefined)
      assert.equal(store.observedMs, 90)
    },
  })
  run('gives the windows of one key ascending, and of all', {
    fill,
    check: async ({ store }) => {
      assert.deepEqual(await list(store.fetchRange('a', 0, 1_000)), [
        '[a@0/10]=a0',
        '[a@50/60]=a50',
        '[a@90/100]=a90',
      ])
      assert.deepEqual(await list(store.fetchRange('a', 1, 89)), ['[a@50/60]=a50'])
      assert.deepEqual((await list(store.fetchAll(50, 60))).sort(), [
        '[a@50/60]=a50',
        '[ab@50/60]=ab50',
        '[b@60/70]=b60',
      ])
      assert.deepEqual(await list(store.fetchAll(100, 50)), [])
    },
  })
}

function writeCases(run: Case<Texts>): void {
  run('keeps a window until the retention has passed, to the millisecond', {
    fill,
    check: async ({ store }) => {
      store.put('b', 149, { value: 'later', timestamp: 149 })
      assert.equal(store.fetch('a', 0), undefined)
      assert.equal(store.fetch('a', 50)?.value, 'a50')
      assert.equal(store.put('a', 49, { value: 'late', timestamp: 200 }), false)
      assert.equal(store.put('a', 50, { value: 'in time', timestamp: 200 }), true)
      store.put('b', 150, { value: 'later', timestamp: 150 })
      assert.equal(store.fetch('a', 50), undefined)
      assert.deepEqual(await list(store.fetchRange('a', 0, 1_000)), ['[a@90/100]=a90'])
    },
  })
  run('writes again, and deletes', {
    fill,
    check: async ({ store, settle }) => {
      store.put('a', 90, { value: 'new', timestamp: 99 })
      store.delete('a', 50, 98)
      assert.equal(store.fetch('a', 50), undefined)
      await settle()
      assert.deepEqual(store.fetch('a', 90), { value: 'new', timestamp: 99 })
      assert.equal(store.fetch('a', 50), undefined)
    },
  })
}

function fill(store: Texts): void {
  const windows = { a: [0, 50, 90], ab: [50], b: [60] }
  for (const [key, starts] of Object.entries(windows)) {
    for (const startMs of starts) {
      store.put(key, startMs, { value: `${key}${startMs}`, timestamp: startMs + 5 })
    }
  }
}
