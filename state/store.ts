/**
 * What a task remembers. A store is declared by an operator (StoreSpec), kept as bytes in the task's
 * layers (state/layers.ts) over one durable Database, and used through a typed face (KeyValueStore).
 */
import type { Serde } from '../serdes/serde.ts'

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

/** Any store (more kinds come with windows and sessions). */
// eslint-disable-next-line typescript/no-explicit-any -- a list of stores of any types.
export type StoreSpec = KeyValueStoreSpec<any, any>

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
  /** All or nothing, also when the process is killed. */
  write(writes: readonly DatabaseWrite[]): Promise<void>
  /** A snapshot as of the call, ascending. */
  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]>
}
