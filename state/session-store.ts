/**
 * Sessions, found by key and time. Kafka Streams iterates over a key's sessions by their ends; here
 * those of one key and slot of time, by their ends, lie in one entry:
 *
 *   slot ‖ key  ->  int64 timestamp of the last change ‖ sessions by (end, start)
 *   session = int64 end ‖ int64 start ‖ int64 timestamp ‖ int32 length ‖ value
 *
 * The observed time comes back from the records' keys, so the session that raised it last must leave
 * a record even where it is removed in the same commit: it stays as a mark of length -1 until a later
 * session raises the time.
 *
 * A slot is half the retention long, so `find` is at most three point reads, while nothing is held back. The price is that a
 * change writes its slot's sessions of the key again: few, for a key has no two sessions within a gap.
 * A changelog record is Java's: key ‖ int64 end ‖ int64 start.
 */
import type { LogRecord } from '../model/record.ts'
import { corruptKey, type ChangelogWrite } from './changelog.ts'
import { readInt64, writeInt64 } from './keys.ts'
import { withSchema } from './key-value-store.ts'
import type {
  DatabaseWrite,
  ReadOnlySessionStore,
  Session,
  SessionStore,
  SessionStoreSpec,
  StepTime,
  WindowEntry,
} from './store.ts'
import type { LayeredStore, ReadableStore } from './store-layers.ts'
import type { RestoredOver, SealedCell, StoreLayout } from './store-layout.ts'
import {
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
import { TIMESTAMP_BYTES, timestampOf } from './timestamped.ts'

/** Bytes behind the key in a record's key: end and start. */
const RECORD_TAIL_BYTES = 16
/** Bytes of a packed session before its value. */
const HEAD_BYTES = 28
/** The length of a mark. */
const MARK = -1

/** A session store over `bytes`. Reads throw SchemaPending where a value's schema is not here yet. */
export function sessionStore<K, V>(
  bytes: LayeredStore,
  spec: Pick<SessionStoreSpec<K, V>, 'retentionMs'>,
  parts: TimedStoreParts<K, V>,
): SessionStore<K, V> {
  return new TypedSessions(bytes, halvesOf(spec), parts)
}

/** The reading half alone, also of what is committed. */
export function readOnlySessionStore<K, V>(
  bytes: ReadableStore,
  spec: Pick<SessionStoreSpec<K, V>, 'retentionMs'>,
  parts: TimedStoreParts<K, V>,
): ReadOnlySessionStore<K, V> {
  return new TypedSessionReads(bytes, halvesOf(spec), parts)
}

/** How a session store lies in the layers. RangeError where the retention is none. */
export function sessionLayout(spec: { readonly retentionMs: number }): StoreLayout {
  const slots = halvesOf(spec)
  return slottedLayout(slots, { addChanges, restored })
}

class TypedSessionReads<K, V, Bytes extends ReadableStore>
  extends TimedReads<K, V, Bytes>
  implements ReadOnlySessionStore<K, V>
{
  find(key: K, earliestEndMs: number, latestStartMs: number): readonly Session<V>[] {
    const { slotMs } = this.slots
    const { liveFromMs, observedMs } = this.times.found
    const from = Math.max(earliestEndMs, liveFromMs)
    const body = this.key.serialize(key)
    const found: Session<V>[] = []
    for (let slot = Math.floor(from / slotMs); slot * slotMs <= observedMs; slot++) {
      const cell = this.bytes.get(this.entryKey(body, slot * slotMs))
      for (const packed of cell === undefined ? [] : unpack(cell)) {
        if (packed.value === null || packed.endMs < from || packed.startMs > latestStartMs) continue
        found.push(this.#read(packed, packed.value))
      }
    }
    return found
  }

  fetch(key: K, startMs: number, endMs: number): Session<V> | undefined {
    if (endMs < this.times.found.liveFromMs) return undefined
    const cell = this.bytes.get(this.entryKey(this.key.serialize(key), endMs))
    if (cell === undefined) return undefined
    const packed = sessionAt(cell, { startMs, endMs })
    return packed === undefined ? undefined : this.#read(packed, packed.value)
  }

  all(): AsyncIterable<WindowEntry<K, V>> {
    const from = this.times.found.liveFromMs
    return this.#typed(this.bytes.range({ gte: slotKey(from, this.slots) }), from)
  }

  async *#typed(
    entries: AsyncIterable<readonly [Buffer, Buffer]>,
    from: number,
  ): AsyncGenerator<WindowEntry<K, V>> {
    for await (const [entry, cell] of entries) {
      const wire = Buffer.concat([this.key.prefix, entry.subarray(SLOT_BYTES)])
      for (const packed of unpack(cell)) {
        const { startMs, endMs, value: bytes } = packed
        if (bytes === null || endMs < from) continue
        const key = await withSchema(() => this.key.deserialize(wire, 0, wire.length))
        const { value, timestamp } = await withSchema(() => this.#read(packed, bytes))
        yield [
          { key, startMs, endMs },
          { value, timestamp },
        ]
      }
    }
  }

  #read({ startMs, endMs, timestamp }: PackedSession, bytes: Buffer): Session<V> {
    return { startMs, endMs, timestamp, value: this.value.deserialize(bytes, 0, bytes.length) }
  }
}

class TypedSessions<K, V>
  extends TypedSessionReads<K, V, LayeredStore>
  implements SessionStore<K, V>
{
  put(key: K, { startMs, endMs, value, timestamp }: Session<V>): boolean {
    if (!isTime(startMs) || startMs > endMs) {
      throw new RangeError(`not the times of a session: ${startMs} to ${endMs}`)
    }
    const entry = this.entryKey(this.key.serialize(key), endMs)
    const packed = { startMs, endMs, timestamp, value: this.value.serialize(value) }
    if (!this.times.admit(endMs, this.bytes)) return false
    const cell = this.bytes.get(entry)
    this.bytes.put(
      entry,
      pack(withoutOldMarks(withSession(cell, packed), this.observedMs), timestamp),
    )
    return true
  }

  remove(key: K, session: Pick<Session<V>, 'startMs' | 'endMs'>, timestamp: number): void {
    const { startMs, endMs } = session
    const { liveFromMs, observedMs } = this.times.found
    if (endMs < liveFromMs) return
    const entry = this.entryKey(this.key.serialize(key), endMs)
    const cell = this.bytes.get(entry)
    if (cell === undefined || sessionAt(cell, session) === undefined) return
    const left =
      endMs === observedMs
        ? withSession(cell, { startMs, endMs, timestamp, value: null })
        : withoutSession(cell, session)
    const rest = withoutOldMarks(left, observedMs)
    if (rest.length === 0) this.bytes.delete(entry, timestamp)
    else this.bytes.put(entry, pack(rest, timestamp))
  }

  keepStepTime(time: StepTime): void {
    keepStep(this.bytes, time)
  }
}

// --------------------------------------------------------------------------------- packed sessions

/** A session as an entry holds it; the value is a view, null in the mark of one that was removed. */
type PackedSession = Session<Buffer | null>
type Span = Pick<Session<unknown>, 'startMs' | 'endMs'>

function unpack(cell: Buffer): PackedSession[] {
  const sessions: PackedSession[] = []
  for (let at = TIMESTAMP_BYTES; at < cell.length;) {
    const valueStart = at + HEAD_BYTES
    const length = cell.readInt32BE(at + 24)
    const valueEnd = valueStart + Math.max(0, length)
    sessions.push({
      endMs: readInt64(cell, at),
      startMs: readInt64(cell, at + 8),
      timestamp: readInt64(cell, at + 16),
      value: length < 0 ? null : cell.subarray(valueStart, valueEnd),
    })
    at = valueEnd
  }
  return sessions
}

function pack(sessions: readonly PackedSession[], changedAt: number): Buffer {
  const valueBytes = sessions.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
  const cell = Buffer.allocUnsafe(TIMESTAMP_BYTES + sessions.length * HEAD_BYTES + valueBytes)
  writeInt64(cell, changedAt, 0)
  let at = TIMESTAMP_BYTES
  for (const { startMs, endMs, timestamp, value } of sessions) {
    writeInt64(cell, endMs, at)
    writeInt64(cell, startMs, at + 8)
    writeInt64(cell, timestamp, at + 16)
    cell.writeInt32BE(value?.length ?? MARK, at + 24)
    value?.copy(cell, at + HEAD_BYTES)
    at += HEAD_BYTES + (value?.length ?? 0)
  }
  return cell
}

function withSession(cell: Buffer | undefined, session: PackedSession): PackedSession[] {
  const sessions = cell === undefined ? [] : withoutSession(cell, session)
  const after = sessions.findIndex((one) => compareSpans(one, session) > 0)
  sessions.splice(after < 0 ? sessions.length : after, 0, session)
  return sessions
}

function sessionAt(
  cell: Buffer,
  span: Span,
): (PackedSession & { readonly value: Buffer }) | undefined {
  for (const { value, ...one } of unpack(cell)) {
    if (value !== null && compareSpans(one, span) === 0) return { ...one, value }
  }
  return undefined
}

/** Another session has raised the observed time since, and leaves the record. */
function withoutOldMarks(sessions: PackedSession[], observedMs: number): PackedSession[] {
  return sessions.filter(({ value, endMs }) => value !== null || endMs === observedMs)
}

function withoutSession(cell: Buffer, span: Span): PackedSession[] {
  return unpack(cell).filter((one) => compareSpans(one, span) !== 0)
}

function compareSpans(a: Span, b: Span): number {
  return a.endMs - b.endMs || a.startMs - b.startMs
}

// ----------------------------------------------------------------------------------- the changelog

function addChanges({ store, text, cell, before }: SealedCell, to: ChangelogWrite[]): void {
  if (isTimes(text)) return
  const committed = before(text)
  const old = new Map<string, PackedSession>()
  for (const one of committed === undefined ? [] : unpack(committed)) old.set(spanText(one), one)
  for (const session of typeof cell === 'number' ? [] : unpack(cell)) {
    const was = old.get(spanText(session))
    old.delete(spanText(session))
    if (was !== undefined && isSame(was, session)) continue
    const { timestamp, value } = session
    to.push({ store, key: sessionKey(text, session), value, timestamp })
  }
  const timestamp = typeof cell === 'number' ? cell : timestampOf(cell)
  for (const session of old.values()) {
    if (session.value === null) continue
    to.push({ store, key: sessionKey(text, session), value: null, timestamp })
  }
}

function isSame(a: PackedSession, b: PackedSession): boolean {
  if (a.timestamp !== b.timestamp) return false
  return a.value === null || b.value === null ? a.value === b.value : a.value.equals(b.value)
}

function spanText({ startMs, endMs }: Span): string {
  return `${endMs}/${startMs}`
}

function sessionKey(text: string, { startMs, endMs }: Span): Buffer {
  const key = recordKey(text, text.length, RECORD_TAIL_BYTES)
  const bodyBytes = text.length - SLOT_BYTES
  writeInt64(key, endMs, bodyBytes)
  writeInt64(key, startMs, bodyBytes + 8)
  return key
}

function* restored(
  records: Iterable<LogRecord>,
  over: RestoredOver,
  slots: TimeSlots,
): Generator<DatabaseWrite> {
  const times = new RestoredTimes(over.read, slots)
  const cells = new Map<string, Buffer | undefined>()
  for (const record of records) {
    const { keyBuffer, value, timestamp } = record
    const bodyStart = record.keyStart + over.keyPrefixLength
    const bodyEnd = record.keyEnd - RECORD_TAIL_BYTES
    const endMs = bodyEnd < bodyStart ? NaN : readInt64(keyBuffer, bodyEnd)
    const startMs = isTime(endMs) ? readInt64(keyBuffer, bodyEnd + 8) : NaN
    if (!isTime(startMs) || startMs > endMs) throw corruptKey(record, over, RECORD_TAIL_BYTES)
    if (!times.admit(endMs, timestamp)) continue
    const entry = slotKey(endMs, slots, bodyEnd - bodyStart)
    keyBuffer.copy(entry, SLOT_BYTES, bodyStart, bodyEnd)
    const text = entry.toString('latin1')
    const cell = cells.has(text) ? cells.get(text) : over.read(entry)
    const span = { startMs, endMs }
    const rest =
      value === null
        ? withoutSession(cell ?? Buffer.alloc(TIMESTAMP_BYTES), span)
        : withSession(cell, { ...span, timestamp, value })
    cells.set(text, rest.length === 0 ? undefined : pack(rest, timestamp))
  }
  yield* times.writes()
  for (const [text, cell] of cells) yield { key: Buffer.from(text, 'latin1'), value: cell ?? null }
}
