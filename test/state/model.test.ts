/**
 * A task's state against a model: random writes, commits, aborts, flushes and crashes. Reads always
 * equal the model, and after a crash the database plus the changelog behind its checkpoint is what
 * was committed, with no value in it that was not.
 */
import { describe, expect, test } from 'vitest'
import { asOffset } from '../../model/position.ts'
import type { ChangelogWrite } from '../../state/changelog.ts'
import type { Checkpoint } from '../../state/checkpoint.ts'
import { storePrefix } from '../../state/keys.ts'
import { TaskState } from '../../state/layers.ts'
import {
  memoryDatabase,
  type MemoryDatabase,
  type MemoryDisk,
} from '../../state/memory-database.ts'
import type { DatabaseWrite } from '../../state/store.ts'
import { withTimestamp } from '../../state/timestamped.ts'
import { drawnSeed } from '../seed.ts'
import { handClock } from './fixtures.ts'
import { seeded } from './fixtures-random.ts'

const topicId = 'c3f5b0f2-0000-4000-8000-000000000001'
const NAMES = ['one', 'two'] as const
const STORES = NAMES.map((name) => ({ name, persistent: true, logged: true }))
const KEYS = ['', 'a', 'aa', 'ab', 'b', '\xff', '\xff\0', 'c', 'd', 'e']
const LIMITS = { sliceWrites: 3, cacheBytes: 1_500, flushBytes: 800, replayBytes: 1_500 }

type Contents = Map<string, string>
const slot = (store: string, key: string): string => `${store}/${key}`

class Run {
  readonly random: (below: number) => number
  readonly clock = handClock()
  /** What reads must give. */
  current: Contents = new Map()
  /** What the commit in flight would make durable. */
  sealed: { readonly contents: Contents; readonly writes: readonly ChangelogWrite[] } | undefined
  committed: Contents = new Map()
  changelog: ChangelogWrite[] = []
  database: MemoryDatabase
  state: TaskState
  settles: (() => void)[] = []
  flushes: Promise<unknown>[] = []
  step = 0

  constructor(seed: number) {
    this.random = seeded(seed)
    this.database = this.#open(undefined)
    this.state = this.#state()
  }

  #open(disk: MemoryDisk | undefined): MemoryDatabase {
    const settle = (): Promise<void> => new Promise((resolve) => this.settles.push(resolve))
    return memoryDatabase(disk === undefined ? { settle } : { disk, settle })
  }

  #state(): TaskState {
    const parts = { stores: STORES, database: this.database, volatileDatabase: memoryDatabase() }
    return new TaskState({ ...parts, clock: this.clock, limits: LIMITS })
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random(items.length)] as T
  }

  write(): void {
    const store = this.pick(NAMES)
    const key = this.pick(KEYS)
    const bytes = Buffer.from(`>${key}`, 'latin1')
    const layered = this.state.store(store)
    const value = `${this.step}${'x'.repeat(this.random(60))}`
    const stored = withTimestamp(this.step, Buffer.from(value))
    const kind = this.random(10)
    if (kind < 3) {
      layered.delete(bytes, this.step, 1)
      this.current.delete(slot(store, key))
    } else {
      if (kind < 7 && !this.current.has(slot(store, key))) layered.insert(bytes, stored, 1)
      else layered.put(bytes, stored, 1)
      this.current.set(slot(store, key), value)
    }
  }

  read(): void {
    const store = this.pick(NAMES)
    const key = this.pick(KEYS)
    const found = this.state.store(store).get(Buffer.from(key, 'latin1'))?.toString('utf8', 8)
    expect(found, `read of ${slot(store, key)} at step ${this.step}`).toBe(
      this.current.get(slot(store, key)),
    )
  }

  async range(): Promise<void> {
    const store = this.pick(NAMES)
    const [a, b] = [this.pick(KEYS), this.pick(KEYS)]
    const expected = KEYS.filter(
      (key) => key >= a && key < b && this.current.has(slot(store, key)),
    ).toSorted()
    const rows = this.state
      .store(store)
      .range({ gte: Buffer.from(a, 'latin1'), lt: Buffer.from(b, 'latin1') })
    const values = expected.map((key) => this.current.get(slot(store, key)))
    const found: string[] = []
    for await (const [key, value] of rows) {
      expect(value.toString('utf8', 8)).toBe(values[found.length])
      found.push(key.toString('latin1'))
    }
    expect(found).toEqual(expected)
  }

  seal(): void {
    if (this.sealed !== undefined) return
    this.sealed = { contents: new Map(this.current), writes: [...this.state.seal()] }
  }

  commit(): void {
    if (this.sealed === undefined) return
    this.changelog.push(...this.sealed.writes)
    this.committed = this.sealed.contents
    this.sealed = undefined
    const checkpoint = { offset: asOffset(this.changelog.length), topicId }
    this.state.commit(new Map(NAMES.map((name) => [name, checkpoint])))
  }

  abort(): void {
    this.state.abort()
    this.sealed = undefined
    this.current = new Map(this.committed)
  }

  flush(): void {
    this.flushes.push(this.state.flush().catch(() => undefined))
  }

  async crash(): Promise<void> {
    const disk = this.database.crash(this.pick(['keep', 'drop']))
    this.settles.splice(0).forEach((settle) => settle())
    this.database = this.#open(disk)
    this.state = this.#state()
    this.sealed = undefined
    this.#checkNeverAhead(disk)
    await this.#replay()
    this.current = new Map(this.committed)
    for (const store of NAMES) for (const key of KEYS) this.#expectStored(store, key)
  }

  /** Every value on the disk was committed, and at the checkpoint or after it. */
  #checkNeverAhead(disk: MemoryDisk): void {
    for (const store of NAMES) {
      const prefix = storePrefix(store).toString('latin1')
      const from = this.state.checkpoint(store)?.offset ?? 0
      expect(from).toBeLessThanOrEqual(this.changelog.length)
      for (const key of KEYS) {
        const history = this.changelog
          .map((write, offset) => ({ write, offset }))
          .filter(({ write }) => write.store === store && write.key.toString('latin1') === key)
        const atCheckpoint = history
          .findLast(({ offset }) => offset < from)
          ?.write.value?.toString()
        const later = history
          .filter(({ offset }) => offset >= from)
          .map(({ write }) => write.value?.toString())
        expect([atCheckpoint, ...later]).toContain(
          disk.entries.get(prefix + key)?.toString('utf8', 8),
        )
      }
    }
  }

  async #replay(): Promise<void> {
    for (const store of NAMES) {
      const from = this.state.checkpoint(store)?.offset ?? 0
      const writes: DatabaseWrite[] = this.changelog
        .slice(from)
        .filter((write) => write.store === store)
        .map(({ key, value, timestamp }) => ({
          key: Buffer.concat([storePrefix(store), key]),
          value: value === null ? null : withTimestamp(timestamp, value),
        }))
      const checkpoint = { offset: asOffset(this.changelog.length), topicId }
      await this.#restored(store, writes, checkpoint)
      this.state.markRestored(store, checkpoint)
    }
  }

  /** A part of it in the layers, as far as they may keep it; the rest straight to the database. */
  async #restored(
    store: string,
    writes: readonly DatabaseWrite[],
    checkpoint: Checkpoint,
  ): Promise<void> {
    const from = this.state.checkpoint(store)?.offset ?? 0
    const kept = writes.slice(0, this.random(2 * writes.length + 1))
    for (const [n, write] of kept.entries()) {
      if (!this.state.canReplay) break
      // Writes are fewer than the offsets they stand for: this is behind what was replayed.
      this.state.replay(store, [write], { ...checkpoint, offset: asOffset(from + n) })
    }
    if (this.state.canReplay && kept.length === writes.length) {
      this.state.replay(store, [], checkpoint)
      return
    }
    await this.#settleUntil(this.state.flush())
    await this.#settleUntil(this.state.applyRestored(store, writes, checkpoint))
  }

  async #settleUntil(done: Promise<void>): Promise<void> {
    let pending = true
    const ended = done.finally(() => (pending = false))
    while (pending) {
      this.settles.splice(0).forEach((settle) => settle())
      await this.clock.yield()
    }
    await ended
  }

  #expectStored(store: string, key: string): void {
    const found = this.state.store(store).get(Buffer.from(key, 'latin1'))?.toString('utf8', 8)
    expect(found, `after the crash at step ${this.step}, ${slot(store, key)}`).toBe(
      this.committed.get(slot(store, key)),
    )
  }

  async go(steps: number): Promise<void> {
    for (this.step = 1; this.step <= steps; this.step++) {
      const kind = this.random(100)
      if (kind < 40) this.write()
      else if (kind < 65) this.read()
      else if (kind < 69) await this.range()
      else if (kind < 76) this.seal()
      else if (kind < 83) this.commit()
      else if (kind < 86) this.abort()
      else if (kind < 90) this.flush()
      else if (kind < 98) {
        this.settles.shift()?.()
        await this.clock.yield()
      } else await this.crash()
    }
    await this.crash()
  }
}

describe('a task state', () => {
  const first = drawnSeed(1_000_000)
  test(`equals its model through random commits, aborts and crashes (MILLRACE_SEED=${first})`, async () => {
    for (let seed = first; seed < first + 40; seed++) {
      try {
        await new Run(seed).go(600)
      } catch (error) {
        throw new Error(`with MILLRACE_SEED=${seed}`, { cause: error })
      }
    }
  })
})
