/** A table with only some of another's rows. */
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'

/**
 * Forwards each change with a row that `keep` refuses taken as absent: an update to a refused row
 * becomes a removal. Where the table before knows what an update replaced (`hasOld`) a removal of what
 * was never handed on is left out; where it does not, that one goes on too, as in Kafka Streams.
 */
export function tableFilter<K, V>(
  name: string,
  keep: (value: V, key: K) => boolean,
  { hasOld }: { readonly hasOld: boolean },
): ProcessorSpec<K, Change<V>, K, Change<V>> {
  return {
    kind: 'filter',
    name,
    create: ({ forward }) => {
      const kept = (row: V | null, key: K): V | null =>
        row !== null && keep(row, key) ? row : null
      return (record) => {
        const { key, value } = record
        const newValue = kept(value.newValue, key)
        const oldValue = hasOld ? kept(value.oldValue, key) : null
        if (hasOld && newValue === null && oldValue === null) return
        forward(record.withValue({ newValue, oldValue }))
      }
    },
  }
}
