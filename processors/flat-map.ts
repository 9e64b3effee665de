/** Steps that make none, one or many records of each. */
import { StreamRecord } from '../model/record.ts'
import type { ProcessorSpec } from './processor.ts'

/** Forwards one record for each pair of key and value that `mapper` answers, in its order; timestamp and headers stay. */
export function flatMap<K, V, L, W>(
  name: string,
  mapper: (record: StreamRecord<K, V>) => Iterable<readonly [L, W]>,
): ProcessorSpec<K, V, L, W> {
  return {
    kind: 'flatMap',
    name,
    create:
      ({ forward }) =>
      (record) => {
        for (const [key, value] of mapper(record)) {
          forward(new StreamRecord(key, value, record.timestamp, record.headers))
        }
      },
  }
}

/** Forwards one record with the same key for each value that `mapper` answers, in its order. */
export function flatMapValues<K, V, W>(
  name: string,
  mapper: (value: V, record: StreamRecord<K, V>) => Iterable<W>,
): ProcessorSpec<K, V, K, W> {
  return {
    kind: 'flatMapValues',
    name,
    create:
      ({ forward }) =>
      (record) => {
        for (const value of mapper(record.value, record)) forward(record.withValue(value))
      },
  }
}
