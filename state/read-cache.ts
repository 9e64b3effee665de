/**
 * What a task has read or written lately, so that LevelDB is asked (2 to 6 microseconds) as seldom
 * as possible. Two generations: entries enter the young one; when it holds half the bytes it becomes
 * the old one and the former old one is forgotten; a hit in the old one moves the entry forward. That
 * approximates "least recently used" with plain maps; a linked list would cost more than it saves.
 * A null says that the database holds no such key, which is what a join asks most of the time.
 */

/** What an entry costs beside its key and value (map slot, string, buffer and its share of a slab): 190 to 260 measured on Node 24. */
export const ENTRY_OVERHEAD_BYTES = 200

/** The cache of one task: one bound on bytes over all of its stores. */
export class ReadCache {
  readonly #generationBytes: number
  readonly #segments: CacheSegment[] = []
  #youngBytes = 0

  constructor(limitBytes: number) {
    this.#generationBytes = limitBytes / 2
  }

  /** A new store's part of the cache. */
  addSegment(): CacheSegment {
    const segment = new CacheSegment(this)
    this.#segments.push(segment)
    return segment
  }

  /** Makes room for an entry of `bytes`. False where it is larger than a whole generation: it is then not kept. */
  makeRoom(bytes: number): boolean {
    if (bytes > this.#generationBytes) return false
    if (this.#youngBytes + bytes > this.#generationBytes) {
      for (const segment of this.#segments) segment.age()
      this.#youngBytes = 0
    }
    this.#youngBytes += bytes
    return true
  }
}

/** One store's part of the cache. It must not be asked for a key that a newer layer holds. */
export class CacheSegment {
  readonly #cache: ReadCache
  #young = new Map<string, Buffer | null>()
  #old = new Map<string, Buffer | null>()

  constructor(cache: ReadCache) {
    this.#cache = cache
  }

  /** The value, null where the database is known to hold none, undefined where nothing is known. */
  get(key: string): Buffer | null | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.admit(key, old)
    return old
  }

  /** Keeps what the database holds under `key`, and forgets what was known before. */
  admit(key: string, value: Buffer | null): void {
    const bytes = key.length + (value === null ? 0 : value.length) + ENTRY_OVERHEAD_BYTES
    if (this.#cache.makeRoom(bytes)) {
      this.#young.set(key, value)
    } else {
      this.#young.delete(key)
      this.#old.delete(key)
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }

  /** The young generation becomes the old one. */
  age(): void {
    this.#old = this.#young
    this.#young = new Map()
  }
}
