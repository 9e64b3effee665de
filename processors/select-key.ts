/** A step that gives each record another key. Its partition then no longer follows from its key. */
import type { StreamRecord } from '../model/record.ts'
import type { ProcessorSpec } from './processor.ts'

/** Forwards each record with the key that `keyOf` answers. */
export function selectKey<K, V, L>(
  name: string,
  keyOf: (record: StreamRecord<K, V>) => L,
): ProcessorSpec<K, V, L, V> {
  return {
    kind: 'selectKey',
    name,
    create:
      ({ forward }) =>
      (record) => {
        forward(record.withKey(keyOf(record)))
      },
  }
}
