/** A table as the stream of its updates. */
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'

/** Forwards the new value of each change; null where the row went away. */
export function toStream<K, V>(name: string): ProcessorSpec<K, Change<V>, K, V | null> {
  return {
    kind: 'toStream',
    name,
    create:
      ({ forward }) =>
      (record) => {
        forward(record.withValue(record.value.newValue))
      },
  }
}
