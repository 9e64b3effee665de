/** The store that a step keeps its rows in, as its author described it. */
import type { Serde } from '../serdes/serde.ts'
import type { KeyValueStoreSpec, SessionStoreSpec, WindowStoreSpec } from '../state/store.ts'
import type { StoreStep, WindowStoreStep } from './options.ts'

/** What a store is made of. */
export interface StoreParts<K, V> {
  readonly options: StoreStep
  readonly key: Serde<K>
  readonly value: Serde<V>
}

/** The store of that name. */
export function storeOf<K, V>(name: string, parts: StoreParts<K, V>): KeyValueStoreSpec<K, V> {
  const { options, key, value } = parts
  const { persistent = true, logged = true } = options
  return { kind: 'key-value', name, key, value, persistent, logged }
}

/** The store of windows of that name, which are kept for at least `leastMs`. */
export function windowStoreOf<K, V>(
  name: string,
  parts: StoreParts<K, V> & { readonly options: WindowStoreStep },
  { sizeMs, leastMs }: { readonly sizeMs: number; readonly leastMs: number },
): WindowStoreSpec<K, V> {
  const { retentionMs = leastMs } = parts.options
  return { ...storeOf(name, parts), kind: 'window', sizeMs, retentionMs }
}

/** The store of sessions of that name, which are kept for at least `leastMs`. */
export function sessionStoreOf<K, V>(
  name: string,
  parts: StoreParts<K, V> & { readonly options: WindowStoreStep },
  leastMs: number,
): SessionStoreSpec<K, V> {
  const { retentionMs = leastMs } = parts.options
  return { ...storeOf(name, parts), kind: 'session', retentionMs }
}
