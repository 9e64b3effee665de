/**
 * Stores with times against plain lists: random writes in and out of order, commits, aborts, flushes,
 * crashes, times held upstream and logs that lose what has expired. Reads always equal the lists; after a crash the
 * database and the changelog behind its checkpoint give what was committed, and so does the
 * changelog alone on an empty disk.
 */
import { describe, expect, test } from 'vitest'
import { asOffset } from '../../model/position.ts'
import { changelogRecord, type ChangelogWrite } from '../../state/changelog.ts'
import { joinWindowStore } from '../../state/join-window-store.ts'
import { storePrefix } from '../../state/keys.ts'
import { TaskState } from '../../state/layers.ts'
import {
  memoryDatabase,
  type MemoryDatabase,
  type MemoryDisk,
} from '../../state/memory-database.ts'
import { restoreStores } from '../../state/restore.ts'
import { sessionStore } from '../../state/session-store.ts'
import { windowStore } from '../../state/window-store.ts'
import { drawnSeed } from '../seed.ts'
import { handClock, textSerde } from './fixtures.ts'
import { seeded } from './fixtures-random.ts'
import { TestLog } from './log-reader.ts'

const PREFIX = Buffer.of(0, 0, 0, 0, 7)
const SERDES = { key: textSerde(PREFIX), value: textSerde() }
const RETENTION_MS = 100
const TIMES = { retentionMs: RETENTION_MS, sizeMs: 10, windowMs: 30 }
const KINDS = ['window', 'join-window', 'session'] as const
const SPECS = KINDS.map((kind) => ({ kind, name: kind, persistent: true, logged: true, ...TIMES }))
/** Bytes behind the key in a record's key, and where the time that expires is in them. */
const TAIL_BYTES = { window: 12, 'join-window': 12, session: 16 }
// Some begin with another one, and go on as its times could.
const KEYS = ['', 'a', `a${'\0'.repeat(8)}`, 'ab', 'b']
const LIMITS = { sliceWrites: 3, cacheBytes: 3_000, flushBytes: 3_000, replayBytes: 3_000 }

interface Entry {
  readonly key: string
  readonly startMs: number
  /** The time it expires by. */
  readonly atMs: number
  readonly value: string
  readonly timestamp: number
}

/** What a store must be: its entries in the order they were put, expired ones included. */
interface List {
  observedMs: number
  entries: Entry[]
}

type Lists = Readonly<Record<(typeof KINDS)[number], List>>

function emptyLists(): Lists {
  const list = (): List => ({ observedMs: -1, entries: [] })
  return { window: list(), 'join-window': list(), session: list() }
}

function drop(list: List, { key, startMs, atMs }: Pick<Entry, 'key' | 'startMs' | 'atMs'>): void {
  list.entries = list.entries.filter(
    (one) => one.key !== key || one.startMs !== startMs || one.atMs !== atMs,
  )
}

function openFaces(state: TaskState, heldTime: () => number) {
  const parts = { ...SERDES, heldTime }
  return {
    windows: windowStore<string, string>(state.store('window'), TIMES, parts),
    rows: joinWindowStore<string, string>(state.store('join-window'), TIMES, parts),
    sessions: sessionStore<string, string>(state.store('session'), TIMES, parts),
  }
}

class Run {
  readonly random: (below: number) => number
  readonly clock = handClock()
  current = emptyLists()
  sealed: { readonly lists: Lists; readonly writes: readonly ChangelogWrite[] } | undefined
  committed = emptyLists()
  readonly logs = { window: new TestLog(), 'join-window': new TestLog(), session: new TestLog() }
  settles: (() => void)[] = []
  database: MemoryDatabase
  state: TaskState
  faces: ReturnType<typeof openFaces>
  nowMs = 0
  step = 0
  /** What is held upstream, in every second run: it only ever grows. */
  heldMs: number
  readonly heldTime = (): number => this.heldMs

  constructor(seed: number) {
    this.random = seeded(seed)
    this.heldMs = seed % 2 === 0 ? 0 : Infinity
    this.database = this.#open(undefined)
    this.state = this.#stateOn(this.database)
    this.faces = openFaces(this.state, this.heldTime)
  }

  #open(disk: MemoryDisk | undefined): MemoryDatabase {
    const settle = (): Promise<void> => new Promise((resolve) => this.settles.push(resolve))
    return memoryDatabase(disk === undefined ? { settle } : { disk, settle })
  }

  #stateOn(database: MemoryDatabase): TaskState {
    const parts = { stores: SPECS, database, volatileDatabase: memoryDatabase() }
    return new TaskState({ ...parts, clock: this.clock, limits: LIMITS })
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random(items.length)] as T
  }

  isLive({ observedMs }: List, atMs: number): boolean {
    return atMs > Math.min(observedMs, this.heldMs) - RETENTION_MS
  }

  inTime(list: List, entry: Entry): boolean {
    list.observedMs = Math.max(list.observedMs, entry.atMs)
    return this.isLive(list, entry.atMs)
  }

  time(): number {
    return Math.max(0, this.nowMs - this.random(this.pick([1, 1, 30, 140, 300])))
  }

  write(): void {
    this.nowMs += this.random(this.pick([2, 2, 10, 60]))
    if (this.random(4) === 0) this.heldMs = Math.max(this.heldMs, this.nowMs - this.random(500))
    const { windows, rows, sessions } = this.faces
    const value = `${this.step}${'x'.repeat(this.random(this.pick([10, 1_500])))}`
    const [key, startMs, timestamp] = [this.pick(KEYS), this.time(), this.nowMs]
    const kind = this.pick(KINDS)
    const list = this.current[kind]
    if (kind === 'join-window') {
      const entry = { key, startMs, atMs: startMs, value, timestamp: startMs }
      const fits = this.inTime(list, entry)
      expect(rows.put(key, value, startMs)).toBe(fits)
      if (fits) list.entries.push(entry)
    } else if (kind === 'window') {
      const entry = { key, startMs, atMs: startMs, value, timestamp }
      const fits = this.inTime(list, entry)
      if (fits) drop(list, entry)
      if (this.random(5) === 0) windows.delete(key, startMs, timestamp)
      else {
        expect(windows.put(key, startMs, { value, timestamp })).toBe(fits)
        if (fits) list.entries.push(entry)
      }
    } else if (this.random(3) === 0) {
      const entry = this.pick([...list.entries, { key, startMs, atMs: startMs, value, timestamp }])
      sessions.remove(entry.key, { startMs: entry.startMs, endMs: entry.atMs }, timestamp)
      if (this.isLive(list, entry.atMs)) drop(list, entry)
    } else {
      const entry = { key, startMs, atMs: startMs + this.random(40), value, timestamp }
      const fits = this.inTime(list, entry)
      const session = { startMs, endMs: entry.atMs, value, timestamp }
      expect(sessions.put(key, session)).toBe(fits)
      if (fits) drop(list, entry)
      if (fits) list.entries.push(entry)
    }
  }

  read(): void {
    const key = this.pick(KEYS)
    const [from, to] = [this.time() - 20, this.time() + 20]
    this.#check(openFaces(this.state, this.heldTime), this.current, { key, from, to })
  }

  #check(
    { windows, rows, sessions }: ReturnType<typeof openFaces>,
    lists: Lists,
    { key, from, to }: { readonly key: string; readonly from: number; readonly to: number },
  ): void {
    const of = (list: List): Entry[] =>
      list.entries.filter((entry) => entry.key === key && this.isLive(list, entry.atMs))
    const place = `at step ${this.step}, key ${JSON.stringify(key)}, ${from} to ${to}`
    const window = of(lists.window).find(({ startMs }) => startMs === from)
    expect(windows.fetch(key, from)?.value, place).toBe(window?.value)
    expect(
      rows.fetch(key, from, to).map(({ value }) => value),
      place,
    ).toEqual(
      of(lists['join-window'])
        .filter(({ atMs }) => atMs >= from && atMs <= to)
        .toSorted((a, b) => a.atMs - b.atMs)
        .map(({ value }) => value),
    )
    expect(
      sessions.find(key, from, to).map(({ value }) => value),
      place,
    ).toEqual(
      of(lists.session)
        .filter(({ startMs, atMs }) => atMs >= from && startMs <= to)
        .toSorted((a, b) => a.atMs - b.atMs || a.startMs - b.startMs)
        .map(({ value }) => value),
    )
    const observed = [windows.observedMs, rows.observedMs, sessions.observedMs]
    expect(observed, place).toEqual(KINDS.map((kind) => lists[kind].observedMs))
  }

  async checkAll(state: TaskState, lists: Lists): Promise<void> {
    const faces = openFaces(state, this.heldTime)
    for (const key of KEYS) this.#check(faces, lists, { key, from: 0, to: this.nowMs + 100 })
    for (const { key, startMs } of lists.window.entries)
      this.#check(faces, lists, { key, from: startMs, to: startMs })
    const found: string[] = []
    for await (const [{ key, startMs }, { value, timestamp }] of faces.windows.fetchAll(0, 1e9))
      found.push(JSON.stringify([key, startMs, value, timestamp]))
    const { window } = lists
    const expected = window.entries.filter(({ atMs }) => this.isLive(window, atMs))
    expect(found.toSorted()).toEqual(
      expected
        .map(({ key, startMs, value, timestamp }) =>
          JSON.stringify([key, startMs, value, timestamp]),
        )
        .toSorted(),
    )
  }

  seal(): void {
    if (this.sealed !== undefined) return
    this.sealed = { lists: structuredClone(this.current), writes: [...this.state.seal()] }
  }

  commit(): void {
    if (this.sealed === undefined) return
    for (const write of this.sealed.writes) {
      const log = this.logs[write.store as (typeof KINDS)[number]]
      log.slots.push(changelogRecord(write, log.at, PREFIX))
    }
    this.committed = this.sealed.lists
    this.sealed = undefined
    const checkpoints = KINDS.map(
      (kind) => [kind, { offset: asOffset(this.logs[kind].slots.length), topicId: 'id' }] as const,
    )
    this.state.commit(new Map(checkpoints))
  }

  abort(): void {
    this.state.abort()
    this.sealed = undefined
    this.current = structuredClone(this.committed)
  }

  /** The log's own retention: what has expired at its start is gone. */
  trim(): void {
    const kind = this.pick(KINDS)
    const log = this.logs[kind]
    for (let slot = log.slots[log.earliest]; slot !== undefined; slot = log.slots[log.earliest]) {
      const key = slot === 'marker' ? null : slot.key
      const atMs = key === null ? 0 : Number(key.readBigInt64BE(key.length - TAIL_BYTES[kind]))
      if (this.isLive(this.committed[kind], atMs)) return
      log.earliest++
    }
  }

  async crash(): Promise<void> {
    const disk = this.database.crash(this.pick(['keep', 'drop']))
    this.settles.splice(0).forEach((settle) => settle())
    this.database = this.#open(disk)
    this.state = this.#stateOn(this.database)
    this.faces = openFaces(this.state, this.heldTime)
    this.sealed = undefined
    await this.#restore(this.state)
    this.current = structuredClone(this.committed)
    await this.checkAll(this.state, this.committed)
  }

  async elsewhere(): Promise<void> {
    const state = this.#stateOn(this.#open(undefined))
    await this.#restore(state)
    await this.checkAll(state, this.committed)
  }

  async #restore(state: TaskState): Promise<void> {
    for (const kind of KINDS) {
      const log = this.logs[kind]
      const source = {
        ...log.at,
        state,
        store: kind,
        topicId: 'id',
        end: asOffset(log.slots.length),
        earliest: () => Promise.resolve(asOffset(log.earliest)),
        keyPrefixLength: PREFIX.length,
      }
      const inLayers = this.pick([true, false])
      await this.settled(restoreStores([source], { reader: log, clock: this.clock, inLayers }))
    }
  }

  async settled(done: Promise<unknown>): Promise<void> {
    let pending = true
    const ended = done.finally(() => (pending = false))
    while (pending) {
      this.settles.splice(0).forEach((settle) => settle())
      await this.clock.yield()
    }
    await ended
  }

  async go(steps: number): Promise<void> {
    for (this.step = 1; this.step <= steps; this.step++) {
      const kind = this.random(100)
      if (kind < 45) this.write()
      else if (kind < 70) this.read()
      else if (kind < 77) this.seal()
      else if (kind < 84) this.commit()
      else if (kind < 86) this.abort()
      else if (kind < 90) void this.state.flush().catch(() => undefined)
      else if (kind < 92) this.trim()
      else if (kind < 98) {
        this.settles.shift()?.()
        await this.clock.yield()
      } else if (kind < 99) await this.elsewhere()
      else await this.crash()
    }
    await this.crash()
  }

  /** Entries of `kind` on the disk, its observed time aside. */
  stored(kind: (typeof KINDS)[number]): number {
    const prefix = storePrefix(kind).toString('latin1')
    const { entries } = this.database.crash('keep')
    return [...entries.keys()].filter((key) => key.startsWith(`${prefix}\x01`)).length
  }
}

describe('stores with times', () => {
  const first = drawnSeed(1_000_000)
  test(`equal their model through random commits, aborts and crashes (MILLRACE_SEED=${first})`, async () => {
    for (let seed = first; seed < first + 30; seed++) {
      try {
        await new Run(seed).go(500)
      } catch (error) {
        throw new Error(`with MILLRACE_SEED=${seed}`, { cause: error })
      }
    }
  })
  test('leave nothing on the disk that no read can see, once it is flushed, and log no removal', async () => {
    const run = new Run(1)
    const { windows, rows, sessions } = run.faces
    let logged = 0
    const put = async (timestamp: number): Promise<void> => {
      for (const key of KEYS) {
        windows.put(key, timestamp, { value: 'x', timestamp })
        rows.put(key, 'x', timestamp)
        sessions.put(key, { startMs: timestamp, endMs: timestamp, value: 'x', timestamp })
      }
      run.seal()
      logged += run.sealed?.writes.length ?? 0
      run.commit()
      await run.settled(run.state.flush())
    }
    for (let atMs = 0; atMs < 1_000; atMs += 10) await put(atMs)
    expect(logged).toBe(100 * 3 * KEYS.length)
    await put(10_000)
    expect(KINDS.map((kind) => run.stored(kind))).toEqual(KINDS.map(() => KEYS.length))
  })
})
