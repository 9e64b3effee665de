/**
 * Kafka's hash of keys, so that our records land where every other Kafka client puts them. Source:
 * `Utils.murmur2` and `BuiltInPartitioner.partitionForKey` of Apache Kafka (MurmurHash2, 32 bit).
 */

const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** Kafka's murmur2 of `bytes`, as the signed 32-bit number Java shows. */
export function murmur2(bytes: Buffer): number {
  const length = bytes.length
  const whole = length & ~3
  let h = SEED ^ length
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(bytes.readInt32LE(at), M)
    k = Math.imul(k ^ (k >>> R), M)
    h = Math.imul(h, M) ^ k
  }
  let tail = 0
  for (let at = length - 1; at >= whole; at -= 1) tail = (tail << 8) | (bytes[at] ?? 0)
  if (whole !== length) h = Math.imul(h ^ tail, M)
  h = Math.imul(h ^ (h >>> 13), M)
  return (h ^ (h >>> 15)) | 0
}

/** The partition that Kafka's default partitioner gives a key with these bytes, of `partitions` many. */
export function partitionForKey(bytes: Buffer, partitions: number): number {
  return (murmur2(bytes) & 0x7fffffff) % partitions
}
