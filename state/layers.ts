/**
 * What a task remembers, in four layers over its database, for all of its stores at once:
 *
 *   live --seal--> sealed --commit--> committed --freeze, flush--> database
 *
 * The rule: the database is never ahead of the log. Live and sealed are writes whose transaction may
 * still abort, and die with it; committed ones are in the log for good and follow to the database
 * when size or time asks for it. A flush freezes the committed generation and writes it in slices,
 * of which only the last carries the changelog checkpoints; commits that arrive meanwhile make the
 * next generation. So a crash at any moment leaves committed values and a checkpoint that is not
 * ahead of them, and replaying the changelog from there gives the committed state, whatever part of
 * the flush had been written. Nothing is wiped.
 *
 * Rejected: writing to LevelDB at every commit (ten batches a second and store, each waited for) and
 * an undo log in the database (every write twice). docs/decisions/four-layers.md has the reasons.
 */
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { TopicPartition } from '../model/position.ts'
import type { LogRecord } from '../model/record.ts'
import { restoredWrite, type ChangelogWrite } from './changelog.ts'
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type Checkpoint,
  type StoredCheckpoint,
} from './checkpoint.ts'
import { checkpointKey } from './keys.ts'
import { layoutOf, type KeptStore } from './layouts.ts'
import { ReadCache } from './read-cache.ts'
import { slices } from './slices.ts'
import { STATE_LIMITS, type StateLimits } from './state-limits.ts'
import { removeRange } from './removal.ts'
import type { Database, DatabaseWrite } from './store.ts'
import type { StoreLayout } from './store-layout.ts'
import { StoreLayers, type LayeredStore } from './store-layers.ts'

/** What a task's state is made of. The databases stay the caller's to close. */
export interface TaskStateOptions {
  /** Store specs fit. */
  readonly stores: readonly KeptStore[]
  /** For persistent stores. */
  readonly database: Database
  /** For stores that are not persistent: a memory database. */
  readonly volatileDatabase: Database
  readonly clock: Clock
  readonly limits?: Partial<StateLimits>
}

/** The state of one task. Disposing it waits for the batch in flight and writes no further one: `flush` first to keep what was committed. */
export class TaskState implements AsyncDisposable {
  readonly #stores = new Map<string, StoreLayers>()
  /** Of stores with times. */
  readonly #layouts = new Map<string, StoreLayout>()
  /** Where, in their databases, the entries begin that have not been removed as expired. */
  readonly #removedBelow = new Map<string, Buffer>()
  readonly #databases: readonly Database[]
  readonly #clock: Clock
  readonly #limits: StateLimits
  readonly #meter = { liveBytes: 0 }
  #hasSealed = false
  #sealedBytes = 0
  #committedBytes = 0
  #frozenBytes = 0
  /** Of the committed or frozen bytes those of a replay, until the database has them. */
  #replayedBytes = 0
  /** When the oldest committed write that is not frozen was committed, on the monotonic clock. */
  #dirtySinceMs: number | undefined
  /** Checkpoints that hold now: committed, or restored to the end. */
  readonly #checkpoints = new Map<string, Checkpoint>()
  /** Checkpoints as the database holds them. */
  readonly #written = new Map<string, StoredCheckpoint>()
  #stampedAtMs: number
  #flushing: Promise<void> | undefined
  #failure: Error | undefined
  #closed = false

  constructor(options: TaskStateOptions) {
    this.#clock = options.clock
    this.#limits = { ...STATE_LIMITS, ...options.limits }
    this.#stampedAtMs = options.clock.now()
    this.#databases = [options.database, options.volatileDatabase]
    const cache = new ReadCache(this.#limits.cacheBytes)
    for (const spec of options.stores) {
      const { name, persistent, logged } = spec
      if (this.#stores.has(name)) throw new TypeError(`two stores of a task are named ${name}`)
      const database = persistent ? options.database : options.volatileDatabase
      const layout = layoutOf(spec)
      const parts = {
        name,
        logged,
        database,
        meter: this.#meter,
        cache: cache.addSegment(),
        layout,
      }
      this.#stores.set(name, new StoreLayers(parts))
      if (layout !== undefined) this.#layouts.set(name, layout)
      const stored = database.get(checkpointKey(name))
      if (stored !== undefined) this.#written.set(name, decodeCheckpoint(stored, name))
    }
  }

  /** The bytes of a store. Asserts that the task has it. */
  store(name: string): LayeredStore {
    return this.#layers(name)
  }

  /** Bytes written since the last seal, overheads included: a large number asks for an early commit. */
  get liveBytes(): number {
    return this.#meter.liveBytes
  }

  /** Bytes committed and not yet in the database. */
  get unflushedBytes(): number {
    return this.#committedBytes + this.#frozenBytes
  }

  /** Whether the database is so far behind that the task must await `flush` before it goes on. A replay has a bound of its own. */
  get isCongested(): boolean {
    return this.unflushedBytes - this.#replayedBytes > this.#limits.unflushedBytes
  }

  /** How far the changelog of `store` is reflected in its database; undefined where it never was. */
  checkpoint(store: string): StoredCheckpoint | undefined {
    return this.#written.get(store)
  }

  // ------------------------------------------------------------------------------ the commit

  /**
   * Ends the commit unit's writes: live becomes sealed, and later writes belong to the next unit. Gives one
   * change per key of each logged store, stores as declared, keys in the order of their first write.
   */
  seal(): readonly ChangelogWrite[] {
    if (this.#hasSealed) throw new TypeError('sealed twice without a commit or an abort between')
    this.#hasSealed = true
    this.#sealedBytes = this.#meter.liveBytes
    this.#meter.liveBytes = 0
    const changes: ChangelogWrite[] = []
    for (const store of this.#stores.values()) {
      store.seal()
      if (store.logged) store.addChanges(changes)
    }
    return changes
  }

  /** What was sealed is in the log for good, its changelog records before these checkpoints. */
  commit(checkpoints: ReadonlyMap<string, Checkpoint>): void {
    if (!this.#hasSealed) throw new TypeError('committed without a seal')
    this.#hasSealed = false
    let forgottenBytes = 0
    for (const store of this.#stores.values()) forgottenBytes += store.commit()
    for (const [store, checkpoint] of checkpoints) {
      this.#layers(store)
      this.#checkpoints.set(store, checkpoint)
    }
    if (this.#sealedBytes > 0 || checkpoints.size > 0)
      this.#dirtySinceMs ??= this.#clock.monotonic()
    this.#committedBytes += this.#sealedBytes - forgottenBytes
    this.#sealedBytes = 0
  }

  /** The transaction was aborted: live and sealed are forgotten. Allowed at any time. */
  abort(): void {
    this.#hasSealed = false
    this.#sealedBytes = 0
    this.#meter.liveBytes = 0
    for (const store of this.#stores.values()) store.abort()
  }

  // ------------------------------------------------------------------------------- the flush

  /**
   * Starts a flush in the background where size or time asks for one. Throws what an earlier one
   * failed with (MILLRACE_STATE_FULL, …): all layers are kept, and `flush` tries again.
   */
  flushIfDue(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#flushing !== undefined || !this.#isDue()) return
    this.flush().catch((error: unknown) => {
      this.#failure = asError(error)
    })
  }

  /** Resolves when the databases hold everything that was committed before the call. */
  async flush(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing
    const nothingNew = this.#dirtySinceMs === undefined && this.#frozenBytes === 0
    if (this.#closed || (nothingNew && !this.#isStampOld())) return
    this.#flushing = this.#writeGeneration().finally(() => {
      this.#flushing = undefined
    })
    await this.#flushing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    // Its failure was or will be given to who started it.
    await this.#flushing?.catch(() => undefined)
  }

  #isDue(): boolean {
    // A replay waits for its time: the first output is not to wait for the database.
    const newBytes = this.unflushedBytes - this.#replayedBytes
    if (newBytes >= this.#limits.flushBytes || this.#isStampOld()) return true
    const since = this.#dirtySinceMs
    return since !== undefined && this.#clock.monotonic() - since >= this.#limits.flushIntervalMs
  }

  #isStampOld(): boolean {
    const ageMs = this.#clock.now() - this.#stampedAtMs
    return this.#checkpoints.size > 0 && ageMs >= this.#limits.restampMs
  }

  async #writeGeneration(): Promise<void> {
    for (const store of this.#stores.values()) store.freeze()
    this.#frozenBytes += this.#committedBytes
    this.#committedBytes = 0
    this.#dirtySinceMs = undefined
    const stamped = this.#stamp()
    try {
      for (const database of this.#databases) await this.#writeDatabase(database, stamped)
      if (this.#closed) return
    } catch (error) {
      // The generation stays frozen, is read as before, and is written again with the next one.
      this.#dirtySinceMs ??= this.#clock.monotonic()
      throw error
    }
    for (const store of this.#stores.values()) store.dropFrozen()
    for (const [store, checkpoint] of stamped) this.#written.set(store, checkpoint)
    this.#frozenBytes = 0
    this.#replayedBytes = 0
    this.#failure = undefined
    for (const store of this.#stores.values()) await this.#removeExpired(store)
  }

  /** Removes what no read can see any more, by the observed time that the database holds: a crash cannot take that back. */
  async #removeExpired({ name, database, prefix }: StoreLayers): Promise<void> {
    const layout = this.#layouts.get(name)
    if (layout === undefined || this.#closed) return
    const below = layout.expiredBelow((key) => database.get(Buffer.concat([prefix, key])))
    const from = this.#removedBelow.get(name)
    if (from?.equals(below) === true) return
    const removal = { limits: this.#limits, clock: this.#clock, isClosed: () => this.#closed }
    const start = layout.expiredBelow(() => undefined)
    await removeRange(
      database,
      { gte: Buffer.concat([prefix, from ?? start]), lt: Buffer.concat([prefix, below]) },
      removal,
    )
    this.#removedBelow.set(name, below)
  }

  /** All checkpoints that hold, as of now. */
  #stamp(): ReadonlyMap<string, StoredCheckpoint> {
    const writtenAtMs = this.#clock.now()
    this.#stampedAtMs = writtenAtMs
    const stamped = new Map<string, StoredCheckpoint>()
    for (const [store, at] of this.#checkpoints) stamped.set(store, { ...at, writtenAtMs })
    return stamped
  }

  async #writeDatabase(
    database: Database,
    checkpoints: ReadonlyMap<string, StoredCheckpoint>,
  ): Promise<void> {
    const stores = [...this.#stores.values()].filter((store) => store.database === database)
    const closing: DatabaseWrite[] = []
    for (const { name } of stores) {
      const checkpoint = checkpoints.get(name)
      if (checkpoint !== undefined) closing.push(checkpointWrite(name, checkpoint))
    }
    for (const slice of slices(allFrozen(stores), closing, this.#limits)) {
      await database.write(slice)
      await this.#clock.yield()
      if (this.#closed) return
    }
  }

  // --------------------------------------------------------------------- for state/restore.ts

  /** Records of the changelog of `store` as writes for `replay` or `applyRestored`, made one by one as they are asked for. Throws MILLRACE_CHANGELOG_CORRUPT. */
  *restoredWrites(
    store: string,
    records: Iterable<LogRecord>,
    from: TopicPartition & { readonly keyPrefixLength: number },
  ): Generator<DatabaseWrite> {
    const layers = this.#layers(store)
    const { prefix } = layers
    const layout = this.#layouts.get(store)
    if (layout === undefined) {
      const place = { ...from, storePrefix: prefix }
      for (const record of records) {
        const write = restoredWrite(record, place)
        if (write !== undefined) yield write
      }
      return
    }
    const over = { ...from, read: (key: Buffer) => layers.replayedAt(key) }
    for (const { key, value } of layout.restored(records, over)) {
      yield { key: Buffer.concat([prefix, key]), value }
    }
  }

  /** Whether another batch may be given to `replay`. Where not, the caller flushes, and goes on with `applyRestored`. */
  get canReplay(): boolean {
    return this.#replayedBytes < this.#limits.replayBytes
  }

  /**
   * Keeps what the log holds of `store`, entries with the store's prefix, and how far they reach, as
   * what was committed: the next flush brings both to the database. Asserts that the task has not begun.
   */
  replay(store: string, writes: Iterable<DatabaseWrite>, checkpoint: Checkpoint): void {
    const bytes = this.#unbegun(store).replay(writes)
    this.#replayedBytes += bytes
    this.#committedBytes += bytes
    this.#checkpoints.set(store, checkpoint)
    this.#dirtySinceMs ??= this.#clock.monotonic()
  }

  /**
   * Writes what the log holds of `store`, entries with the store's prefix, straight to the database,
   * in slices of which the last carries how far they reach. Asserts that nothing of the store waits
   * in the layers. The caller awaits each call before the next one of any store of the task.
   */
  async applyRestored(
    store: string,
    writes: Iterable<DatabaseWrite>,
    checkpoint: Checkpoint,
  ): Promise<void> {
    const { database } = this.#untouched(store)
    const stored = { ...checkpoint, writtenAtMs: this.#clock.now() }
    for (const slice of slices(writes, [checkpointWrite(store, stored)], this.#limits)) {
      await database.write(slice)
      await this.#clock.yield()
    }
    this.#written.set(store, stored)
    // What a replay had reached lies behind this: a flush for another store must not put it back.
    this.#checkpoints.set(store, checkpoint)
  }

  /** Removes all entries of `store` and, first of all, its checkpoint. What a replay kept of it is forgotten. Asserts that the task has not begun. */
  async clearStore(store: string): Promise<void> {
    const forgottenBytes = this.#unbegun(store).forgetReplayed()
    this.#replayedBytes -= forgottenBytes
    this.#committedBytes -= forgottenBytes
    const layers = this.#untouched(store)
    this.#checkpoints.delete(store)
    this.#written.delete(store)
    this.#removedBelow.delete(store)
    await layers.database.write([{ key: checkpointKey(store), value: null }])
    const removal = { limits: this.#limits, clock: this.#clock, isClosed: () => false }
    await removeRange(layers.database, layers.databaseRange, removal)
  }

  /** `store` reflects its changelog up to the end: its checkpoint holds from now on. Asserts that the task has not begun. */
  markRestored(store: string, checkpoint: Checkpoint): void {
    this.#unbegun(store)
    this.#checkpoints.set(store, checkpoint)
  }

  /** A store of which nothing is in the layers. */
  #untouched(name: string): StoreLayers {
    const layers = this.#layers(name)
    if (!layers.isClean) throw ownWrites(name)
    layers.forgetReads()
    return layers
  }

  /** A store of which nothing is in the layers but what a replay left there. */
  #unbegun(name: string): StoreLayers {
    const layers = this.#layers(name)
    const isOnlyReplayed = this.#committedBytes === this.#replayedBytes
    if (!isOnlyReplayed || !layers.isUnwritten) throw ownWrites(name)
    layers.forgetReads()
    return layers
  }

  #layers(name: string): StoreLayers {
    const layers = this.#stores.get(name)
    if (layers === undefined) throw new TypeError(`the task has no store ${name}`)
    return layers
  }
}

function* allFrozen(stores: readonly StoreLayers[]): Generator<DatabaseWrite> {
  for (const store of stores) yield* store.frozenWrites()
}

function checkpointWrite(store: string, checkpoint: StoredCheckpoint): DatabaseWrite {
  return { key: checkpointKey(store), value: encodeCheckpoint(checkpoint) }
}

function ownWrites(store: string): TypeError {
  return new TypeError(`store ${store} has writes of its own and cannot be restored`)
}
