/**
 * The last offset of each key, in a fixed number of bytes: what compaction has to know of the records
 * that came since its last round. A Map of strings would take 100 bytes and more for each key and
 * have no bound. Here keys lie one after the other in one buffer and a table of places leads to them
 * (open addressing, linear probing). A key is compared whole, so that no two are ever taken for one;
 * a long one counts by its SHA-256.
 *
 * Rejected: digests of 16 bytes for every key, as Kafka's cleaner has them. They cost 3 µs each in
 * Node, thirty times a comparison, and save little where keys are as short as they mostly are.
 */
import { createHash } from 'node:crypto'

/** Keys of more bytes count by their digest. */
const LONGEST_KEY_BYTES = 64
/** Says in a length's place that the bytes are a digest. */
const IS_DIGEST = 0xff
const OFFSET_BYTES = 8
/** Offset and length before each key. */
const ENTRY_HEAD_BYTES = OFFSET_BYTES + 1
/** Part of the table that may be used: beyond it, probing becomes slow. */
const LARGEST_LOAD = 0.75
/** Part of the bytes that the table has. */
const TABLE_PART = 0.25
const FEWEST_BYTES = 1024

/** Keys and their last offsets. */
export class KeyOffsets {
  readonly #arena: Buffer
  /** Places in the arena plus one; 0 is free. */
  readonly #table: Int32Array
  readonly #seed: number
  #used = 0
  #count = 0
  // The key at hand, as it is kept: fields, because a call with an object for each record would make garbage.
  #key: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0
  #length = 0

  /** `limitBytes`: all that it ever takes. `seed`: makes the order of the table unknown to whoever makes keys. */
  constructor(limitBytes: number, seed: number) {
    const bytes = Math.min(Math.max(limitBytes, FEWEST_BYTES), 2 ** 31 - 1)
    const tableBytes = bytes * TABLE_PART
    this.#table = new Int32Array(Math.floor(tableBytes / Int32Array.BYTES_PER_ELEMENT))
    this.#arena = Buffer.allocUnsafeSlow(Math.floor(bytes - tableBytes))
    this.#seed = seed | 0
  }

  /** How many keys it has. */
  get size(): number {
    return this.#count
  }

  /** The last offset of the key in `buffer[start, end)`, or -1. */
  get(buffer: Buffer, start: number, end: number): number {
    this.#select(buffer, start, end)
    const place = this.#table[this.#find()] ?? 0
    return place === 0 ? -1 : this.#arena.readDoubleLE(place - 1)
  }

  /** Sets the last offset of the key in `buffer[start, end)`; false, and nothing changed, where there is no room for it. */
  // oxlint-disable-next-line max-params -- one call per record: an options object would be garbage.
  set(buffer: Buffer, start: number, end: number, offset: number): boolean {
    this.#select(buffer, start, end)
    const slot = this.#find()
    let place = this.#table[slot] ?? 0
    if (place === 0) {
      place = this.#add()
      if (place === 0) return false
      this.#table[slot] = place
    }
    this.#arena.writeDoubleLE(offset, place - 1)
    return true
  }

  #select(buffer: Buffer, start: number, end: number): void {
    const isLong = end - start > LONGEST_KEY_BYTES
    this.#key = isLong ? digestOf(buffer, start, end) : buffer
    this.#start = isLong ? 0 : start
    this.#end = isLong ? this.#key.length : end
    this.#length = isLong ? IS_DIGEST : end - start
  }

  /** Puts the key in the arena; returns its place plus one, or 0 where there is no room. */
  #add(): number {
    const at = this.#used
    const next = at + ENTRY_HEAD_BYTES + this.#end - this.#start
    const isFull = next > this.#arena.length || this.#count >= this.#table.length * LARGEST_LOAD
    if (isFull) return 0
    this.#arena[at + OFFSET_BYTES] = this.#length
    this.#key.copy(this.#arena, at + ENTRY_HEAD_BYTES, this.#start, this.#end)
    this.#used = next
    this.#count += 1
    return at + 1
  }

  /** The slot that has the key, or the free one where it belongs. */
  #find(): number {
    const slots = this.#table.length
    let slot = this.#hash() % slots
    for (;;) {
      const place = this.#table[slot] ?? 0
      if (place === 0 || this.#isAt(place - 1)) return slot
      slot = slot + 1 === slots ? 0 : slot + 1
    }
  }

  #isAt(place: number): boolean {
    const arena = this.#arena
    const key = this.#key
    if (arena[place + OFFSET_BYTES] !== this.#length) return false
    const shift = place + ENTRY_HEAD_BYTES - this.#start
    for (let at = this.#start; at < this.#end; at += 1) {
      if (arena[shift + at] !== key[at]) return false
    }
    return true
  }

  /** FNV-1a from a seed, stirred as MurmurHash3 ends. */
  #hash(): number {
    const key = this.#key
    let hash = 0x811c9dc5 ^ this.#seed
    for (let at = this.#start; at < this.#end; at += 1) {
      hash = Math.imul(hash ^ (key[at] ?? 0), 0x01000193)
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return (hash ^ (hash >>> 16)) >>> 0
  }
}

function digestOf(buffer: Buffer, start: number, end: number): Buffer {
  return createHash('sha256').update(buffer.subarray(start, end)).digest()
}
