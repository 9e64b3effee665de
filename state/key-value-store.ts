/**
 * The typed face of a store: serdes on one side, a task's layers on the other. Keys are the serde's
 * bytes without its prefix, for a schema registered anew must not hide what was written under the
 * old id; values keep theirs, and their schema with it.
 */
import { SchemaPending, type OpenSerde, type SerdeContext } from '../serdes/serde.ts'
import { successorOf } from './keys.ts'
import type { LayeredStore, ReadableStore } from './store-layers.ts'
import type {
  KeyRange,
  KeyValueStore,
  KeyValueStoreSpec,
  ReadOnlyKeyValueStore,
  ValueAndTimestamp,
} from './store.ts'
import { TIMESTAMP_BYTES, timestampOf, withTimestamp } from './timestamped.ts'

/** The serdes of a store, opened for its changelog topic. */
export interface StoreSerdes<K, V> {
  readonly key: OpenSerde<K>
  readonly value: OpenSerde<V>
}

/** Opens the serdes of `spec` for a topic: its changelog topic, or the source topic of a table that uses that one. */
export async function openStoreSerdes<K, V>(
  spec: Pick<KeyValueStoreSpec<K, V>, 'key' | 'value'>,
  context: Omit<SerdeContext, 'role'>,
): Promise<StoreSerdes<K, V>> {
  return {
    key: await spec.key.open({ ...context, role: 'key' }),
    value: await spec.value.open({ ...context, role: 'value' }),
  }
}

/** A timestamped key-value store over `bytes`. Synchronous reads throw SchemaPending where a value's schema is not here yet. */
export function keyValueStore<K, V>(
  bytes: LayeredStore,
  serdes: StoreSerdes<K, V>,
): KeyValueStore<K, V> {
  return new TypedStore(bytes, serdes)
}

/** The reading half alone, also of what is committed. Reads throw SchemaPending as those of `keyValueStore` do. */
export function readOnlyKeyValueStore<K, V>(
  bytes: ReadableStore,
  serdes: StoreSerdes<K, V>,
): ReadOnlyKeyValueStore<K, V> {
  return new TypedReads(bytes, serdes)
}

class TypedReads<K, V> implements ReadOnlyKeyValueStore<K, V> {
  readonly name: string
  readonly #bytes: ReadableStore
  readonly #key: OpenSerde<K>
  readonly #value: OpenSerde<V>
  /** Where the key begins in what its serde writes. */
  readonly #keyStart: number
  // A step that updates a row puts where it has just looked. Known for keys alone that nobody can change meanwhile.
  #lastKey: K | undefined
  #lastText: string | undefined

  constructor(bytes: ReadableStore, serdes: StoreSerdes<K, V>) {
    this.name = bytes.name
    this.#bytes = bytes
    this.#key = serdes.key
    this.#value = serdes.value
    this.#keyStart = serdes.key.prefix.length
  }

  get(key: K): V | undefined {
    const stored = this.#bytes.get(this.text(key))
    return stored === undefined
      ? undefined
      : this.#value.deserialize(stored, TIMESTAMP_BYTES, stored.length)
  }

  getWithTimestamp(key: K): ValueAndTimestamp<V> | undefined {
    const stored = this.#bytes.get(this.text(key))
    return stored === undefined ? undefined : this.#read(stored)
  }

  range(from?: K, to?: K): AsyncIterable<readonly [K, ValueAndTimestamp<V>]> {
    const range: KeyRange = {
      ...(from === undefined ? {} : { gte: this.#body(from) }),
      ...(to === undefined ? {} : { lt: successorOf(this.#body(to)) }),
    }
    return this.#typed(this.#bytes.range(range))
  }

  async *#typed(
    entries: AsyncIterable<readonly [Buffer, Buffer]>,
  ): AsyncGenerator<readonly [K, ValueAndTimestamp<V>]> {
    const { prefix } = this.#key
    for await (const [body, stored] of entries) {
      const wire = prefix.length === 0 ? body : Buffer.concat([prefix, body])
      const key = await withSchema(() => this.#key.deserialize(wire, 0, wire.length))
      yield [key, await withSchema(() => this.#read(stored))]
    }
  }

  #read(stored: Buffer): ValueAndTimestamp<V> {
    const value = this.#value.deserialize(stored, TIMESTAMP_BYTES, stored.length)
    return { value, timestamp: timestampOf(stored) }
  }

  /** The key as the layers go by it. */
  protected text(key: K): string {
    if (this.#lastText !== undefined && Object.is(key, this.#lastKey)) return this.#lastText
    const text = this.#key.serialize(key).toString('latin1', this.#keyStart)
    if (typeof key !== 'object') {
      this.#lastKey = key
      this.#lastText = text
    }
    return text
  }

  #body(key: K): Buffer {
    return this.#key.serialize(key).subarray(this.#keyStart)
  }
}

class TypedStore<K, V> extends TypedReads<K, V> implements KeyValueStore<K, V> {
  readonly #bytes: LayeredStore
  readonly #value: OpenSerde<V>

  constructor(bytes: LayeredStore, serdes: StoreSerdes<K, V>) {
    super(bytes, serdes)
    this.#bytes = bytes
    this.#value = serdes.value
  }

  put(key: K, value: V, timestamp: number): void {
    const stored = withTimestamp(timestamp, this.#value.serialize(value))
    this.#bytes.put(this.text(key), stored)
  }

  insert(key: K, value: V, timestamp: number): void {
    const stored = withTimestamp(timestamp, this.#value.serialize(value))
    this.#bytes.insert(this.text(key), stored)
  }

  delete(key: K, timestamp: number): void {
    this.#bytes.delete(this.text(key), timestamp)
  }
}

/** What `read` gives, after the schema it asks for was fetched. */
export async function withSchema<T>(read: () => T): Promise<T> {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof SchemaPending)) throw error
    await error.load()
    return read()
  }
}
