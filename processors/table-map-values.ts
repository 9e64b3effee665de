/** A table with other values in the same rows. */
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'

/**
 * Forwards each change with the value that `mapper` answers. The mapper never sees an absent row: a
 * removal stays one. What an update replaced is mapped too where a later step asks for it (`hasOld`);
 * else it is left out, for it costs a second call of the author's function.
 */
export function tableMapValues<K, V, W>(
  name: string,
  mapper: (value: V, key: K) => W,
  { hasOld }: { readonly hasOld: boolean },
): ProcessorSpec<K, Change<V>, K, Change<W>> {
  return {
    kind: 'mapValues',
    name,
    create: ({ forward }) => {
      const mapped = (row: V | null, key: K): W | null => (row === null ? null : mapper(row, key))
      return (record) => {
        const { key, value } = record
        const newValue = mapped(value.newValue, key)
        const oldValue = hasOld ? mapped(value.oldValue, key) : null
        forward(record.withValue({ newValue, oldValue }))
      }
    },
  }
}
