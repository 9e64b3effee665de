/** A table with other values in the same rows. */
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'

/**
 * Forwards each change with the value that `mapper` answers. The mapper never sees an absent row: a
 * removal stays one. The old value is left out, as in processors/table-filter.ts.
 */
export function tableMapValues<K, V, W>(
  name: string,
  mapper: (value: V, key: K) => W,
): ProcessorSpec<K, Change<V>, K, Change<W>> {
  return {
    kind: 'mapValues',
    name,
    create:
      ({ forward }) =>
      (record) => {
        const { newValue } = record.value
        const mapped = newValue === null ? null : mapper(newValue, record.key)
        forward(record.withValue({ newValue: mapped, oldValue: null }))
      },
  }
}
