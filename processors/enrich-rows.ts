/**
 * What `enrich` keeps in its store: one row for each record that waits for its answer, under its
 * arrival number, so that the store's order is the order of arrival. In a session a row stays until
 * the session's last record is answered: the rows of a session are its manifest, and a session that
 * has to be opened again replays them from the first. That a row is answered is an entry of its own
 * right behind it, for without references a row is as large as its record, and would be written again
 * for one bit.
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
    { name: 'done', type: 'boolean', doc: 'stays only to say how far the source was taken in' },
    {
      name: 'topicId',
      type: ['null', 'string'],
      default: null,
      doc: 'of the source topic: one that is made anew under the same name has another; null where it is not known',
    },
  ],
} as const

const pendingEntrySchema = {
  type: 'record',
  name: 'PendingEntry',
  namespace: 'millrace',
  doc: 'A row; without one, the mark that the row before it is answered.',
  fields: [{ name: 'row', type: ['null', pendingRowSchema] }],
} as const

/** A waiting record: key and value by the step's serdes, and where it came from. */
export type PendingRow = AvroType<typeof pendingRowSchema>

/** What is at one key of the store. */
export type PendingEntry = AvroType<typeof pendingEntrySchema>

/** The store of an enrich step. */
export function pendingStore(step: string): KeyValueStoreSpec<number, PendingEntry> {
  return {
    kind: 'key-value',
    name: `${step}-pending`,
    key: entryNumber,
    value: avro(pendingEntrySchema),
    persistent: true,
    logged: true,
  }
}

/** The mark that a row is answered. */
export const ANSWERED: PendingEntry = Object.freeze({ row: null })

/** Where the row of an arrival number is. */
export function rowAt(arrival: number): number {
  return arrival * 2
}

/** Where the mark of a row is that is answered. */
export function answeredAt(arrival: number): number {
  return arrival * 2 + 1
}

/** The arrival number that an entry belongs to. */
export function arrivalOf(entry: number): number {
  return Math.floor(entry / 2)
}

const NO_PREFIX = Buffer.alloc(0)
const NUMBER_BYTES = 8

const openEntryNumber: OpenSerde<number> = {
  prefix: NO_PREFIX,
  serialize: (entry) => {
    const bytes = Buffer.allocUnsafe(NUMBER_BYTES)
    bytes.writeBigUInt64BE(BigInt(entry))
    return bytes
  },
  deserialize: (buffer, start, end) => {
    if (end - start !== NUMBER_BYTES) {
      throw new SerdeError(
        'MILLRACE_DESERIALIZATION',
        `the number of an entry has 8 bytes, not ${end - start}`,
      )
    }
    return Number(buffer.readBigUInt64BE(start))
  },
}

/** Numbers of entries as eight big-endian bytes, whose byte order is the order of the numbers. */
const entryNumber: Serde<number> = {
  name: 'entry number',
  open: async () => openEntryNumber,
}
