/**
 * One value per key and window, for windowed aggregates. An entry is
 *
 *   slot ‖ key ‖ int64 start  ->  int64 timestamp ‖ value
 *
 * so that `fetch` is one point read of the value (and one of the observed time, which is in memory).
 * A slot is half the retention long: all windows of a key are then in at most three places, and what
 * has expired goes slot by slot. A changelog record is Java's: key ‖ int64 start ‖ int32 0.
 */
import type { LogRecord } from '../model/record.ts'
import { corruptKey, type ChangelogWrite } from './changelog.ts'
import { readInt64, successorOf, writeInt64 } from './keys.ts'
import { withSchema } from './key-value-store.ts'
import type {
  DatabaseWrite,
  ReadOnlyWindowStore,
  StepTime,
  ValueAndTimestamp,
  WindowEntry,
  WindowStore,
  WindowStoreSpec,
} from './store.ts'
import type { LayeredStore, ReadableStore } from './store-layers.ts'
import type { RestoredOver, SealedCell, StoreLayout } from './store-layout.ts'
import {
  asDuration,
  halvesOf,
  isTimes,
  isTime,
  keepStep,
  recordKey,
  RestoredTimes,
  SLOT_BYTES,
  slotKey,
  slottedLayout,
  type TimeSlots,
} from './time-slots.ts'
import { TimedReads, type TimedStoreParts } from './timed-face.ts'
import { TIMESTAMP_BYTES, timestampOf, withTimestamp } from './timestamped.ts'

/** Bytes behind the key in an entry's key. */
const START_BYTES = 8
/** Bytes behind the key in a record's key: start and sequence number. */
const RECORD_TAIL_BYTES = 12
/** Of them, those of the sequence number, which is always 0. */
const SEQUENCE_BYTES = 4

const NO_ENTRY = Buffer.alloc(0)

type Durations = Pick<WindowStoreSpec<unknown, unknown>, 'retentionMs' | 'sizeMs'>

/** A window store over `bytes`. Reads throw SchemaPending where a value's schema is not here yet. */
export function windowStore<K, V>(
  bytes: LayeredStore,
  spec: Durations,
  parts: TimedStoreParts<K, V>,
): WindowStore<K, V> {
  return new TypedWindows(bytes, spec, parts)
}

/** The reading half alone, also of what is committed. */
export function readOnlyWindowStore<K, V>(
  bytes: ReadableStore,
  spec: Durations,
  parts: TimedStoreParts<K, V>,
): ReadOnlyWindowStore<K, V> {
  return new TypedWindowReads(bytes, spec, parts)
}

/** How a window store lies in the layers. RangeError where the retention is none. */
export function windowLayout(
  spec: Pick<WindowStoreSpec<unknown, unknown>, 'retentionMs'>,
): StoreLayout {
  const slots = halvesOf(spec)
  return slottedLayout(slots, { addChanges, restored })
}

class TypedWindowReads<K, V, Bytes extends ReadableStore>
  extends TimedReads<K, V, Bytes>
  implements ReadOnlyWindowStore<K, V>
{
  readonly #sizeMs: number
  // A step that updates a window puts where it has just looked. Known for keys alone that nobody can change meanwhile.
  #lastKey: K | undefined
  #lastStartMs = -1
  #lastEntry: Buffer = NO_ENTRY

  constructor(bytes: Bytes, spec: Durations, parts: TimedStoreParts<K, V>) {
    super(bytes, halvesOf(spec), parts)
    this.#sizeMs = asDuration(spec.sizeMs, 'the size of a window')
  }

  fetch(key: K, startMs: number): ValueAndTimestamp<V> | undefined {
    if (!this.times.isFound(startMs)) return undefined
    const stored = this.bytes.get(this.windowEntry(key, startMs))
    return stored === undefined ? undefined : this.#read(stored)
  }

  async *fetchRange(key: K, fromMs: number, toMs: number): AsyncGenerator<WindowEntry<K, V>> {
    const { slotMs } = this.slots
    const { liveFromMs, observedMs } = this.times.found
    const last = Math.min(toMs, observedMs)
    let from = Math.max(fromMs, liveFromMs)
    while (from <= last) {
      const endOfSlot = (Math.floor(from / slotMs) + 1) * slotMs
      const to = Math.min(last, endOfSlot - 1)
      const [gte, lt] = [this.windowEntry(key, from), successorOf(this.windowEntry(key, to))]
      for await (const [entry, stored] of this.bytes.range({ gte, lt })) {
        // A longer key may begin with this one's bytes and lie between its windows.
        const isOfKey =
          entry.length === gte.length && entry.compare(gte, 0, keyEnd(gte), 0, keyEnd(gte)) === 0
        if (isOfKey) yield await withSchema(() => this.#typed(entry, stored))
      }
      from = endOfSlot
    }
  }

  fetchAll(fromMs: number, toMs: number): AsyncIterable<WindowEntry<K, V>> {
    const { liveFromMs, observedMs } = this.times.found
    const from = Math.max(fromMs, liveFromMs)
    const to = Math.max(Math.min(toMs, observedMs), from - 1)
    const range = {
      gte: slotKey(from, this.slots),
      lt: slotKey(to + this.slots.slotMs, this.slots),
    }
    return this.#within(this.bytes.range(range), from, to)
  }

  async *#within(
    entries: AsyncIterable<readonly [Buffer, Buffer]>,
    fromMs: number,
    toMs: number,
  ): AsyncGenerator<WindowEntry<K, V>> {
    for await (const [entry, stored] of entries) {
      const startMs = readInt64(entry, keyEnd(entry))
      if (startMs < fromMs || startMs > toMs) continue
      yield await withSchema(() => this.#typed(entry, stored))
    }
  }

  protected windowEntry(key: K, startMs: number): Buffer {
    if (startMs === this.#lastStartMs && Object.is(key, this.#lastKey)) return this.#lastEntry
    const entry = this.entryKey(this.key.serialize(key), startMs, START_BYTES)
    writeInt64(entry, startMs, keyEnd(entry))
    if (typeof key !== 'object') {
      this.#lastKey = key
      this.#lastStartMs = startMs
      this.#lastEntry = entry
    }
    return entry
  }

  #read(stored: Buffer): ValueAndTimestamp<V> {
    const value = this.value.deserialize(stored, TIMESTAMP_BYTES, stored.length)
    return { value, timestamp: timestampOf(stored) }
  }

  #typed(entry: Buffer, stored: Buffer): WindowEntry<K, V> {
    const wire = Buffer.concat([this.key.prefix, entry.subarray(SLOT_BYTES, keyEnd(entry))])
    const startMs = readInt64(entry, keyEnd(entry))
    const key = this.key.deserialize(wire, 0, wire.length)
    return [{ key, startMs, endMs: startMs + this.#sizeMs }, this.#read(stored)]
  }
}

class TypedWindows<K, V> extends TypedWindowReads<K, V, LayeredStore> implements WindowStore<K, V> {
  put(key: K, startMs: number, { value, timestamp }: ValueAndTimestamp<V>): boolean {
    const entry = this.windowEntry(key, startMs)
    const stored = withTimestamp(timestamp, this.value.serialize(value))
    if (!this.times.admit(startMs, this.bytes)) return false
    this.bytes.put(entry, stored)
    return true
  }

  delete(key: K, startMs: number, timestamp: number): void {
    if (!this.times.admit(startMs, this.bytes)) return
    this.bytes.delete(this.windowEntry(key, startMs), timestamp)
  }

  keepStepTime(time: StepTime): void {
    keepStep(this.bytes, time)
  }
}

/** Where the key ends, and the start begins, in an entry's key. */
function keyEnd(entry: Buffer): number {
  return entry.length - START_BYTES
}

/** One at most. */
function addChanges({ store, text, cell }: SealedCell, to: ChangelogWrite[]): void {
  if (isTimes(text)) return
  const key = recordKey(text, text.length, SEQUENCE_BYTES)
  key.writeInt32BE(0, key.length - SEQUENCE_BYTES)
  if (typeof cell === 'number') to.push({ store, key, value: null, timestamp: cell })
  else {
    const value = cell.subarray(TIMESTAMP_BYTES)
    to.push({ store, key, value, timestamp: timestampOf(cell) })
  }
}

function* restored(
  records: Iterable<LogRecord>,
  over: RestoredOver,
  slots: TimeSlots,
): Generator<DatabaseWrite> {
  const times = new RestoredTimes(over.read, slots)
  const entries: DatabaseWrite[] = []
  for (const record of records) {
    const { keyBuffer, keyEnd: end, timestamp, value } = record
    const bodyStart = record.keyStart + over.keyPrefixLength
    const bodyEnd = end - RECORD_TAIL_BYTES
    const startMs = bodyEnd < bodyStart ? NaN : readInt64(keyBuffer, bodyEnd)
    if (!isTime(startMs)) throw corruptKey(record, over, RECORD_TAIL_BYTES)
    if (!times.admit(startMs, timestamp)) continue
    const key = slotKey(startMs, slots, bodyEnd - bodyStart + START_BYTES)
    keyBuffer.copy(key, SLOT_BYTES, bodyStart, bodyEnd + START_BYTES)
    entries.push({ key, value: value === null ? null : withTimestamp(timestamp, value) })
  }
  yield* times.writes()
  yield* entries
}
