/**
 * Replaces a source record's value by a reference to it. The value's bytes are checked once (CRC-32C)
 * and kept in the payload cache, where the steps that need them soon after find them again; nobody
 * deserializes them here.
 */
import { crc32c } from '../model/crc32c.ts'
import type { LogRecord } from '../model/record.ts'
import type { Reference } from './payloads.ts'
import type { ProcessorSpec, SourceRecord } from './processor.ts'

/** The kind by which the runtime knows that a source's value need not be deserialized. */
export const BY_REFERENCE = 'byReference'

/** Turns each value into a reference to where it lies. Only right behind a source; a null value has nothing to refer to and is dropped. */
export function byReference<K, V>(declaration: {
  readonly name: string
}): ProcessorSpec<K, V, K, Reference<V>> {
  return {
    kind: BY_REFERENCE,
    name: declaration.name,
    leasesSource: true,
    create: ({ forward, source, payloads, count }) => {
      return (record) => {
        const at = source()
        if (at === undefined) throw new TypeError('byReference runs on source records only')
        const bytes = at.record.value
        if (bytes === null) {
          count('dropped-records')
          return
        }
        const reference: Reference<V> = referenceTo(at, at.record, bytes)
        payloads.keep(reference, bytes, at.lease)
        forward(record.withValue<Reference<V>>(reference))
      }
    },
  }
}

function referenceTo<V>(at: SourceRecord, record: LogRecord, bytes: Buffer): Reference<V> {
  return {
    topicId: at.topicId,
    partition: at.partition,
    offset: record.offset,
    leaderEpoch: at.leaderEpoch,
    timestamp: record.timestamp,
    sizeBytes: bytes.length,
    crc32c: record.valueCrc ?? crc32c(bytes),
  }
}
