/** A step that gives each record another key and another value. */
import { StreamRecord } from '../model/record.ts'
import type { ProcessorSpec } from './processor.ts'

/** Forwards, for each record, one with the key and the value that `mapper` answers; timestamp and headers stay. */
export function map<K, V, L, W>(
  name: string,
  mapper: (record: StreamRecord<K, V>) => readonly [L, W],
): ProcessorSpec<K, V, L, W> {
  return {
    kind: 'map',
    name,
    create:
      ({ forward }) =>
      (record) => {
        const [key, value] = mapper(record)
        forward(new StreamRecord(key, value, record.timestamp, record.headers))
      },
  }
}
