/**
 * What LevelDB holds in place of a value that lies in a file of its own (state/blob-files.ts).
 *
 * The rule: a stored value that looks like a pointer is one. Values that would break it are kept in
 * files themselves, whatever their size (state/blob-database.ts), so that no value needs a byte of
 * its own that says which it is: that byte would cost a copy of every small value.
 */

/** Where a value lies. */
export interface BlobPointer {
  /** The number of the file. */
  readonly file: number
  /** Of the value's first byte in it. */
  readonly offset: number
  /** Of the value, in bytes. */
  readonly length: number
  /** CRC-32C of the value. */
  readonly crc: number
}

/** No timestamp begins so, and with one the values of most stores begin. */
const MAGIC = Buffer.from('b10bf11eb10bf11e', 'hex')
const FILE_AT = 8
const FILE_BYTES = 6
const OFFSET_AT = 14
const LENGTH_AT = 18
const LENGTH_BYTES = 6
const CRC_AT = 24
const POINTER_BYTES = 28

/** A pointer as LevelDB holds it, 28 bytes. */
export function encodeBlobPointer({ file, offset, length, crc }: BlobPointer): Buffer {
  const stored = Buffer.allocUnsafe(POINTER_BYTES)
  MAGIC.copy(stored)
  stored.writeUIntBE(file, FILE_AT, FILE_BYTES)
  stored.writeUInt32BE(offset, OFFSET_AT)
  stored.writeUIntBE(length, LENGTH_AT, LENGTH_BYTES)
  stored.writeUInt32BE(crc, CRC_AT)
  return stored
}

/** What `stored` points at; undefined where it is a value. */
export function decodeBlobPointer(stored: Buffer): BlobPointer | undefined {
  if (!looksLikePointer(stored)) return undefined
  return {
    file: stored.readUIntBE(FILE_AT, FILE_BYTES),
    offset: stored.readUInt32BE(OFFSET_AT),
    length: stored.readUIntBE(LENGTH_AT, LENGTH_BYTES),
    crc: stored.readUInt32BE(CRC_AT),
  }
}

/** Whether `value` could not be told from a pointer. */
export function looksLikePointer(value: Buffer): boolean {
  return value.length === POINTER_BYTES && value.compare(MAGIC, 0, FILE_AT, 0, FILE_AT) === 0
}
