/**
 * Where a topic becomes a table: each record replaces the row of its key. Source of the rules: Kafka
 * Streams' KTableSource, unversioned. An update that is older than the row is applied and makes the
 * row's timestamp smaller, for the log's order is the table's history.
 */
import type { KeyValueStoreSpec } from '../state/store.ts'
import type { Change } from './change.ts'
import type { ProcessorContext, ProcessorSpec, ProcessRecord } from './processor.ts'

/**
 * Forwards each record as a change of its row, and keeps the rows where `rows` names a store. A null
 * value removes the row; a record without key is dropped and counted in `dropped-records`.
 */
export function tableSource<K, V>(
  name: string,
  rows: KeyValueStoreSpec<K, V> | undefined,
): ProcessorSpec<K, V, K, Change<V>> {
  return {
    kind: 'tableSource',
    name,
    stores: rows === undefined ? [] : [rows],
    create: (context) => (rows === undefined ? passing(context) : keeping(context, rows)),
  }
}

function passing<K, V>({
  forward,
  count,
}: ProcessorContext<K, Change<V>>): ProcessRecord<K, V | null> {
  return (record) => {
    if (record.key === null || record.key === undefined) count('dropped-records')
    else forward(record.withValue({ newValue: record.value, oldValue: null }))
  }
}

function keeping<K, V>(
  context: ProcessorContext<K, Change<V>>,
  rows: KeyValueStoreSpec<K, V>,
): ProcessRecord<K, V | null> {
  const { forward, count } = context
  const store = context.store(rows)
  return (record) => {
    const { key, value, timestamp } = record
    if (key === null || key === undefined) {
      count('dropped-records')
      return
    }
    const old = store.getWithTimestamp(key)
    if (old !== undefined && timestamp < old.timestamp) count('out-of-order-updates')
    if (value === null) store.delete(key, timestamp)
    else store.put(key, value, timestamp)
    forward(record.withValue({ newValue: value, oldValue: old === undefined ? null : old.value }))
  }
}
