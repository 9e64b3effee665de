/**
 * The rows of a table that belong to one group as one value, as a table. Source of the rules: Kafka
 * Streams' KTableAggregate and KTableReduce. What a row was is taken out before what it is now is
 * put in, in one update of the group; a group whose value becomes null is removed.
 */
import { StreamRecord } from '../model/record.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'
import { putRow } from './put-row.ts'

/** How the rows of a group become one value. */
export interface TableAggregation<K, V, A> {
  /** The value of a group with its first row. */
  readonly first: (value: V, key: K) => A | null
  /** The value with one more row; null removes the group. */
  readonly add: (aggregate: A, value: V, key: K) => A | null
  /** The value with one row less; null removes the group. */
  readonly subtract: (aggregate: A, value: V, key: K) => A | null
}

/** Forwards the new value of a group at each change of one of its rows. */
export function tableAggregate<K, V, A>(
  step: { readonly kind: string; readonly name: string; readonly rows: KeyValueStoreSpec<K, A> },
  { first, add, subtract }: TableAggregation<K, V, A>,
): ProcessorSpec<K, Change<V>, K, Change<A>> {
  const { kind, name, rows } = step
  return {
    kind,
    name,
    stores: [rows],
    create: (context) => {
      const store = context.store(rows)
      return ({ key, value: { newValue, oldValue }, timestamp, headers }) => {
        const old = store.getWithTimestamp(key)
        const rest =
          old === undefined || oldValue === null
            ? (old?.value ?? null)
            : subtract(old.value, oldValue, key)
        const next =
          newValue === null ? rest : rest === null ? first(newValue, key) : add(rest, newValue, key)
        const newTimestamp = old === undefined ? timestamp : Math.max(timestamp, old.timestamp)
        putRow(store, old, { key, value: next, timestamp: newTimestamp })
        const change = { newValue: next, oldValue: old === undefined ? null : old.value }
        context.forward(new StreamRecord(key, change, newTimestamp, headers))
      }
    },
  }
}
