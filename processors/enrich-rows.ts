/**
 * What `enrich` keeps in its store: one row for each record that waits for its answer, under its
 * arrival number, so that the store's order is the order of arrival. In a session a row stays, marked
 * answered, until the session's last record is answered: the rows of a session are its manifest, and
 * a session that has to be opened again replays them from the first.
 *
 * The newest row of each source partition outlives its answer until the next one comes: it says how
 * far the source was taken in. Under at-least-once the changelog may be ahead of the committed
 * offset, and records that come again must not be pushed again, least of all into the middle of a
 * session that is over. (A mark of its own could be acknowledged before the rows it stands for.)
 */
import { avro, type AvroType } from '../serdes/avro.ts'
import { SerdeError } from '../serdes/errors.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'

const pendingRowSchema = {
  type: 'record',
  name: 'PendingRow',
  namespace: 'millrace',
  doc: 'A record that waits for its enrichment, or a record of a session that may have to be replayed.',
  fields: [
    { name: 'lane', type: 'string' },
    { name: 'key', type: ['null', 'bytes'] },
    { name: 'value', type: 'bytes' },
    { name: 'timestamp', type: 'long' },
    {
      name: 'headers',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'PendingHeader',
          fields: [
            { name: 'key', type: 'string' },
            { name: 'value', type: ['null', 'bytes'] },
          ],
        },
      },
    },
    { name: 'topic', type: 'string' },
    { name: 'partition', type: 'int' },
    { name: 'offset', type: 'long' },
    { name: 'sequence', type: 'int' },
    { name: 'origin', type: 'string', doc: 'names the record the same at every attempt' },
    { name: 'answered', type: 'boolean' },
    { name: 'done', type: 'boolean', doc: 'stays only to say how far the source was taken in' },
  ],
} as const

/** A waiting record: key and value by the step's serdes, and where it came from. */
export type PendingRow = AvroType<typeof pendingRowSchema>

/** The store of an enrich step. */
export function pendingStore(step: string): KeyValueStoreSpec<number, PendingRow> {
  return {
    kind: 'key-value',
    name: `${step}-pending`,
    key: arrivalNumber,
    value: avro(pendingRowSchema),
    persistent: true,
    logged: true,
  }
}

const NO_PREFIX = Buffer.alloc(0)
const ARRIVAL_BYTES = 8

const openArrivalNumber: OpenSerde<number> = {
  prefix: NO_PREFIX,
  serialize: (arrival) => {
    const bytes = Buffer.allocUnsafe(ARRIVAL_BYTES)
    bytes.writeBigUInt64BE(BigInt(arrival))
    return bytes
  },
  deserialize: (buffer, start, end) => {
    if (end - start !== ARRIVAL_BYTES) {
      throw new SerdeError(
        'MILLRACE_DESERIALIZATION',
        `an arrival number has 8 bytes, not ${end - start}`,
      )
    }
    return Number(buffer.readBigUInt64BE(start))
  },
}

/** Arrival numbers as eight big-endian bytes, whose byte order is the order of the numbers. */
const arrivalNumber: Serde<number> = {
  name: 'arrival number',
  open: async () => openArrivalNumber,
}
