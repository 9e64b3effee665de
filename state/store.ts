/**
 * What a task remembers. A store is declared by an operator (StoreSpec), kept as bytes in the task's
 * layers (state/layers.ts) over one durable Database, and used through a typed face (KeyValueStore).
 */
import type { Serde } from '../serdes/serde.ts'
import type { Windowed } from '../serdes/windowed.ts'

// ------------------------------------------------------------------------------ the declared half

/** A key-value store, as an operator or an author declares it. */
export interface KeyValueStoreSpec<K, V> {
  readonly kind: 'key-value'
  /** Unique in the topology; the changelog topic is `<application>-<name>-changelog`. */
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** LevelDB, or memory with the same layers, restored from the changelog at every start. Default true. */
  readonly persistent: boolean
  /** Whether writes go to a changelog topic. Without one the store is not exactly-once and not moved. Default true. */
  readonly logged: boolean
}

/** What a store whose entries expire declares besides its kind. */
interface ExpiringStoreSpec<K, V> extends Omit<KeyValueStoreSpec<K, V>, 'kind'> {
  /**
   * How long an entry is kept, by the times of entries and not by a clock: one at t is there until
   * one at t + retentionMs is put. A whole number of milliseconds, at least 1. Part of how the store
   * lies on the disk, so another retention needs another name.
   */
  readonly retentionMs: number
}

/** A store of one value per key and window, for windowed aggregates. Its entries expire by the starts of their windows. */
export interface WindowStoreSpec<K, V> extends ExpiringStoreSpec<K, V> {
  readonly kind: 'window'
  /** Length of a window, at least 1. */
  readonly sizeMs: number
}

/** A store of all values of a key, by their timestamps: one side of a windowed join. */
export interface JoinWindowStoreSpec<K, V> extends ExpiringStoreSpec<K, V> {
  readonly kind: 'join-window'
  /** The widest range that a read on the record path asks for, before + after; 0 is legal. */
  readonly windowMs: number
}

/** A store of sessions. They expire by their ends. */
export interface SessionStoreSpec<K, V> extends ExpiringStoreSpec<K, V> {
  readonly kind: 'session'
}

/** Any store whose entries expire. */
export type TimedStoreSpec<K = Any, V = Any> =
  WindowStoreSpec<K, V> | JoinWindowStoreSpec<K, V> | SessionStoreSpec<K, V>

/** Any store. */
export type StoreSpec = KeyValueStoreSpec<Any, Any> | TimedStoreSpec

// eslint-disable-next-line typescript/no-explicit-any -- a list of stores of any types.
type Any = any

// -------------------------------------------------------------------------------- the typed face

/** A value with the timestamp of the record that wrote it, milliseconds since 1970. */
export interface ValueAndTimestamp<V> {
  readonly value: V
  readonly timestamp: number
}

/** What can be asked of a timestamped key-value store. */
export interface ReadOnlyKeyValueStore<K, V> {
  readonly name: string
  get(key: K): V | undefined
  getWithTimestamp(key: K): ValueAndTimestamp<V> | undefined
  /** Entries with from <= key <= to in byte order of the serialized keys, as a snapshot. */
  range(from?: K, to?: K): AsyncIterable<readonly [K, ValueAndTimestamp<V>]>
}

/** A timestamped key-value store. Reads see this task's own writes, committed or not. */
export interface KeyValueStore<K, V> extends ReadOnlyKeyValueStore<K, V> {
  put(key: K, value: V, timestamp: number): void
  /** `put` where the caller knows that the key is not in the store: a later delete in the same commit then leaves no trace, not even in the changelog. */
  insert(key: K, value: V, timestamp: number): void
  delete(key: K, timestamp: number): void
}

/** What can be read of every store with times. */
interface ReadOnlyTimedStore {
  readonly name: string
  /** The largest time that was ever put, -1 where there is none. Entries at `observedMs - retentionMs` and before are gone, unless older records are still held upstream in the task. */
  readonly observedMs: number
  /** What the step that keeps the store last said of its time, so that it goes on from there after a restart or an abort. From a changelog comes the latest timestamp of a record as observed, and nothing as reached. */
  readonly stepTime: StepTime
}

/** What all stores with times have in common. */
interface TimedStore extends ReadOnlyTimedStore {
  keepStepTime(time: StepTime): void
}

/** How far time has come for a step, milliseconds since 1970; -1 where it has not begun. */
export interface StepTime {
  /** The largest timestamp that the step saw. */
  readonly observedMs: number
  /** How far the step let time pass: the largest that min(observed, oldest held upstream) ever was. */
  readonly reachedMs: number
}

/** What can be asked of a store of one value per key and window. */
export interface ReadOnlyWindowStore<K, V> extends ReadOnlyTimedStore {
  /** The value of the window that starts at `startMs`; one or two point reads. */
  fetch(key: K, startMs: number): ValueAndTimestamp<V> | undefined
  /** The windows of a key with fromMs <= start <= toMs, ascending. Each slot of time (half the retention) is a snapshot, taken when its turn comes. */
  fetchRange(key: K, fromMs: number, toMs: number): AsyncIterable<WindowEntry<K, V>>
  /** All windows with fromMs <= start <= toMs, as a snapshot; those of one key ascending. */
  fetchAll(fromMs: number, toMs: number): AsyncIterable<WindowEntry<K, V>>
}

/** A store of one value per key and window. Reads see this task's own writes, committed or not. */
export interface WindowStore<K, V> extends ReadOnlyWindowStore<K, V>, TimedStore {
  /** False where the window has expired: then nothing was written. Asserts that `startMs` is a time. */
  put(key: K, startMs: number, row: ValueAndTimestamp<V>): boolean
  delete(key: K, startMs: number, timestamp: number): void
}

/** A key in its window, and the value there. */
export type WindowEntry<K, V> = readonly [Windowed<K>, ValueAndTimestamp<V>]

/** A store of all values of a key, by their timestamps; equal ones are all kept. Reads see this task's own writes, committed or not. */
export interface JoinWindowStore<K, V> extends TimedStore {
  /** The values of a key with fromMs <= timestamp <= toMs, ascending, those of one timestamp in the order they were put. */
  fetch(key: K, fromMs: number, toMs: number): readonly ValueAndTimestamp<V>[]
  /** False where `timestamp` has expired: then nothing was written. Asserts that it is a time. */
  put(key: K, value: V, timestamp: number): boolean
}

/** A session and its value. */
export interface Session<V> extends ValueAndTimestamp<V> {
  /** Of its first record. */
  readonly startMs: number
  /** Of its last record. */
  readonly endMs: number
}

/** What can be asked of a store of sessions. */
export interface ReadOnlySessionStore<K, V> extends ReadOnlyTimedStore {
  /** The sessions of a key with end >= earliestEndMs and start <= latestStartMs, ascending by end, then start. */
  find(key: K, earliestEndMs: number, latestStartMs: number): readonly Session<V>[]
  fetch(key: K, startMs: number, endMs: number): Session<V> | undefined
  /** All sessions, as a snapshot; those of one key ascending. */
  all(): AsyncIterable<WindowEntry<K, V>>
}

/** A store of sessions. Reads see this task's own writes, committed or not. */
export interface SessionStore<K, V> extends ReadOnlySessionStore<K, V>, TimedStore {
  /** False where the session has expired: then nothing was written. Asserts that its times are times, and its start not behind its end. */
  put(key: K, session: Session<V>): boolean
  remove(key: K, session: Pick<Session<V>, 'startMs' | 'endMs'>, timestamp: number): void
}

// ------------------------------------------------------------------------------- the durable half

/** One change of a batch: a null value deletes. */
export interface DatabaseWrite {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** Keys in byte order; a bound left out is open. */
export interface KeyRange {
  readonly gte?: Buffer
  readonly lt?: Buffer
}

/**
 * An ordered map of bytes on disk: LevelDB, or memory. Reads are synchronous because the record loop
 * is. The caller keeps at most one `write` in flight, for two batches may be reordered.
 */
export interface Database extends AsyncDisposable {
  get(key: Buffer): Buffer | undefined
  /** All or nothing, also when the process is killed. The caller leaves the buffers as they are until it resolves. */
  write(writes: readonly DatabaseWrite[]): Promise<void>
  /** A snapshot as of the call, ascending. */
  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]>
  /** The keys of `range` alone: what removes entries need not read values, which may be large. */
  keys(range: KeyRange): AsyncIterable<Buffer>
}
