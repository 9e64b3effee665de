/** A table's row as a step leaves it. */
import type { KeyValueStore, ValueAndTimestamp } from '../state/store.ts'

/** Writes a row, or removes it where the value is null. `old` is what the store has under the key: a row that was not there leaves no trace where it goes again. */
export function putRow<K, V>(
  store: KeyValueStore<K, V>,
  old: ValueAndTimestamp<V> | undefined,
  row: { readonly key: K; readonly value: V | null; readonly timestamp: number },
): void {
  const { key, value, timestamp } = row
  if (value === null) {
    if (old !== undefined) store.delete(key, timestamp)
  } else if (old === undefined) store.insert(key, value, timestamp)
  else store.put(key, value, timestamp)
}
