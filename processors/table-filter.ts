/** A table with only some of another's rows. */
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'

/**
 * Forwards each change with a row that `keep` refuses taken as absent: an update to a refused row
 * becomes a removal, also where no such row was ever handed on. Kafka Streams does the same where
 * the filtered table is not kept in a store. The old value is left out: no step after it asks for
 * it, and it would cost a second call of the author's function.
 */
export function tableFilter<K, V>(
  name: string,
  keep: (value: V, key: K) => boolean,
): ProcessorSpec<K, Change<V>, K, Change<V>> {
  return {
    kind: 'filter',
    name,
    create:
      ({ forward }) =>
      (record) => {
        const { newValue } = record.value
        const kept = newValue !== null && keep(newValue, record.key) ? newValue : null
        forward(record.withValue({ newValue: kept, oldValue: null }))
      },
  }
}
