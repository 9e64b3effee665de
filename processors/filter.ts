/** Steps that let records through as they are, or leave them out. */
import type { StreamRecord } from '../model/record.ts'
import type { ProcessorSpec } from './processor.ts'

/** Forwards the records for which `keep` answers true. */
export function filter<K, V>(
  name: string,
  keep: (record: StreamRecord<K, V>) => boolean,
): ProcessorSpec<K, V, K, V> {
  return {
    kind: 'filter',
    name,
    create:
      ({ forward }) =>
      (record) => {
        if (keep(record)) forward(record)
      },
  }
}

/** Forwards the records for which `drop` answers false. */
export function filterNot<K, V>(
  name: string,
  drop: (record: StreamRecord<K, V>) => boolean,
): ProcessorSpec<K, V, K, V> {
  return {
    kind: 'filterNot',
    name,
    create:
      ({ forward }) =>
      (record) => {
        if (!drop(record)) forward(record)
      },
  }
}
