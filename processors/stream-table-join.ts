/**
 * Each record of a stream with the row of its key in a table, as the table is when the record's turn
 * comes. Source of the rules: Kafka Streams' KStreamKTableJoinProcessor, without grace. Updates of
 * the table change later results and give none themselves.
 */
import type { ProcessorSpec } from './processor.ts'
import type { RowLookup } from './row-lookup.ts'

/** A join as the topology declares it. */
export interface StreamTableJoin<K, L, R, Out> {
  readonly name: string
  readonly rows: RowLookup<K, R>
  readonly join: (value: L, row: R, key: K) => Out
}

/** Forwards what `join` answers for each record whose key has a row. A record without key or value is dropped and counted in `dropped-records`. */
export function streamTableJoin<K, L, R, Out>(
  declaration: StreamTableJoin<K, L, R, Out>,
): ProcessorSpec<K, L, K, Out> {
  const { name, rows, join } = declaration
  return {
    kind: 'join',
    name,
    stores: [rows.store],
    create: (context) => {
      const { forward, count } = context
      const rowOf = rows.open(context)
      return (record) => {
        const { key, value } = record
        if (isAbsent(key) || isAbsent(value)) {
          count('dropped-records')
          return
        }
        const row = rowOf(key)
        if (row !== undefined) forward(record.withValue(join(value, row, key)))
      }
    },
  }
}

/** Forwards what `join` answers for each record, with null where its key has no row or is null itself. A record without value is dropped and counted in `dropped-records`. */
export function streamTableLeftJoin<K, L, R, Out>(
  declaration: StreamTableJoin<K, L, R | null, Out>,
): ProcessorSpec<K, L, K, Out> {
  const { name, rows, join } = declaration
  return {
    kind: 'leftJoin',
    name,
    stores: [rows.store],
    create: (context) => {
      const { forward, count } = context
      const rowOf = rows.open(context)
      return (record) => {
        const { key, value } = record
        if (isAbsent(value)) {
          count('dropped-records')
          return
        }
        const row = isAbsent(key) ? null : (rowOf(key) ?? null)
        forward(record.withValue(join(value, row, key)))
      }
    },
  }
}

function isAbsent(part: unknown): boolean {
  return part === null || part === undefined
}
