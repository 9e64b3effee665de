/** Steps that look at records. What they do outside may happen again after a failure: it is not part of the commit. */
import type { StreamRecord } from '../model/record.ts'
import type { ProcessorSpec } from './processor.ts'

/** Calls `look` with each record, then forwards it. */
export function peek<K, V>(
  name: string,
  look: (record: StreamRecord<K, V>) => void,
): ProcessorSpec<K, V, K, V> {
  return {
    kind: 'peek',
    name,
    create:
      ({ forward }) =>
      (record) => {
        look(record)
        forward(record)
      },
  }
}

/** Calls `act` with each record; nothing follows. */
export function foreach<K, V>(
  name: string,
  act: (record: StreamRecord<K, V>) => void,
): ProcessorSpec<K, V, never, never> {
  return { kind: 'foreach', name, create: () => act }
}
