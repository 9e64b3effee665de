/**
 * What every Database and every key-value store must do, as tests that any implementation can run.
 * The test function is passed in, so that this file depends on no test runner.
 */
import assert from 'node:assert/strict'
import type { TaskState } from './layers.ts'
import type { Database, KeyValueStore } from './store.ts'

/** Registers one test: vitest's or node:test's. */
export type RegisterTest = (title: string, run: () => Promise<void>) => void

/** How to make the database under test. */
export interface DatabaseHarness {
  /** A new and empty one, in a place of its own. */
  open(): Promise<Database>
  /** Closes `database` and opens what it wrote again. */
  reopen(database: Database): Promise<Database>
}

/** Runs the suite of Database. */
export function databaseConformance(harness: DatabaseHarness, test: RegisterTest): void {
  const run = (title: string, body: (database: Database) => Promise<void>): void => {
    test(title, async () => {
      await using database = await harness.open()
      await body(database)
    })
  }
  run('answers undefined for a key that was never written', async (database) => {
    assert.equal(database.get(bytes('a')), undefined)
  })
  run(
    'gives back what was written, the empty value and the empty tail of a key included',
    async (database) => {
      await database.write([put('a', '1'), put('ab', ''), put('b', 'x'.repeat(100_000))])
      assert.equal(text(database.get(bytes('a'))), '1')
      assert.equal(text(database.get(bytes('ab'))), '')
      assert.equal(database.get(bytes('b'))?.length, 100_000)
    },
  )
  run('applies the writes of a batch in order', async (database) => {
    await database.write([put('a', '1'), del('a'), put('a', '2'), put('b', '1'), del('b')])
    assert.equal(text(database.get(bytes('a'))), '2')
    assert.equal(database.get(bytes('b')), undefined)
  })
  run('takes an empty batch', async (database) => {
    await database.write([])
    assert.deepEqual(await list(database.range({})), [])
  })
  rangeConformance(run)
  test('keeps what it acknowledged when it is opened again', async () => {
    const database = await harness.open()
    await database.write([put('a', '1'), put('b', '2')])
    await database.write([del('b')])
    await using again = await harness.reopen(database)
    assert.deepEqual(await list(again.range({})), ['a=1'])
  })
}

type RunOnDatabase = (title: string, body: (database: Database) => Promise<void>) => void

function rangeConformance(run: RunOnDatabase): void {
  run('ranges in byte order, lower bound included and upper bound not', async (database) => {
    const keys = [
      Buffer.of(0xff, 0),
      Buffer.of(0),
      Buffer.of(0x7f),
      Buffer.of(0xc3, 0xa9),
      Buffer.of(0x7f, 0),
    ]
    await database.write(keys.map((key) => ({ key, value: key })))
    const hex = async (range: { gte?: Buffer; lt?: Buffer }): Promise<string[]> => {
      const found: string[] = []
      for await (const [key] of database.range(range)) found.push(key.toString('hex'))
      return found
    }
    assert.deepEqual(await hex({}), ['00', '7f', '7f00', 'c3a9', 'ff00'])
    assert.deepEqual(await hex({ gte: Buffer.of(0x7f), lt: Buffer.of(0xc3, 0xa9) }), ['7f', '7f00'])
    assert.deepEqual(await hex({ gte: Buffer.of(0x80) }), ['c3a9', 'ff00'])
    assert.deepEqual(await hex({ lt: Buffer.of(0x7f) }), ['00'])
  })
  run('ranges over a snapshot as of the call', async (database) => {
    await database.write([put('a', '1'), put('b', '1'), put('c', '1')])
    const rows = database.range({})
    await database.write([put('a', '2'), del('b'), put('d', '2')])
    assert.deepEqual(await list(rows), ['a=1', 'b=1', 'c=1'])
    assert.deepEqual(await list(database.range({})), ['a=2', 'c=1', 'd=2'])
  })
  run('gives the keys alone of the same ranges and snapshots', async (database) => {
    await database.write([put('a', '1'), put('b', ''), put('c', '1')])
    const all = database.keys({})
    const some = database.keys({ gte: bytes('b'), lt: bytes('c') })
    await database.write([del('b'), put('d', '2')])
    assert.deepEqual((await Array.fromAsync(all)).map(String), ['a', 'b', 'c'])
    assert.deepEqual((await Array.fromAsync(some)).map(String), ['b'])
  })
  run('goes through many rows, and can be left in the middle', async (database) => {
    const many = Array.from({ length: 3_000 }, (_, n) =>
      put(`k${String(n).padStart(5, '0')}`, `${n}`),
    )
    await database.write(many)
    assert.equal((await list(database.range({}))).length, 3_000)
    for await (const _ of database.range({})) break
    await database.write([put('after', '1')])
    assert.equal(text(database.get(bytes('after'))), '1')
  })
}

/** A store of texts by texts, with the state it lives in. */
export interface OpenedStore extends AsyncDisposable {
  readonly state: TaskState
  readonly store: KeyValueStore<string, string>
}

/** How to make the store under test. */
export interface KeyValueStoreHarness {
  /** A new and empty, logged store. */
  open(): Promise<OpenedStore>
}

/** Runs the suite of KeyValueStore: every case with the entries in each of the layers they can be in. */
export function keyValueStoreConformance(harness: KeyValueStoreHarness, test: RegisterTest): void {
  for (const layer of ['live', 'sealed', 'committed', 'database'] as const) {
    const settle = async (state: TaskState): Promise<void> => {
      if (layer === 'live') return
      drain(state)
      if (layer === 'sealed') return
      state.commit(new Map())
      if (layer === 'database') await state.flush()
    }
    const run = (title: string, body: (opened: OpenedStore) => Promise<void>): void => {
      test(`${title} (entries ${layer === 'database' ? 'in the database' : layer})`, async () => {
        await using opened = await harness.open()
        const { store, state } = opened
        for (const key of ['a', 'b', 'ab', 'é', 'z']) store.put(key, `old ${key}`, 10)
        await settle(state)
        await body(opened)
      })
    }
    readConformance(run)
    run('keeps a deletion through a commit and a flush', async ({ store, state }) => {
      store.delete('a', 11)
      if (layer === 'sealed') state.commit(new Map())
      drain(state)
      state.commit(new Map())
      assert.equal(store.get('a'), undefined)
      await state.flush()
      assert.equal(store.get('a'), undefined)
      assert.equal(store.get('b'), 'old b')
    })
  }
  logConformance(harness, test)
  commitConformance(harness, test)
}

type RunOpened = (title: string, body: (opened: OpenedStore) => Promise<void>) => void

function readConformance(run: RunOpened): void {
  run('reads values and timestamps', async ({ store }) => {
    assert.equal(store.get('ab'), 'old ab')
    assert.deepEqual(store.getWithTimestamp('é'), { value: 'old é', timestamp: 10 })
    assert.equal(store.get('none'), undefined)
    assert.equal(store.getWithTimestamp('none'), undefined)
  })
  run('reads its own writes and deletions at once', async ({ store }) => {
    store.put('a', 'new', 1_785_000_000_123)
    store.delete('b', 12)
    store.insert('c', 'inserted', 13)
    assert.deepEqual(store.getWithTimestamp('a'), { value: 'new', timestamp: 1_785_000_000_123 })
    assert.equal(store.get('b'), undefined)
    assert.deepEqual(store.getWithTimestamp('c'), { value: 'inserted', timestamp: 13 })
  })
  run('ranges in byte order over all layers, both bounds included', async ({ store }) => {
    store.put('b', 'new b', 11)
    store.delete('ab', 11)
    store.put('aa', 'new aa', 11)
    assert.deepEqual(await listTyped(store.range()), [
      'a=old a',
      'aa=new aa',
      'b=new b',
      'z=old z',
      'é=old é',
    ])
    assert.deepEqual(await listTyped(store.range('aa', 'b')), ['aa=new aa', 'b=new b'])
    assert.deepEqual(await listTyped(store.range('c', 'd')), [])
  })
  run('ranges over a snapshot as of the call', async ({ store }) => {
    const rows = store.range('a', 'b')
    store.delete('a', 11)
    store.put('ac', 'later', 11)
    assert.deepEqual(await listTyped(rows), ['a=old a', 'ab=old ab', 'b=old b'])
  })
}

function onNew(harness: KeyValueStoreHarness, test: RegisterTest): RunOpened {
  return (title, body) => {
    test(title, async () => {
      await using opened = await harness.open()
      await body(opened)
    })
  }
}

function logConformance(harness: KeyValueStoreHarness, test: RegisterTest): void {
  const run = onNew(harness, test)
  run(
    'logs one change per key and commit, the last one, with its timestamp',
    async ({ store, state }) => {
      store.put('a', '1', 1)
      store.put('b', '1', 2)
      store.put('a', '2', 3)
      store.delete('b', 4)
      const logged = [...state.seal()].map((write) => [
        text(write.key),
        text(write.value),
        write.timestamp,
      ])
      assert.deepEqual(logged, [
        ['a', '2', 3],
        ['b', undefined, 4],
      ])
      assert.equal(state.liveBytes, 0)
    },
  )
  run(
    'leaves no trace of what was inserted and deleted in one commit',
    async ({ store, state }) => {
      store.insert('a', '1', 1)
      store.put('a', '2', 2)
      store.delete('a', 3)
      assert.equal(state.liveBytes, 0)
      assert.deepEqual([...state.seal()], [])
      state.commit(new Map())
      store.insert('a', '3', 4)
      drain(state)
      store.delete('a', 5)
      state.commit(new Map())
      assert.deepEqual(
        [...state.seal()].map((write) => write.value),
        [null],
      )
    },
  )
  run(
    'keeps the deletion of an older entry that is inserted and deleted again',
    async ({ store, state }) => {
      store.put('a', 'old', 1)
      drain(state)
      state.commit(new Map())
      await state.flush()
      store.delete('a', 2)
      store.insert('a', 'new', 3)
      store.delete('a', 4)
      assert.equal(store.get('a'), undefined)
      assert.deepEqual(
        [...state.seal()].map((write) => write.timestamp),
        [4],
      )
    },
  )
}

function commitConformance(harness: KeyValueStoreHarness, test: RegisterTest): void {
  const run = onNew(harness, test)
  run('forgets live and sealed writes at an abort, and nothing else', async ({ store, state }) => {
    store.put('a', 'committed', 1)
    drain(state)
    state.commit(new Map())
    store.put('a', 'sealed', 2)
    drain(state)
    store.put('a', 'live', 3)
    store.put('b', 'live', 3)
    state.abort()
    assert.equal(store.get('a'), 'committed')
    assert.equal(store.get('b'), undefined)
    assert.equal(state.liveBytes, 0)
  })
  run('never shows writes after the seal in what the seal gave', async ({ store, state }) => {
    store.put('a', 'first', 1)
    const sealed = state.seal()
    store.put('a', 'second', 2)
    assert.deepEqual(
      [...sealed].map((write) => text(write.value)),
      ['first'],
    )
    assert.equal(store.get('a'), 'second')
    assert.throws(() => state.seal(), TypeError)
  })
}

function drain(state: TaskState): void {
  for (const _ of state.seal());
}

function bytes(key: string): Buffer {
  return Buffer.from(key)
}

function text(value: Buffer | null | undefined): string | undefined {
  return value?.toString()
}

function put(key: string, value: string): { key: Buffer; value: Buffer } {
  return { key: bytes(key), value: bytes(value) }
}

function del(key: string): { key: Buffer; value: null } {
  return { key: bytes(key), value: null }
}

async function list(rows: AsyncIterable<readonly [Buffer, Buffer]>): Promise<string[]> {
  const found: string[] = []
  for await (const [key, value] of rows) found.push(`${key.toString()}=${value.toString()}`)
  return found
}

async function listTyped(
  rows: AsyncIterable<readonly [string, { readonly value: string }]>,
): Promise<string[]> {
  const found: string[] = []
  for await (const [key, { value }] of rows) found.push(`${key}=${value}`)
  return found
}
