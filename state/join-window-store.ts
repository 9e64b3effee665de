/**
 * All values of a key by their timestamps, for windowed joins. The rows of one key and slot of time
 * lie packed in pages:
 *
 *   slot ‖ key ‖ uint32 page  ->  uint32 pages ‖ int32 last sequence ‖ rows
 *   row = int64 timestamp ‖ int32 sequence ‖ int32 length ‖ value
 *
 * A slot is half the widest range that a join asks for, so its fetch is one to three point reads, and
 * one more per page of a busy key. Rows are only ever appended, to the last page, which ends at 4 KiB:
 * so a put copies no more than that, however busy the key is and however large its values are. The
 * first page alone knows how many there are; it never holds a row that is larger than a page.
 *
 * A changelog record is Java's: key ‖ int64 timestamp ‖ int32 sequence. Java counts through the whole
 * store and from zero again after a restart; here the sequence says page and row, so that it is
 * unique for its key and time, and a record that is read twice finds its row.
 */
import type { LogRecord } from '../model/record.ts'
import { corruptKey, type ChangelogWrite } from './changelog.ts'
import { readInt64, writeInt64 } from './keys.ts'
import type {
  DatabaseWrite,
  JoinWindowStore,
  JoinWindowStoreSpec,
  ValueAndTimestamp,
} from './store.ts'
import type { LayeredStore } from './store-layers.ts'
import type { RestoredOver, SealedCell, StoreLayout } from './store-layout.ts'
import {
  asDuration,
  isTimes,
  isTime,
  recordKey,
  RestoredTimes,
  SLOT_BYTES,
  slotKey,
  slottedLayout,
  moveToSlot,
  type TimeSlots,
} from './time-slots.ts'
import { TimedFace, type TimedStoreParts } from './timed-face.ts'

/** Bytes of a page that takes no further row. */
const PAGE_BYTES = 4096
/** Sequences of one page; more than rows of 16 bytes fit in it. */
const PAGE_ROWS = 512
/** Bytes of a page before its rows: pages, last sequence. */
const PAGE_HEAD_BYTES = 8
/** Bytes of a row before its value. */
const ROW_HEAD_BYTES = 16
/** Bytes behind the key in an entry's key: the page. */
const PAGE_NUMBER_BYTES = 4
/** Bytes behind the key in a record's key: timestamp and sequence. */
const RECORD_TAIL_BYTES = 12

type Durations = Pick<JoinWindowStoreSpec<unknown, unknown>, 'retentionMs' | 'windowMs'>

/** A store for one side of a windowed join over `bytes`. Reads throw SchemaPending where a value's schema is not here yet. */
export function joinWindowStore<K, V>(
  bytes: LayeredStore,
  spec: Durations,
  parts: TimedStoreParts<K, V>,
): JoinWindowStore<K, V> {
  return new TypedRows(bytes, slotsOf(spec), parts)
}

/** How a join's store lies in the layers. RangeError where a duration is none. */
export function joinWindowLayout(spec: Durations): StoreLayout {
  const slots = slotsOf(spec)
  return slottedLayout(slots, { addChanges, restored })
}

function slotsOf({ retentionMs, windowMs }: Durations): TimeSlots {
  return {
    retentionMs: asDuration(retentionMs, 'a retention'),
    slotMs: Math.max(1, Math.ceil(asDuration(windowMs, 'the width of a join', 0) / 2)),
  }
}

class TypedRows<K, V> extends TimedFace<K, V> implements JoinWindowStore<K, V> {
  fetch(key: K, fromMs: number, toMs: number): readonly ValueAndTimestamp<V>[] {
    const { liveFromMs, observedMs } = this.times.found
    const { slotMs } = this.slots
    const from = Math.max(fromMs, liveFromMs)
    const to = Math.min(toMs, observedMs)
    const found: ValueAndTimestamp<V>[] = []
    if (from > to) return found
    const entry = this.#firstPage(this.key.serialize(key), from)
    for (let slot = Math.floor(from / slotMs); slot * slotMs <= to; slot++) {
      moveToSlot(entry, slot)
      const first = this.bytes.get(entry)
      if (first === undefined) continue
      this.#collect(first, { from, to, found })
      for (let page = 1; page < pagesOf(first); page++) {
        const cell = this.bytes.get(withPage(entry, page))
        if (cell !== undefined) this.#collect(cell, { from, to, found })
      }
    }
    // Rows lie in the order they were put: what came out of order has to move, and a sort is stable.
    return isAscending(found) ? found : found.sort((a, b) => a.timestamp - b.timestamp)
  }

  put(key: K, value: V, timestamp: number): boolean {
    const entry = this.#firstPage(this.key.serialize(key), timestamp)
    const bytes = this.value.serialize(value)
    if (!this.times.admit(timestamp, this.bytes)) return false
    const text = entry.toString('latin1')
    const first = this.bytes.get(text)
    if (first === undefined && newPageBytes(bytes) <= PAGE_BYTES) {
      this.bytes.insert(text, newPage(1, { timestamp, sequence: 1, value: bytes }))
      return true
    }
    return this.#append(entry, first ?? emptyPage(1), { timestamp, value: bytes })
  }

  #append(entry: Buffer, first: Buffer, { timestamp, value }: Omit<Row, 'sequence'>): true {
    const last = pagesOf(first) - 1
    const cell = last === 0 ? first : (this.bytes.get(withPage(entry, last)) ?? emptyPage(0))
    if (hasRoom(cell, last, value.length)) {
      const row = { timestamp, sequence: nextSequence(cell, last), value }
      this.bytes.put(withPage(entry, last), withRow(cell, row))
      return true
    }
    const page = last + 1
    this.bytes.put(entry, withPages(first, page + 1))
    const row = { timestamp, sequence: page * PAGE_ROWS + 1, value }
    this.bytes.insert(withPage(entry, page), newPage(0, row))
    return true
  }

  #collect(
    cell: Buffer,
    { from, to, found }: { from: number; to: number; found: ValueAndTimestamp<V>[] },
  ): void {
    for (let at = PAGE_HEAD_BYTES; at < cell.length;) {
      const timestamp = readInt64(cell, at)
      const start = at + ROW_HEAD_BYTES
      at = rowEnd(cell, at)
      if (timestamp < from || timestamp > to) continue
      found.push({ value: this.value.deserialize(cell, start, at), timestamp })
    }
  }

  #firstPage(body: Buffer, timeMs: number): Buffer {
    const entry = this.entryKey(body, timeMs, PAGE_NUMBER_BYTES)
    entry.writeUInt32BE(0, pageStart(entry))
    return entry
  }
}

function isAscending(rows: readonly ValueAndTimestamp<unknown>[]): boolean {
  let latest = 0
  for (const { timestamp } of rows) {
    if (timestamp < latest) return false
    latest = timestamp
  }
  return true
}

// ------------------------------------------------------------------------------------------- pages

interface Row {
  readonly timestamp: number
  readonly sequence: number
  readonly value: Buffer
}

/** Where the key ends, and the page begins, in an entry's key. */
function pageStart(entry: Buffer): number {
  return entry.length - PAGE_NUMBER_BYTES
}

function withPage(entry: Buffer, page: number): Buffer {
  if (page === 0) return entry
  const other = Buffer.from(entry)
  other.writeUInt32BE(page, pageStart(entry))
  return other
}

function emptyPage(pages: number): Buffer {
  const cell = Buffer.alloc(PAGE_HEAD_BYTES)
  cell.writeUInt32BE(pages, 0)
  return cell
}

function pagesOf(first: Buffer): number {
  return first.readUInt32BE(0)
}

function withPages(first: Buffer, pages: number): Buffer {
  const cell = Buffer.from(first)
  cell.writeUInt32BE(pages, 0)
  return cell
}

function hasRoom(cell: Buffer, page: number, valueBytes: number): boolean {
  if (nextSequence(cell, page) > (page + 1) * PAGE_ROWS) return false
  const isEmpty = cell.length === PAGE_HEAD_BYTES
  return (isEmpty && page > 0) || cell.length + ROW_HEAD_BYTES + valueBytes <= PAGE_BYTES
}

function nextSequence(cell: Buffer, page: number): number {
  return Math.max(cell.readInt32BE(4), page * PAGE_ROWS) + 1
}

function rowEnd(cell: Buffer, at: number): number {
  return at + ROW_HEAD_BYTES + cell.readInt32BE(at + 12)
}

function withRow(cell: Buffer, row: Row): Buffer {
  const longer = Buffer.allocUnsafe(cell.length + ROW_HEAD_BYTES + row.value.length)
  longer.set(cell)
  longer.writeInt32BE(Math.max(row.sequence, cell.readInt32BE(4)), 4)
  writeRow(longer, cell.length, row)
  return longer
}

/** A page with one row, in one piece: most pages of a join that meets once never get another. */
function newPage(pages: number, row: Row): Buffer {
  const cell = Buffer.allocUnsafe(newPageBytes(row.value))
  cell.writeUInt32BE(pages, 0)
  cell.writeInt32BE(row.sequence, 4)
  writeRow(cell, PAGE_HEAD_BYTES, row)
  return cell
}

function newPageBytes(value: Buffer): number {
  return PAGE_HEAD_BYTES + ROW_HEAD_BYTES + value.length
}

function writeRow(cell: Buffer, at: number, { timestamp, sequence, value }: Row): void {
  writeInt64(cell, timestamp, at)
  cell.writeInt32BE(sequence, at + 8)
  cell.writeInt32BE(value.length, at + 12)
  cell.set(value, at + ROW_HEAD_BYTES)
}

// ----------------------------------------------------------------------------------- the changelog

/** Pages only grow: what lies behind the committed page's end is new. */
function addChanges({ store, text, cell, before }: SealedCell, to: ChangelogWrite[]): void {
  if (isTimes(text) || typeof cell === 'number') return
  const keyEnd = text.length - PAGE_NUMBER_BYTES
  for (let at = before(text)?.length ?? PAGE_HEAD_BYTES; at < cell.length;) {
    const end = rowEnd(cell, at)
    const key = recordKey(text, keyEnd, RECORD_TAIL_BYTES)
    const timestamp = readInt64(cell, at)
    writeInt64(key, timestamp, keyEnd - SLOT_BYTES)
    key.writeInt32BE(cell.readInt32BE(at + 8), keyEnd - SLOT_BYTES + 8)
    to.push({ store, key, value: cell.subarray(at + ROW_HEAD_BYTES, end), timestamp })
    at = end
  }
}

function* restored(
  records: Iterable<LogRecord>,
  over: RestoredOver,
  slots: TimeSlots,
): Generator<DatabaseWrite> {
  const times = new RestoredTimes(over.read, slots)
  const pages = new RestoredPages(over)
  for (const record of records) {
    const { keyBuffer, value } = record
    const bodyStart = record.keyStart + over.keyPrefixLength
    const bodyEnd = record.keyEnd - RECORD_TAIL_BYTES
    const timestamp = bodyEnd < bodyStart ? NaN : readInt64(keyBuffer, bodyEnd)
    const sequence = isTime(timestamp) ? keyBuffer.readInt32BE(bodyEnd + 8) : -1
    if (sequence < 0) throw corruptKey(record, over, RECORD_TAIL_BYTES)
    // Rows are never deleted, but a tombstone does no harm.
    if (!times.admit(timestamp, timestamp) || value === null) continue
    const entry = slotKey(timestamp, slots, bodyEnd - bodyStart + PAGE_NUMBER_BYTES)
    keyBuffer.copy(entry, SLOT_BYTES, bodyStart, bodyEnd)
    entry.writeUInt32BE(0, pageStart(entry))
    pages.add(entry, { timestamp, sequence, value })
  }
  yield* times.writes()
  yield* pages.writes()
}

/** Pages as records bring them back: each row to the page that its sequence names. */
class RestoredPages {
  readonly #over: RestoredOver
  readonly #cells = new Map<string, Buffer>()

  constructor(over: RestoredOver) {
    this.#over = over
  }

  add(entry: Buffer, row: Row): void {
    const page = Math.floor(Math.max(0, row.sequence - 1) / PAGE_ROWS)
    const first = this.#read(entry) ?? emptyPage(1)
    // The log may have lost the first page's rows to its retention: later pages must be found without.
    if (pagesOf(first) <= page) this.#set(entry, withPages(first, page + 1))
    const key = withPage(entry, page)
    const cell = this.#read(key) ?? emptyPage(page === 0 ? 1 : 0)
    if (!holds(cell, row)) this.#set(key, withRow(cell, row))
  }

  *writes(): Generator<DatabaseWrite> {
    for (const [text, value] of this.#cells) yield { key: Buffer.from(text, 'latin1'), value }
  }

  #read(key: Buffer): Buffer | undefined {
    return this.#cells.get(key.toString('latin1')) ?? this.#over.read(key)
  }

  #set(key: Buffer, cell: Buffer): void {
    this.#cells.set(key.toString('latin1'), cell)
  }
}

function holds(cell: Buffer, { timestamp, sequence }: Row): boolean {
  if (cell.readInt32BE(4) < sequence) return false
  for (let at = PAGE_HEAD_BYTES; at < cell.length; at = rowEnd(cell, at)) {
    if (cell.readInt32BE(at + 8) === sequence && readInt64(cell, at) === timestamp) return true
  }
  return false
}
