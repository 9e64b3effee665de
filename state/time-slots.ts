/**
 * What stores whose entries expire have in common: they lie by slots of time, the oldest first.
 *
 *   0x00                   the observed time, an int64: the largest time that was put
 *   0x01 <int64 slot> …    entries of the times [slot * slotMs, (slot + 1) * slotMs)
 *
 * The rule is that of Kafka Streams' in-memory window store: an entry at t is gone as soon as the
 * store observed t + retentionMs. Reads hold it, whether or not the entry is still there; so slots
 * can go as one range, in the background, and nothing of that is logged. The observed time is an
 * entry, for it must die with an aborted commit and come back with a restore; it has no record of its
 * own, because every put that raises it has one.
 */
import { readInt64, writeInt64 } from './keys.ts'
import type { DatabaseWrite } from './store.ts'
import type { LayeredStore, ReadableStore } from './store-layers.ts'
import type { ReadEntry } from './store-layout.ts'

/** How a store divides time. */
export interface TimeSlots {
  readonly retentionMs: number
  readonly slotMs: number
}

/** Bytes of a key before what is the layout's own. */
export const SLOT_BYTES = 9

const OBSERVED = Buffer.of(0)
const ENTRY = 0x01
const NOTHING_OBSERVED = -1

/** Checks a duration of a spec: a RangeError names it. */
export function asDuration(ms: number, what: string, leastMs = 1): number {
  if (Number.isSafeInteger(ms) && ms >= leastMs) return ms
  throw new RangeError(`${what} is a whole number of milliseconds, at least ${leastMs}, not ${ms}`)
}

/** The largest time that `bytes` holds or held, -1 where there is none. */
export function observedOf(bytes: Pick<ReadableStore, 'get'>): number {
  return timeOf(bytes.get(OBSERVED))
}

/** The first time that is not expired. */
export function liveFrom(observedMs: number, { retentionMs }: TimeSlots): number {
  return Math.max(0, observedMs - retentionMs + 1)
}

/** Observes `timeMs`, which is about to be put; false where it has expired. */
export function admit(bytes: LayeredStore, timeMs: number, slots: TimeSlots): boolean {
  if (!isTime(timeMs)) throw new RangeError(`not a time to keep something at: ${timeMs}`)
  const observedMs = observedOf(bytes)
  if (timeMs <= observedMs) return timeMs >= liveFrom(observedMs, slots)
  bytes.put(OBSERVED, int64(timeMs))
  return true
}

/** Whether entries can be at `timeMs`. */
export function isTime(timeMs: number): boolean {
  return Number.isSafeInteger(timeMs) && timeMs >= 0
}

/** A key of the slot that `timeMs` is in, with `bodyBytes` bytes behind it for the layout to fill. */
export function slotKey(timeMs: number, { slotMs }: TimeSlots, bodyBytes = 0): Buffer {
  const key = Buffer.allocUnsafe(SLOT_BYTES + bodyBytes)
  key.writeUInt8(ENTRY, 0)
  writeInt64(key, Math.floor(timeMs / slotMs), 1)
  return key
}

/** Whether a layer's key is the observed time and not an entry. */
export function isObserved(key: Buffer): boolean {
  return key.equals(OBSERVED)
}

/** The key below which the database's entries have expired, by the database's own observed time: no live one is ever smaller. */
export function expiredBelow(read: ReadEntry, slots: TimeSlots): Buffer {
  return slotKey(liveFrom(timeOf(read(OBSERVED)), slots), slots)
}

/** The observed time while records are restored: raised by each, written once. */
export class RestoredTime {
  readonly #slots: TimeSlots
  readonly #beforeMs: number
  #observedMs: number

  constructor(read: ReadEntry, slots: TimeSlots) {
    this.#slots = slots
    this.#beforeMs = timeOf(read(OBSERVED))
    this.#observedMs = this.#beforeMs
  }

  /** As the store's `put` does; false where the record has expired. */
  admit(timeMs: number): boolean {
    this.#observedMs = Math.max(this.#observedMs, timeMs)
    return timeMs >= liveFrom(this.#observedMs, this.#slots)
  }

  *writes(): Generator<DatabaseWrite> {
    if (this.#observedMs > this.#beforeMs) yield { key: OBSERVED, value: int64(this.#observedMs) }
  }
}

function timeOf(stored: Buffer | undefined): number {
  return stored === undefined ? NOTHING_OBSERVED : readInt64(stored, 0)
}

function int64(n: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  writeInt64(bytes, n, 0)
  return bytes
}
