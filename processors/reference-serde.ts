/** How a reference is kept in stores, changelogs and messages: one Avro record of some 40 bytes. */
import { avro } from '../serdes/avro.ts'
import type { Serde } from '../serdes/serde.ts'
import type { Reference } from './payloads.ts'

/** The Avro schema of a reference; schemas of messages may use it as the type of a field. */
export const referenceSchema = {
  type: 'record',
  name: 'Reference',
  namespace: 'millrace',
  doc: 'Stands for the value of one record of a log.',
  fields: [
    { name: 'topicId', type: { type: 'fixed', name: 'TopicId', size: 16, logicalType: 'uuid' } },
    { name: 'partition', type: 'int' },
    { name: 'offset', type: 'long' },
    { name: 'leaderEpoch', type: 'int' },
    { name: 'timestamp', type: 'long' },
    { name: 'sizeBytes', type: 'int' },
    { name: 'crc32c', type: 'long' },
  ],
} as const

/** The serde of references, whatever they stand for. */
export function referenceSerde<T>(): Serde<Reference<T>> {
  return avro(referenceSchema)
}
