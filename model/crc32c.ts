/** CRC-32C (Castagnoli), as Kafka's record batches and our references and chunks carry it. */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'

/** The CRC-32C of `bytes` as an unsigned number; `previous` continues the CRC of what came before. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return nativeCrc32c(bytes, previous) >>> 0
}
