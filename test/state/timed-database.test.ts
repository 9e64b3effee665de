/** What a store with times asks of its database, and what it writes there. */
import { describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { LogRecord, NO_HEADERS } from '../../model/record.ts'
import { joinWindowStore } from '../../state/join-window-store.ts'
import { writeInt64 } from '../../state/keys.ts'
import { TaskState } from '../../state/layers.ts'
import { memoryDatabase, memoryDisk } from '../../state/memory-database.ts'
import type { Database } from '../../state/store.ts'
import { handClock, textSerde } from './fixtures.ts'

const SPEC = { retentionMs: 100, windowMs: 20 }
const STORE = {
  name: 's',
  kind: 'join-window' as const,
  persistent: true,
  logged: false,
  ...SPEC,
}

/** A store over a database whose reads and writes of entries are counted. */
class CountedStore {
  reads = 0
  writes = 0
  readonly #database = memoryDatabase()
  #state = this.#open()

  get rows() {
    const serdes = { key: textSerde(), value: textSerde() }
    return joinWindowStore(this.#state.store('s'), SPEC, serdes)
  }

  get unflushedBytes(): number {
    return this.#state.unflushedBytes
  }

  commit(): void {
    // A store without a changelog has nothing to log.
    expect(this.#state.seal()).toEqual([])
    this.#state.commit(new Map())
  }

  async flush(): Promise<void> {
    await this.#state.flush()
  }

  reopen(): void {
    this.#state = this.#open()
  }

  #open(): TaskState {
    const counted: Database = {
      get: (key) => {
        if (isEntry(key)) this.reads += 1
        return this.#database.get(key)
      },
      write: async (writes) => {
        this.writes += writes.filter(({ key, value }) => isEntry(key) && value !== null).length
        await this.#database.write(writes)
      },
      range: (range) => this.#database.range(range),
      keys: (range) => this.#database.keys(range),
      [Symbol.asyncDispose]: async () => await this.#database[Symbol.asyncDispose](),
    }
    const clock = handClock()
    const volatileDatabase = memoryDatabase()
    return new TaskState({ stores: [STORE], database: counted, volatileDatabase, clock })
  }
}

/** Behind the byte for entries, the store's name and its end: a slot. */
function isEntry(key: Buffer): boolean {
  return key[3] === 1
}

describe('a store with times', () => {
  test('asks its database only for times that this has seen', async () => {
    const store = new CountedStore()
    for (const timestamp of [0, 15, 95]) store.rows.put('a', 'x', timestamp)
    expect(store.rows.fetch('a', 0, 200)).toHaveLength(3)
    expect(store.reads).toBe(0)
    store.commit()
    await store.flush()
    store.reopen()
    expect(store.rows.fetch('a', 0, 9)).toHaveLength(1)
    expect(store.reads).toBe(1)
    // One slot is there; the others are behind all that was ever put.
    store.rows.put('b', 'y', 170)
    expect(store.rows.fetch('a', 95, 170)).toHaveLength(1)
    expect(store.reads).toBe(2)
  })

  test('does not write what has expired before it is flushed', async () => {
    const store = new CountedStore()
    for (let timestamp = 0; timestamp < 1000; timestamp += 10) store.rows.put('a', 'x', timestamp)
    store.commit()
    await store.flush()
    // Ten that are there, and one whose slot is not yet over.
    expect(store.writes).toBe(11)
    const found = store.rows.fetch('a', 0, 1000).map(({ timestamp }) => timestamp)
    expect(found).toEqual([900, 910, 920, 930, 940, 950, 960, 970, 980, 990])
    store.reopen()
    expect(store.rows.fetch('a', 0, 1000)).toHaveLength(10)
  })

  test('forgets what has expired with the commit after which nobody sees it', async () => {
    const store = new CountedStore()
    let mostBytes = 0
    for (let timestamp = 0; timestamp < 10_000; timestamp += 10) {
      store.rows.put('a', 'x', timestamp)
      store.commit()
      if (timestamp < 1000) mostBytes = Math.max(mostBytes, store.unflushedBytes)
      expect(store.unflushedBytes).toBeLessThanOrEqual(2 * mostBytes)
    }
    expect(store.rows.fetch('a', 0, 10_000)).toHaveLength(10)
    await store.flush()
    expect(store.writes).toBe(11)
    expect(store.unflushedBytes).toBe(0)
    store.reopen()
    expect(store.rows.fetch('a', 0, 10_000)).toHaveLength(10)
  })
})

describe('a replay of a store with times', () => {
  test('finds the rows of a flush that was cut off at any place', async () => {
    const record = (offset: number, timestamp: number): LogRecord => {
      const key = Buffer.concat([Buffer.from('a'), Buffer.alloc(12)])
      writeInt64(key, timestamp, 1)
      key.writeInt32BE(1, 9)
      const value = Buffer.from('x')
      return new LogRecord(offset, timestamp, key, 0, key.length, value, 0, 1, NO_HEADERS)
    }
    const records = [record(0, 20), record(1, 45), record(2, 95)]
    const from = { topic: asTopic('log'), partition: asPartition(0), keyPrefixLength: 0 }
    for (let cut = 1; cut <= 5; cut++) {
      const disk = memoryDisk()
      let left = cut
      const settle = async (): Promise<void> => {
        if (left-- === 0) throw new Error('cut off')
      }
      const open = (database: Database): TaskState =>
        new TaskState({
          stores: [{ ...STORE, logged: true }],
          database,
          volatileDatabase: memoryDatabase(),
          clock: handClock(),
          limits: { sliceWrites: 1 },
        })
      const replay = (state: TaskState): void => {
        const checkpoint = { offset: asOffset(3), topicId: 'id' }
        state.replay('s', state.restoredWrites('s', records, from), checkpoint)
        state.markRestored('s', checkpoint)
      }
      const first = open(memoryDatabase({ disk, settle }))
      replay(first)
      await first.flush().catch(() => undefined)
      expect(disk.entries.size).toBeGreaterThan(0)
      const second = open(memoryDatabase({ disk }))
      replay(second)
      const serdes = { key: textSerde(), value: textSerde() }
      const rows = joinWindowStore(second.store('s'), SPEC, serdes)
      expect(rows.fetch('a', 0, 100), `after ${cut} slices`).toHaveLength(3)
    }
  })
})
