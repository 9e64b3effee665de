/** A step that gives each record another value and leaves its key, and so its partition, alone. */
import type { StreamRecord } from '../model/record.ts'
import type { ProcessorSpec } from './processor.ts'

/** Forwards each record with the value that `mapper` answers. The mapper sees null values too, as in Kafka Streams. */
export function mapValues<K, V, W>(
  name: string,
  mapper: (value: V, record: StreamRecord<K, V>) => W,
): ProcessorSpec<K, V, K, W> {
  return {
    kind: 'mapValues',
    name,
    create:
      ({ forward }) =>
      (record) => {
        forward(record.withValue(mapper(record.value, record)))
      },
  }
}
