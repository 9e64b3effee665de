/**
 * What stores whose entries expire have in common: they lie by slots of time, the oldest first.
 *
 *   0x00                   int64 observed time ‖ int64 expiry time
 *   0x00 0x01              int64 observed time ‖ int64 reached time of the step that keeps the store
 *   0x01 <int64 slot> …    entries of the times [slot * slotMs, (slot + 1) * slotMs)
 *
 * The rule is that of Kafka Streams' in-memory window store: an entry at t is gone as soon as the
 * store observed t + retentionMs, the largest time put being the observed one. What is still held
 * upstream in the task, by a slow service, holds the expiry back: the expiry time is the largest that
 * min(observed, held) ever was. Reads keep the rule, whether or not an entry is still there; so slots
 * can go as one range, in the background, and nothing of that is logged.
 *
 * The times are entries, for they must die with an aborted commit. A restore brings the observed ones
 * back from the keys and the timestamps of records, for every put that raises them has one; of expiry
 * it assumes nothing, because what was held when is not in the log.
 */
import type { LogRecord } from '../model/record.ts'
import { readInt64, writeInt64 } from './keys.ts'
import type { DatabaseWrite, StepTime } from './store.ts'
import type { LayeredStore, ReadableStore } from './store-layers.ts'
import type { ReadEntry, RestoredOver, StoreLayout } from './store-layout.ts'

/** How a store divides time. */
export interface TimeSlots {
  readonly retentionMs: number
  readonly slotMs: number
}

/** Bytes of a key before what is the layout's own. */
export const SLOT_BYTES = 9

const TIMES = Buffer.of(0)
/** As text, for it is asked for with every record. */
const TIMES_TEXT = TIMES.toString('latin1')
const STEP_TIME = Buffer.of(0, 1)
const ENTRY = 0x01
const NO_TIMES: Times = Object.freeze({ observedMs: -1, expiryMs: -1 })

/** Checks a duration of a spec: a RangeError names it. */
export function asDuration(ms: number, what: string, leastMs = 1): number {
  if (Number.isSafeInteger(ms) && ms >= leastMs) return ms
  throw new RangeError(`${what} is a whole number of milliseconds, at least ${leastMs}, not ${ms}`)
}

/** Slots of half a retention: what is kept of a key is then in at most three. RangeError where the retention is none. */
export function halvesOf({ retentionMs }: { readonly retentionMs: number }): TimeSlots {
  return { retentionMs: asDuration(retentionMs, 'a retention'), slotMs: Math.ceil(retentionMs / 2) }
}

/** Both times of a store; -1 where there is none. */
interface Times {
  readonly observedMs: number
  readonly expiryMs: number
}

/** The times of one store, as the layers hold them: read anew at each use, for a store may have several faces and its writes may be aborted. */
export class StoreTimes {
  readonly #bytes: ReadableStore
  readonly #slots: TimeSlots
  readonly #heldTime: () => number
  /** What was read last. Cells are never changed in place, so the same one says the same. */
  #cell: Buffer | undefined
  #read: Times = NO_TIMES

  constructor(bytes: ReadableStore, slots: TimeSlots, heldTime: () => number = () => Infinity) {
    this.#bytes = bytes
    this.#slots = slots
    this.#heldTime = heldTime
  }

  /** The largest time that was put, -1 where there is none. */
  get observedMs(): number {
    return this.#times().observedMs
  }

  /** Whether an entry at `timeMs` can be there: it has not expired, and no later one was ever put. */
  isFound(timeMs: number): boolean {
    const { observedMs, expiryMs } = this.#times()
    return timeMs <= observedMs && timeMs >= liveFrom(this.#held(observedMs, expiryMs), this.#slots)
  }

  /** What can be found: from the first time that has not expired to the last one that was put. */
  get found(): { readonly liveFromMs: number; readonly observedMs: number } {
    const { observedMs, expiryMs } = this.#times()
    const liveFromMs = liveFrom(this.#held(observedMs, expiryMs), this.#slots)
    return { liveFromMs, observedMs }
  }

  /** Observes `timeMs`, which is about to be put into `bytes`; false where it has expired. */
  admit(timeMs: number, bytes: LayeredStore): boolean {
    if (!isTime(timeMs)) throw new RangeError(`not a time to keep something at: ${timeMs}`)
    const before = this.#times()
    const observedMs = Math.max(before.observedMs, timeMs)
    const expiryMs = this.#held(observedMs, before.expiryMs)
    if (observedMs > before.observedMs || expiryMs > before.expiryMs) {
      this.#read = { observedMs, expiryMs }
      this.#cell = timesBytes(this.#read)
      bytes.put(TIMES_TEXT, this.#cell)
    }
    return timeMs >= liveFrom(expiryMs, this.#slots)
  }

  /** What the step that keeps the store last said of its time. */
  get step(): StepTime {
    return stepTimeOf(this.#bytes.get(STEP_TIME))
  }

  #times(): Times {
    const cell = this.#bytes.get(TIMES_TEXT)
    if (cell !== this.#cell) {
      this.#cell = cell
      this.#read = timesOf(cell)
    }
    return this.#read
  }

  #held(observedMs: number, expiryMs: number): number {
    return Math.max(expiryMs, Math.min(observedMs, this.#heldTime()))
  }
}

/** Keeps what a step says of its time. */
export function keepStep(bytes: LayeredStore, { observedMs, reachedMs }: StepTime): void {
  bytes.put(STEP_TIME, timesBytes({ observedMs, expiryMs: reachedMs }))
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

/** Makes the key of an entry that of the same one in another slot. */
export function moveToSlot(key: Buffer, slot: number): void {
  writeInt64(key, slot, 1)
}

/** Whether a layer's key is one of the times and not of an entry. */
export function isTimes(text: string): boolean {
  return text.charCodeAt(0) === TIMES[0]
}

/** The key of a record, from the text of its entry's: what stands behind the slot and before `keyEnd`, and `tailBytes` for the kind to fill. */
export function recordKey(text: string, keyEnd: number, tailBytes: number): Buffer {
  const key = Buffer.allocUnsafe(keyEnd - SLOT_BYTES + tailBytes)
  key.write(text.slice(SLOT_BYTES, keyEnd), 'latin1')
  return key
}

/** How a store that lies by slots lies in the layers: as its kind turns entries into records and back, and empty before and behind its times. */
export function slottedLayout(
  slots: TimeSlots,
  kind: {
    readonly addChanges: StoreLayout['addChanges']
    readonly restored: (
      records: Iterable<LogRecord>,
      over: RestoredOver,
      slots: TimeSlots,
    ) => Iterable<DatabaseWrite>
  },
): StoreLayout {
  return {
    addChanges: kind.addChanges,
    restored: (records, over) => kind.restored(records, over, slots),
    // By the database's own expiry time: no later one is ever smaller.
    expiredBelow: (read) => slotKey(liveFrom(timesOf(read(TIMES)).expiryMs, slots), slots),
    // The first slot behind the largest time that was ever put, by the database's own observed time: no entry is written before it.
    emptyFrom: (read) => slotKey(timesOf(read(TIMES)).observedMs + slots.slotMs, slots),
  }
}

/** The times while records are restored: the observed one is raised by each, and written once. */
export class RestoredTimes {
  readonly #slots: TimeSlots
  readonly #before: Times
  readonly #stepBefore: StepTime
  #observedMs: number
  #stepObservedMs: number

  constructor(read: ReadEntry, slots: TimeSlots) {
    this.#slots = slots
    this.#before = timesOf(read(TIMES))
    this.#stepBefore = stepTimeOf(read(STEP_TIME))
    this.#observedMs = this.#before.observedMs
    this.#stepObservedMs = this.#stepBefore.observedMs
  }

  /** False where the record had expired already when the database was written. `timestamp` is the record's own, which no step saw later. */
  admit(timeMs: number, timestamp: number): boolean {
    this.#observedMs = Math.max(this.#observedMs, timeMs)
    this.#stepObservedMs = Math.max(this.#stepObservedMs, timestamp)
    return timeMs >= liveFrom(this.#before.expiryMs, this.#slots)
  }

  /** To be given before the entries: one that a flush has brought to the database without its time would not be looked for (`emptyFrom`). */
  *writes(): Generator<DatabaseWrite> {
    if (this.#observedMs > this.#before.observedMs) {
      yield { key: TIMES, value: timesBytes({ ...this.#before, observedMs: this.#observedMs }) }
    }
    if (this.#stepObservedMs > this.#stepBefore.observedMs) {
      const times = { observedMs: this.#stepObservedMs, expiryMs: this.#stepBefore.reachedMs }
      yield { key: STEP_TIME, value: timesBytes(times) }
    }
  }
}

/** The first time that is not expired. */
function liveFrom(expiryMs: number, { retentionMs }: TimeSlots): number {
  return Math.max(0, expiryMs - retentionMs + 1)
}

function timesOf(stored: Buffer | undefined): Times {
  if (stored === undefined) return NO_TIMES
  return { observedMs: readInt64(stored, 0), expiryMs: readInt64(stored, 8) }
}

function stepTimeOf(stored: Buffer | undefined): StepTime {
  const { observedMs, expiryMs: reachedMs } = timesOf(stored)
  return { observedMs, reachedMs }
}

function timesBytes({ observedMs, expiryMs }: Times): Buffer {
  const bytes = Buffer.allocUnsafe(16)
  writeInt64(bytes, observedMs, 0)
  writeInt64(bytes, expiryMs, 8)
  return bytes
}
