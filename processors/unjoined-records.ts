/**
 * The records of a left or outer join that have met nobody yet. They are in a store, which both sides
 * share, and in memory in the order in which their windows close: Kafka Streams scans its store for
 * that, at most once a second; here it is a look at the top of two heaps, so that a window is closed
 * by the first record behind it.
 *
 * A record waits until time has passed its timestamp, its own side's reach into the future and the
 * grace. Of several that are over, the order is Kafka Streams': by timestamp, then the right side
 * first, then the bytes of keys.
 */
import type { OpenSerde } from '../serdes/serde.ts'
import type { KeyValueStore } from '../state/store.ts'
import type { JoinWindows } from './join-windows.ts'
import { TimestampQueue } from './timestamp-queue.ts'
import type { TimeMark, UnjoinedKey, UnjoinedValues } from './unjoined-serde.ts'

/** The store of unjoined records. */
export type UnjoinedStore<K, L, R> = KeyValueStore<UnjoinedKey<K> | TimeMark, UnjoinedValues<L, R>>

/** What comes out for the records of one place whose window is over. */
export interface ClosedRecords<K, Out> {
  readonly key: K
  readonly timestamp: number
  readonly results: readonly Out[]
}

/** What unjoined records are kept and closed with. */
export interface UnjoinedParts<K, L, R, Out> {
  readonly key: OpenSerde<K>
  readonly windows: JoinWindows
  readonly leftAlone: ((left: L, key: K) => Out) | undefined
  readonly rightAlone: ((right: R, key: K) => Out) | undefined
}

/** What waits on both sides of a join, in one incarnation of a task. */
export class UnjoinedRecords<K, L, R, Out> {
  readonly #store: UnjoinedStore<K, L, R>
  readonly #parts: UnjoinedParts<K, L, R, Out>
  readonly #left: WaitingSide<K>
  readonly #right: WaitingSide<K>
  #mark: TimeMark | undefined

  constructor(store: UnjoinedStore<K, L, R>, parts: UnjoinedParts<K, L, R, Out>) {
    const { windows } = parts
    this.#store = store
    this.#parts = parts
    this.#left = new WaitingSide(windows.afterMs + windows.graceMs)
    this.#right = new WaitingSide(windows.beforeMs + windows.graceMs)
  }

  /** Reads what waits. */
  async open(): Promise<void> {
    for await (const [place] of this.#store.range()) {
      if ('isMark' in place) this.#mark = place
      else this.#side(place.isLeft).add(this.#idOf(place.timestamp, place.key), place)
    }
  }

  /** The time that was kept; -1 where none was. */
  get keptTime(): number {
    return this.#mark?.timestamp ?? -1
  }

  /** Keeps how far time has come, in place of what was kept before; undefined where other stores tell. */
  keepTime(timestamp: number | undefined): void {
    const before = this.#mark
    if (timestamp === before?.timestamp) return
    this.#mark = timestamp === undefined ? undefined : { timestamp, isMark: true }
    if (before !== undefined) this.#store.delete(before, timestamp ?? before.timestamp)
    if (this.#mark !== undefined) {
      this.#store.insert(this.#mark, { isLeft: true, values: [] }, this.#mark.timestamp)
    }
  }

  /** At how many places records wait. */
  get size(): number {
    return this.#left.size + this.#right.size
  }

  addLeft(key: K, value: L, timestamp: number): void {
    this.#add({ timestamp, isLeft: true, key }, (before) => ({
      isLeft: true,
      values: before?.isLeft === true ? [...before.values, value] : [value],
    }))
  }

  addRight(key: K, value: R, timestamp: number): void {
    this.#add({ timestamp, isLeft: false, key }, (before) => ({
      isLeft: false,
      values: before?.isLeft === false ? [...before.values, value] : [value],
    }))
  }

  /** A record of that side, key and timestamp has met a partner: it and those beside it wait no longer. */
  remove({ isLeft, key, timestamp }: UnjoinedKey<K>, nowMs: number): void {
    const side = this.#side(isLeft)
    if (side.size === 0) return
    const place = side.remove(this.#idOf(timestamp, key))
    if (place !== undefined) this.#store.delete(place, nowMs)
  }

  /** Takes away what is next of what is over at `nowMs`; undefined where nothing is. */
  takeClosed(nowMs: number): ClosedRecords<K, Out> | undefined {
    const [left, right] = [this.#left.closedBy(nowMs), this.#right.closedBy(nowMs)]
    const side = right <= left ? this.#right : this.#left
    const place = side.takeClosed(nowMs)
    if (place === undefined) return undefined
    const row = this.#store.get(place)
    if (row === undefined) throw new TypeError(`a row of ${this.#store.name} is not known`)
    this.#store.delete(place, nowMs)
    const { key, timestamp } = place
    return { key, timestamp, results: this.#alone(key, row) }
  }

  #alone(key: K, row: UnjoinedValues<L, R>): readonly Out[] {
    const { leftAlone, rightAlone } = this.#parts
    if (row.isLeft) return leftAlone ? row.values.map((left) => leftAlone(left, key)) : []
    return rightAlone ? row.values.map((right) => rightAlone(right, key)) : []
  }

  #add(
    place: UnjoinedKey<K>,
    withOneMore: (before: UnjoinedValues<L, R> | undefined) => UnjoinedValues<L, R>,
  ): void {
    const { timestamp, key, isLeft } = place
    const side = this.#side(isLeft)
    const id = this.#idOf(timestamp, key)
    const known = side.get(id)
    if (known === undefined) {
      side.add(id, place)
      // Most meet their partner within a commit: then nothing of them is ever logged.
      this.#store.insert(place, withOneMore(undefined), timestamp)
    } else {
      this.#store.put(known, withOneMore(this.#store.get(known)), timestamp)
    }
  }

  #side(isLeft: boolean): WaitingSide<K> {
    return isLeft ? this.#left : this.#right
  }

  /** Of equal timestamps, ids sort as the bytes of keys do. */
  #idOf(timestamp: number, key: K): string {
    const serde = this.#parts.key
    return `${timestamp}:${serde.serialize(key).toString('latin1', serde.prefix.length)}`
  }
}

/** The places of one side, by the ends of their windows. */
class WaitingSide<K> {
  /** How long after its timestamp a record may still meet a partner. */
  readonly #openMs: number
  readonly #queue = new TimestampQueue<string>(byText)
  readonly #places = new Map<string, UnjoinedKey<K>>()

  constructor(openMs: number) {
    this.#openMs = openMs
  }

  get size(): number {
    return this.#places.size
  }

  get(id: string): UnjoinedKey<K> | undefined {
    return this.#places.get(id)
  }

  add(id: string, place: UnjoinedKey<K>): void {
    this.#places.set(id, place)
    this.#queue.add(id, place.timestamp)
  }

  remove(id: string): UnjoinedKey<K> | undefined {
    const place = this.#places.get(id)
    if (place === undefined) return undefined
    this.#places.delete(id)
    this.#queue.remove(id)
    return place
  }

  /** The timestamp of the oldest place if it is over, Infinity where none is. */
  closedBy(nowMs: number): number {
    const { oldest } = this.#queue
    return oldest !== undefined && oldest < nowMs - this.#openMs ? oldest : Infinity
  }

  takeClosed(nowMs: number): UnjoinedKey<K> | undefined {
    const id = this.#queue.takeBefore(nowMs - this.#openMs)
    return id === undefined ? undefined : this.remove(id)
  }
}

function byText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
