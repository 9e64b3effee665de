/** What every session store must do, as tests that any implementation can run. */
import assert from 'node:assert/strict'
import type { RegisterTest } from './conformance.ts'
import type { SessionStore } from './store.ts'
import {
  everywhere,
  keyHex,
  list,
  logged,
  values,
  type Case,
  type TimedStoreHarness,
} from './timed-conformance.ts'

type Texts = SessionStore<string, string>

/** Runs the suite of SessionStore, declared with CONFORMANCE_TIMES. */
export function sessionStoreConformance(
  harness: TimedStoreHarness<Texts>,
  test: RegisterTest,
): void {
  const run = everywhere(harness, test)
  readCases(run)
  writeCases(run)
  test("logs what differs at the commit, as Java's, and forgets at an abort", async () => {
    await using opened = await harness.open()
    const { store, state } = opened
    put(store, 'a', [1, 2])
    put(store, 'a', [5, 6])
    store.remove('a', { startMs: 1, endMs: 2 }, 7)
    assert.deepEqual(logged(state), [[keyHex('a', [6, 5]), 'a 5-6', 6]])
    state.commit(new Map())
    store.remove('a', { startMs: 5, endMs: 6 }, 8)
    put(store, 'a', [1, 6])
    store.remove('a', { startMs: 1, endMs: 6 }, 9)
    // The session that was never committed leaves a record too: its end is the observed time.
    assert.deepEqual(logged(state), [
      [keyHex('a', [6, 1]), null, 9],
      [keyHex('a', [6, 5]), null, 8],
    ])
    state.abort()
    assert.deepEqual(values(store.find('a', 0, 9)), ['a 5-6'])
    assert.throws(() => put(store, 'a', [3, 2]), RangeError)
  })
}

function readCases(run: Case<Texts>): void {
  run('finds sessions by key, earliest end and latest start, ascending', {
    fill,
    check: async ({ store }) => {
      assert.deepEqual(values(store.find('a', 0, 1_000)), [
        'a 0-10',
        'a 20-55',
        'a 70-80',
        'a 90-90',
      ])
      assert.deepEqual(values(store.find('a', 10, 20)), ['a 0-10', 'a 20-55'])
      assert.deepEqual(values(store.find('a', 11, 69)), ['a 20-55'])
      assert.deepEqual(store.find('b', 0, 1_000), [])
      assert.deepEqual(store.fetch('a', 20, 55), {
        startMs: 20,
        endMs: 55,
        value: 'a 20-55',
        timestamp: 55,
      })
      assert.equal(store.fetch('a', 20, 56), undefined)
      assert.deepEqual((await list(store.all())).sort(), [
        '[a@0/10]=a 0-10',
        '[a@20/55]=a 20-55',
        '[a@70/80]=a 70-80',
        '[a@90/90]=a 90-90',
        '[ab@0/90]=ab 0-90',
      ])
    },
  })
  run('removes and replaces sessions', {
    fill,
    check: async ({ store, settle }) => {
      store.remove('a', { startMs: 0, endMs: 10 }, 91)
      store.remove('a', { startMs: 20, endMs: 55 }, 91)
      store.remove('a', { startMs: 1, endMs: 2 }, 91)
      put(store, 'a', [0, 55])
      store.put('a', { startMs: 90, endMs: 90, value: 'new', timestamp: 92 })
      const left = ['a 0-55', 'a 70-80', 'new']
      assert.deepEqual(values(store.find('a', 0, 1_000)), left)
      await settle()
      assert.deepEqual(values(store.find('a', 0, 1_000)), left)
    },
  })
}

function writeCases(run: Case<Texts>): void {
  run('keeps a session until the retention has passed since its end, to the millisecond', {
    fill,
    check: async ({ store }) => {
      put(store, 'b', [0, 109])
      assert.deepEqual(values(store.find('a', 0, 10)), ['a 0-10'])
      put(store, 'b', [0, 110])
      assert.deepEqual(store.find('a', 0, 10), [])
      assert.equal(store.fetch('a', 0, 10), undefined)
      assert.equal(put(store, 'a', [0, 10]), false)
      assert.equal(store.observedMs, 110)
    },
  })
}

function fill(store: Texts): void {
  for (const span of [
    [70, 80],
    [0, 10],
    [20, 55],
    [90, 90],
  ] as const)
    put(store, 'a', span)
  put(store, 'ab', [0, 90])
}

function put(store: Texts, key: string, [startMs, endMs]: readonly [number, number]): boolean {
  return store.put(key, { startMs, endMs, value: `${key} ${startMs}-${endMs}`, timestamp: endMs })
}
