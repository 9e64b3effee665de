/**
 * How many records each key has had, as a table. Source of the rules: Kafka Streams'
 * KStreamAggregate with the counting aggregator. A record that is late still counts and never makes
 * the row's timestamp smaller.
 */
import { StreamRecord } from '../model/record.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'

/** Adds one to the row of each record's key. A record without key or value is dropped and counted in `dropped-records`. */
export function count<K, V>(
  name: string,
  rows: KeyValueStoreSpec<K, bigint>,
): ProcessorSpec<K, V, K, Change<bigint>> {
  return {
    kind: 'count',
    name,
    stores: [rows],
    create: (context) => {
      const store = context.store(rows)
      const { forward } = context
      return ({ key, value, timestamp, headers }) => {
        if (isAbsent(key) || isAbsent(value)) {
          context.count('dropped-records')
          return
        }
        const old = store.getWithTimestamp(key)
        const newValue = old === undefined ? 1n : old.value + 1n
        const newTimestamp = old === undefined ? timestamp : Math.max(timestamp, old.timestamp)
        if (old === undefined) store.insert(key, newValue, newTimestamp)
        else store.put(key, newValue, newTimestamp)
        const change = { newValue, oldValue: old === undefined ? null : old.value }
        forward(new StreamRecord(key, change, newTimestamp, headers))
      }
    },
  }
}

function isAbsent(part: unknown): boolean {
  return part === null || part === undefined
}
