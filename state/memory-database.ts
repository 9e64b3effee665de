/**
 * A database in memory, for stores without persistence, for tests and for the simulation.
 *
 * It has two halves, like LevelDB in a process that may be killed. The durable half (MemoryDisk)
 * outlives the process; the volatile half is the batch in flight, which reads already see and which
 * becomes durable, whole, at the moment its write resolves. A crash keeps the first and keeps or
 * drops the second: both are what a kill can leave behind, and a caller must be right with either.
 */
import type { Database, DatabaseWrite, KeyRange } from './store.ts'

/** What survives a crash: entries by the latin1 text of their keys. */
export interface MemoryDisk {
  readonly entries: Map<string, Buffer>
}

/** How a memory database behaves. */
export interface MemoryDatabaseOptions {
  /** The durable half to open over. Default: an empty one. */
  readonly disk?: MemoryDisk
  /** Settles when a batch reached the disk; what it rejects with, the write rejects with, and the batch is gone. Default: at once. */
  readonly settle?: (writes: readonly DatabaseWrite[]) => Promise<void>
}

/** A database that can be crashed. */
export interface MemoryDatabase extends Database {
  readonly disk: MemoryDisk
  /** Ends it as a kill would: a write in flight never settles, and reached the disk (`keep`) or did not (`drop`). Returns the durable half, to be opened again. */
  crash(inFlight: 'keep' | 'drop'): MemoryDisk
}

/** An empty disk. */
export function memoryDisk(): MemoryDisk {
  return { entries: new Map() }
}

/** Opens a memory database. */
export function memoryDatabase(options: MemoryDatabaseOptions = {}): MemoryDatabase {
  return new CrashableMap(options.disk ?? memoryDisk(), options.settle)
}

type Batch = ReadonlyMap<string, Buffer | null>

class CrashableMap implements MemoryDatabase {
  readonly disk: MemoryDisk
  readonly #settle: MemoryDatabaseOptions['settle']
  #inFlight: Batch | undefined
  #closed = false
  // The disk's keys in order, made by the first range after the set of keys changed.
  #sortedKeys: readonly string[] | undefined

  constructor(disk: MemoryDisk, settle: MemoryDatabaseOptions['settle']) {
    this.disk = disk
    this.#settle = settle
  }

  get(key: Buffer): Buffer | undefined {
    this.#assertOpen()
    const text = key.toString('latin1')
    const written = this.#inFlight?.get(text)
    if (written !== undefined) return written ?? undefined
    return this.disk.entries.get(text)
  }

  async write(writes: readonly DatabaseWrite[]): Promise<void> {
    this.#assertOpen()
    if (this.#inFlight !== undefined) throw new TypeError('a write is in flight already')
    const batch = new Map(writes.map(({ key, value }) => [key.toString('latin1'), value]))
    this.#inFlight = batch
    try {
      if (this.#settle !== undefined) await this.#settle(writes)
    } finally {
      // A process that was killed learns nothing more, not even that its write failed.
      if (this.#closed) await new Promise<never>(() => undefined)
      this.#inFlight = undefined
    }
    this.#apply(batch)
  }

  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]> {
    this.#assertOpen()
    return yieldAll(this.#snapshot(range))
  }

  keys(range: KeyRange): AsyncIterable<Buffer> {
    this.#assertOpen()
    return yieldAll(this.#snapshot(range).map(([key]) => key))
  }

  crash(inFlight: 'keep' | 'drop'): MemoryDisk {
    this.#closed = true
    if (inFlight === 'keep' && this.#inFlight !== undefined) this.#apply(this.#inFlight)
    return this.disk
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
  }

  #snapshot(range: KeyRange): readonly (readonly [Buffer, Buffer])[] {
    const keys = (this.#sortedKeys ??= [...this.disk.entries.keys()].toSorted(byCodeUnit))
    const from = range.gte === undefined ? 0 : firstAtOrAfter(keys, range.gte.toString('latin1'))
    const to =
      range.lt === undefined ? keys.length : firstAtOrAfter(keys, range.lt.toString('latin1'))
    const found: (readonly [Buffer, Buffer])[] = []
    for (const key of keys.slice(from, to)) {
      const value = this.disk.entries.get(key)
      if (value !== undefined) found.push([Buffer.from(key, 'latin1'), value])
    }
    return found
  }

  #apply(batch: Batch): void {
    const { entries } = this.disk
    const keysBefore = entries.size
    let deleted = false
    for (const [key, value] of batch) {
      if (value === null) deleted = entries.delete(key) || deleted
      else entries.set(key, value)
    }
    if (deleted || entries.size !== keysBefore) this.#sortedKeys = undefined
  }

  #assertOpen(): void {
    if (this.#closed) throw new TypeError('the memory database is closed')
  }
}

async function* yieldAll<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

// Latin1 text compares as its bytes do.
function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function firstAtOrAfter(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
