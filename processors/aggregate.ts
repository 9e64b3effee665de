/**
 * All records of a key as one value, as a table. Source of the rules: Kafka Streams' KStreamAggregate
 * and KStreamReduce. A late record still counts and never makes the row's timestamp smaller. A result
 * of null removes the row; the next record of the key begins anew, with its own timestamp.
 */
import { StreamRecord } from '../model/record.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'
import { putRow } from './put-row.ts'

/** How records become one value. */
export interface Aggregation<K, V, A> {
  /** The value of a key before its first record. */
  readonly initial: () => A
  /** The value with one more record; null removes the row. */
  readonly add: (aggregate: A, value: V, key: K) => A | null
}

/** Forwards the new value of a key at each of its records. A record without key or value is dropped and counted in `dropped-records`. */
export function aggregate<K, V, A>(
  name: string,
  rows: KeyValueStoreSpec<K, A>,
  { initial, add }: Aggregation<K, V, A>,
): ProcessorSpec<K, V, K, Change<A>> {
  return aggregating({ kind: 'aggregate', name, rows }, (old, value, key) =>
    add(old === undefined ? initial() : old, value, key),
  )
}

/** Forwards, at each record of a key, what `reducer` makes of the value so far and the record's. The first value stands for itself. */
export function reduce<K, V>(
  name: string,
  rows: KeyValueStoreSpec<K, V>,
  reducer: (aggregate: V, value: V, key: K) => V | null,
): ProcessorSpec<K, V, K, Change<V>> {
  return aggregating({ kind: 'reduce', name, rows }, (old, value, key) =>
    old === undefined ? value : reducer(old, value, key),
  )
}

function aggregating<K, V, A>(
  step: { readonly kind: string; readonly name: string; readonly rows: KeyValueStoreSpec<K, A> },
  next: (old: A | undefined, value: V, key: K) => A | null,
): ProcessorSpec<K, V, K, Change<A>> {
  const { kind, name, rows } = step
  return {
    kind,
    name,
    stores: [rows],
    create: (context) => {
      const store = context.store(rows)
      const { forward } = context
      return ({ key, value, timestamp, headers }) => {
        if (key === null || key === undefined || value === null || value === undefined) {
          context.count('dropped-records')
          return
        }
        const old = store.getWithTimestamp(key)
        const newValue = next(old?.value, value, key)
        const newTimestamp = old === undefined ? timestamp : Math.max(timestamp, old.timestamp)
        putRow(store, old, { key, value: newValue, timestamp: newTimestamp })
        const change = { newValue, oldValue: old === undefined ? null : old.value }
        forward(new StreamRecord(key, change, newTimestamp, headers))
      }
    },
  }
}
