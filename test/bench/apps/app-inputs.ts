/**
 * What the applications read, put into one transaction that stays open while they start: to all of
 * them everything is there at the same moment, and nothing of their start is measured.
 */
import { randomBytes } from 'node:crypto'
import { asPartition, asTopic } from '../../../model/position.ts'
import { NO_HEADERS } from '../../../model/record.ts'
import { partitionForKey } from '../../../model/murmur2.ts'
import type { Producer } from '../../../transport/transport.ts'

/** Records of one of the topics. */
export interface Inputs {
  readonly topics: readonly string[]
  /** Sends all of them, with a flush now and then. Gives how many outputs they make. */
  readonly send: (producer: Producer, place: InputPlace) => Promise<number>
}

/** Where they go, and when they are said to have happened. */
export interface InputPlace {
  /** In front of each topic's name. */
  readonly prefix: string
  readonly partitions: number
  readonly nowMs: number
}

/** The topics of the first input, and of the second. */
export const [IN, IN2] = ['in', 'in2'] as const

const KEYS = 10_000
const SMALL_BYTES = 100
const ANNOTATION_BYTES = 2048
/** An annotation comes so many chunks behind its own: by then the chunk is in no cache. */
const LAG_CHUNKS = 16
/** Sent and not yet acknowledged. */
const UNDER_WAY_BYTES = 64 * 2 ** 20
const CHUNK_MS = 1_000

/** Records of 100 bytes under 10,000 keys, a millisecond apart. */
export function smallRecords(records: number): Inputs {
  return {
    topics: [IN],
    async send(producer, { prefix, partitions, nowMs }) {
      const topic = asTopic(prefix + IN)
      const startMs = nowMs - records
      for (let i = 0; i < records; i += 1) {
        const key = Buffer.from(`key-${String(i % KEYS).padStart(12, '0')}`)
        const partition = asPartition(partitionForKey(key, partitions))
        const value = Buffer.alloc(SMALL_BYTES, i)
        producer.send({ topic, partition, key, value, timestamp: startMs + i, headers: NO_HEADERS })
        if (producer.bufferedBytes > UNDER_WAY_BYTES) await producer.flush()
      }
      await producer.flush()
      return records
    },
  }
}

/** Chunks of random bytes, and an annotation of each that comes a while later. */
export function chunksAndAnnotations(sizeBytes: number, chunkBytes: number): Inputs {
  const chunks = Math.max(1, Math.floor(sizeBytes / chunkBytes))
  return {
    topics: [IN, IN2],
    async send(producer, { prefix, partitions, nowMs }) {
      const startMs = nowMs - chunks * CHUNK_MS
      const annotation = Buffer.alloc(ANNOTATION_BYTES, 'a')
      const bytes = randomBytes(chunkBytes)
      for (let i = 0; i < chunks; i += 1) {
        const at = { partition: asPartition(i % partitions), headers: NO_HEADERS }
        const key = Buffer.from(`video-${i % partitions}/${String(i).padStart(18, '0')}`)
        const timestamp = startMs + i * CHUNK_MS
        // The bytes of a chunk must not change before they are acknowledged, and one is like another.
        producer.send({ ...at, topic: asTopic(prefix + IN), key, value: bytes, timestamp })
        const later = timestamp + LAG_CHUNKS * CHUNK_MS
        producer.send({
          ...at,
          topic: asTopic(prefix + IN2),
          key,
          value: annotation,
          timestamp: later,
        })
        if (producer.bufferedBytes > UNDER_WAY_BYTES) await producer.flush()
      }
      await producer.flush()
      return chunks
    },
  }
}
