import { crc32c } from '../../model/crc32c.ts'
import { AT, ATTRIBUTE } from '../../transport/record-batch.ts'

/** Makes a transactional batch of one record what only brokers write: the marker that ends a transaction. */
export function makeMarker(batch: Buffer): void {
  batch.writeInt16BE(batch.readInt16BE(AT.attributes) | ATTRIBUTE.control, AT.attributes)
  batch.writeUInt32BE(crc32c(batch.subarray(AT.attributes)), AT.crc)
}
