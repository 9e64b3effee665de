/**
 * Byte orders: how a task's one database is divided between its stores, and how whole numbers are
 * written so that bytes sort as the numbers do.
 *
 *   0x00 <store name>              the store's changelog checkpoint (state/checkpoint.ts)
 *   0x01 <store name> 0x00 <key>   an entry
 *
 * No prefix is the start of another one, because no name holds a zero byte; so a range of one store
 * never sees its neighbours. Numbers for stores instead of names would save bytes, but would have to
 * be kept somewhere and would change their meaning with the topology.
 */

const CHECKPOINT = 0x00
const ENTRY = 0x01
const END_OF_NAME = 0x00
const TWO_TO_32 = 0x1_0000_0000

/** What every entry of `store` begins with in the task's database. */
export function storePrefix(store: string): Buffer {
  return Buffer.concat([Buffer.of(ENTRY), nameBytes(store), Buffer.of(END_OF_NAME)])
}

/** Where the checkpoint of `store` lies in the task's database. */
export function checkpointKey(store: string): Buffer {
  return Buffer.concat([Buffer.of(CHECKPOINT), nameBytes(store)])
}

/** The smallest key that is larger than all that begin with `prefix`; undefined where there is none. */
export function endOfPrefix(prefix: Buffer): Buffer | undefined {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const byte = prefix.readUInt8(last)
    if (byte === 0xff) continue
    const end = Buffer.from(prefix.subarray(0, last + 1))
    end.writeUInt8(byte + 1, last)
    return end
  }
  return undefined
}

/** The smallest key that is larger than `key`. */
export function successorOf(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)])
}

/**
 * Writes a whole number between -2^53 and 2^53 as Java's big-endian long. From 0 on, bytes sort as
 * the numbers do. Two 32-bit halves, because a bigint costs five times as much.
 */
export function writeInt64(target: Buffer, n: number, at: number): void {
  const high = Math.floor(n / TWO_TO_32)
  target.writeInt32BE(high, at)
  target.writeUInt32BE(n - high * TWO_TO_32, at + 4)
}

/** Reads what `writeInt64` wrote. */
export function readInt64(source: Buffer, at: number): number {
  return source.readInt32BE(at) * TWO_TO_32 + source.readUInt32BE(at + 4)
}

function nameBytes(store: string): Buffer {
  if (store === '' || store.includes('\0')) {
    throw new TypeError(`not a legal store name: ${JSON.stringify(store)}`)
  }
  return Buffer.from(store, 'utf8')
}
