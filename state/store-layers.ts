/**
 * One store's bytes in the layers of its task (state/layers.ts says what the layers are for):
 *
 *   live       what was written since the last seal
 *   sealed     what the commit in flight will make durable; nobody changes it
 *   committed  committed in the log, not yet on its way to the database
 *   frozen     being written to the database
 *   cache      what the database holds, as far as it was read or written lately
 *   database
 *
 * A read asks them from the top. Each layer is a map from the latin1 text of the key's bytes, which
 * hashes once and compares fast, to a cell: the value, or, for a deletion, its timestamp. So a read
 * or write on the record path makes one string and nothing else.
 */
import { changelogWrite, type ChangelogWrite } from './changelog.ts'
import { ENTRY_OVERHEAD_BYTES, type CacheSegment } from './read-cache.ts'
import { endOfPrefix, storePrefix } from './keys.ts'
import { mergeRange } from './merged-range.ts'
import type { Database, DatabaseWrite, KeyRange } from './store.ts'
import type { StoreLayout } from './store-layout.ts'

/** A value's bytes, or the timestamp of the deletion (milliseconds since 1970). */
export type Cell = Buffer | number

/** Of a deletion that came from the log, and does not go there again: its timestamp matters to nobody. */
const REPLAYED_DELETION = 0

/** Cells by the latin1 text of their keys, in the order of their first write. */
export type Layer = ReadonlyMap<string, Cell>

/** A key as bytes, or as their latin1 text, which is what the layers go by: for who asks for one more than once. */
export type StoreKey = Buffer | string

/** What can be asked of a store as bytes. `keyStart` is where the key begins in `key`: a serde's prefix is not part of it. */
export interface ReadableStore {
  readonly name: string
  /** The newest value. The buffer is shared: never change it. */
  get(key: StoreKey, keyStart?: number): Buffer | undefined
  /** A snapshot as of the call, ascending, keys without the store's prefix. Costs one pass over the layers. */
  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]>
}

/** A store as bytes, as its task sees it: reads see what was written in this commit or before. */
export interface LayeredStore extends ReadableStore {
  /** Keeps `value` as it is: the caller hands it over and does not change it any more. */
  put(key: StoreKey, value: Buffer, keyStart?: number): void
  /** `put` of a key that is in no layer and not in the database: if it is deleted before the seal, no trace is left. */
  insert(key: StoreKey, value: Buffer, keyStart?: number): void
  /** `timestamp` becomes that of the changelog's tombstone, milliseconds since 1970. */
  delete(key: StoreKey, timestamp: number, keyStart?: number): void
  /** The same store without what may still be aborted: for readers other than the task. */
  readonly committed: ReadableStore
}

/** Bytes of the live layers of a task's stores, counted as they are written. */
export interface LiveMeter {
  liveBytes: number
}

/** The running half of LayeredStore, with the moves that only TaskState makes. */
export class StoreLayers implements LayeredStore {
  readonly name: string
  readonly logged: boolean
  readonly database: Database
  readonly prefix: Buffer
  readonly #cache: CacheSegment
  readonly #meter: LiveMeter
  readonly #layout: StoreLayout | undefined
  /** Where the database is known to hold nothing from, for a store with times; found when first asked for. */
  #emptyFrom: string | undefined
  #live = new Map<string, Cell>()
  /** Keys of the live layer that nothing below holds. */
  #inserted = new Set<string>()
  #sealed: Map<string, Cell> | undefined
  /** Keys of the sealed layer that nothing below holds. */
  #sealedInserted: ReadonlySet<string> = new Set()
  #committed = new Map<string, Cell>()
  #frozen: Layer | undefined

  constructor(options: {
    readonly name: string
    readonly logged: boolean
    readonly database: Database
    readonly cache: CacheSegment
    readonly meter: LiveMeter
    /** Of a store with times. */
    readonly layout: StoreLayout | undefined
  }) {
    this.name = options.name
    this.logged = options.logged
    this.database = options.database
    this.prefix = storePrefix(options.name)
    this.#cache = options.cache
    this.#meter = options.meter
    this.#layout = options.layout
  }

  get(key: StoreKey, keyStart = 0): Buffer | undefined {
    const text = textOf(key, keyStart)
    let cell = this.#live.get(text)
    if (cell === undefined && this.#sealed !== undefined) cell = this.#sealed.get(text)
    if (cell !== undefined) return typeof cell === 'number' ? undefined : cell
    return this.#committedAt(text)
  }

  #committedAt(text: string): Buffer | undefined {
    let cell = this.#committed.get(text)
    if (cell === undefined && this.#frozen !== undefined) cell = this.#frozen.get(text)
    if (cell !== undefined) return typeof cell === 'number' ? undefined : cell
    // Most of what a store with times is asked for is new: it is worth not looking for it.
    if (this.#layout !== undefined && text >= this.#emptyFromOf(this.#layout)) return undefined
    const cached = this.#cache.get(text)
    if (cached !== undefined) return cached ?? undefined
    const stored = this.database.get(this.#databaseKey(text))
    this.#cache.admit(text, stored ?? null)
    return stored
  }

  put(key: StoreKey, value: Buffer, keyStart = 0): void {
    this.#set(textOf(key, keyStart), value)
  }

  insert(key: StoreKey, value: Buffer, keyStart = 0): void {
    const text = textOf(key, keyStart)
    // A key that this commit deleted is below all the same: its deletion must not be forgotten.
    if (!this.#live.has(text)) this.#inserted.add(text)
    this.#set(text, value)
  }

  delete(key: StoreKey, timestamp: number, keyStart = 0): void {
    const text = textOf(key, keyStart)
    if (this.#inserted.size > 0 && this.#inserted.delete(text)) {
      const cell = this.#live.get(text)
      if (cell !== undefined) this.#meter.liveBytes -= cellBytes(text, cell)
      this.#live.delete(text)
    } else {
      this.#set(text, timestamp)
    }
  }

  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]> {
    return this.#merged([this.#frozen, this.#committed, this.#sealed, this.#live], range)
  }

  get committed(): ReadableStore {
    return {
      name: this.name,
      get: (key, keyStart = 0) => this.#committedAt(textOf(key, keyStart)),
      range: (range) => this.#merged([this.#frozen, this.#committed], range),
    }
  }

  #merged(
    layers: readonly (Layer | undefined)[],
    range: KeyRange,
  ): AsyncIterable<readonly [Buffer, Buffer]> {
    return mergeRange(
      layers.filter((layer) => layer !== undefined),
      { database: this.database, prefix: this.prefix, range },
    )
  }

  // ---------------------------------------------------------------------- TaskState's moves

  /** Live becomes sealed. */
  seal(): void {
    this.#sealed = this.#live
    this.#live = new Map()
    this.#sealedInserted = this.#inserted
    this.#inserted = new Set()
  }

  /** Adds the changes of the sealed layer, keys in the order of their first write. */
  addChanges(to: ChangelogWrite[]): void {
    const { name: store } = this
    const layout = this.#layout
    const before = (text: string): Buffer | undefined =>
      this.#sealedInserted.has(text) ? undefined : this.#committedAt(text)
    for (const [text, cell] of this.#sealed ?? []) {
      if (layout === undefined) to.push(changelogWrite(store, text, cell))
      else layout.addChanges({ store, text, cell, before }, to)
    }
  }

  /** Sealed joins committed. Answers the bytes that are forgotten by that: what was there before, and what has expired now. */
  commit(): number {
    const sealed = this.#sealed
    this.#sealed = undefined
    if (sealed === undefined) return 0
    let bytes = 0
    if (this.#committed.size === 0) this.#committed = sealed
    else {
      for (const [text, cell] of sealed) {
        const before = this.#committed.get(text)
        if (before !== undefined) bytes += cellBytes(text, before)
        this.#committed.set(text, cell)
      }
    }
    return bytes + this.#forgetExpired()
  }

  /** No read sees it and no flush would write it. It stands in the order of its first write, which is about that of its slots: what does not is left for the flush. */
  #forgetExpired(): number {
    const [from, to] = this.#expired((text) => this.#committedAt(text))
    let bytes = 0
    for (const [text, cell] of this.#committed) {
      if (text >= to) break
      if (text < from) continue
      this.#committed.delete(text)
      bytes += cellBytes(text, cell)
    }
    return bytes
  }

  /** Forgets live and sealed. */
  abort(): void {
    this.#live = new Map()
    this.#inserted.clear()
    this.#sealed = undefined
  }

  /** Committed becomes frozen. What a failed flush left frozen stays below it, in the same layer. */
  freeze(): void {
    if (this.#frozen === undefined || this.#frozen.size === 0) {
      this.#frozen = this.#committed
    } else {
      this.#frozen = new Map([...this.#frozen, ...this.#committed])
    }
    this.#committed = new Map()
  }

  /** The frozen layer as writes of the database, made one by one as they are asked for. What has expired already is not written: nobody could see it there, and it would be removed next. */
  *frozenWrites(): Generator<DatabaseWrite> {
    const [from, to] = this.#expired((text) => this.#frozenAt(text))
    for (const [text, cell] of this.#frozen ?? []) {
      if (text < to && text >= from) continue
      yield { key: this.#databaseKey(text), value: typeof cell === 'number' ? null : cell }
      // The frozen layer is asked first until it is dropped, so the cache may know before the disk does.
      this.#cache.admit(text, typeof cell === 'number' ? null : cell)
    }
  }

  /** What the database holds under a key when it has what is frozen. */
  #frozenAt(text: string): Buffer | undefined {
    const cell = this.#frozen?.get(text)
    if (cell === undefined) return this.database.get(this.#databaseKey(text))
    return typeof cell === 'number' ? undefined : cell
  }

  /** Between which keys entries have expired, by what `read` finds. */
  #expired(read: (text: string) => Buffer | undefined): readonly [from: string, to: string] {
    if (this.#layout === undefined) return ['', '']
    const from = this.#layout.expiredBelow(() => undefined)
    const to = this.#layout.expiredBelow((key) => read(key.toString('latin1')))
    return [from.toString('latin1'), to.toString('latin1')]
  }

  #emptyFromOf(layout: StoreLayout): string {
    this.#emptyFrom ??= layout
      .emptyFrom((key) => this.database.get(this.#databaseKey(key.toString('latin1'))))
      .toString('latin1')
    return this.#emptyFrom
  }

  /** The database holds all that was frozen. */
  dropFrozen(): void {
    this.#frozen = undefined
    this.#emptyFrom = undefined
  }

  /** Keeps what the log holds, keys with the store's prefix, as what was committed. Answers the bytes by which the layer has grown. */
  replay(writes: Iterable<DatabaseWrite>): number {
    let bytes = 0
    // All of them are made before the first is kept: what makes them reads what was there before.
    for (const { key, value } of Array.from(writes)) {
      const text = key.toString('latin1', this.prefix.length)
      const before = this.#committed.get(text)
      const cell = value ?? REPLAYED_DELETION
      bytes += cellBytes(text, cell) - (before === undefined ? 0 : cellBytes(text, before))
      this.#committed.set(text, cell)
    }
    return bytes
  }

  /** What a replay has reached at a key; past the cache, which does not hear of what a restore writes. */
  replayedAt(key: Buffer): Buffer | undefined {
    const text = key.toString('latin1')
    const cell = this.#committed.get(text)
    if (cell === undefined) return this.database.get(this.#databaseKey(text))
    return typeof cell === 'number' ? undefined : cell
  }

  /** Forgets what a replay kept, and answers its bytes. */
  forgetReplayed(): number {
    let bytes = 0
    for (const [text, cell] of this.#committed) bytes += cellBytes(text, cell)
    this.#committed = new Map()
    return bytes
  }

  /** Whether anything was written that is not in the database. */
  get isClean(): boolean {
    return this.isUnwritten && this.#committed.size === 0
  }

  /** Whether nothing is being written, by the task or to the database. */
  get isUnwritten(): boolean {
    return this.#live.size === 0 && this.#sealed === undefined && this.#frozen === undefined
  }

  /** Forgets what was read: the database is about to change below. */
  forgetReads(): void {
    this.#cache.clear()
    this.#emptyFrom = undefined
  }

  /** Where the database keeps what is not smaller than this store's keys and smaller than its end. */
  get databaseRange(): KeyRange {
    const lt = endOfPrefix(this.prefix)
    return lt === undefined ? { gte: this.prefix } : { gte: this.prefix, lt }
  }

  #set(text: string, cell: Cell): void {
    const before = this.#live.get(text)
    this.#meter.liveBytes +=
      cellBytes(text, cell) - (before === undefined ? 0 : cellBytes(text, before))
    this.#live.set(text, cell)
  }

  #databaseKey(text: string): Buffer {
    const key = Buffer.allocUnsafe(this.prefix.length + text.length)
    this.prefix.copy(key)
    key.write(text, this.prefix.length, 'latin1')
    return key
  }
}

function textOf(key: StoreKey, keyStart: number): string {
  return typeof key === 'string' ? key : key.toString('latin1', keyStart)
}

function cellBytes(text: string, cell: Cell): number {
  return text.length + (typeof cell === 'number' ? 0 : cell.length) + ENTRY_OVERHEAD_BYTES
}
