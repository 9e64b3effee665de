/**
 * What the chaos test writes and what it makes of it: the topics, and the plain functions that the
 * processes, the feeder and the verifier share. Every input record carries a number, so that each
 * output says which record it came from.
 */
import { crc32c } from '../../model/crc32c.ts'
import { asPartition, asTopic, type Partition, type Topic } from '../../model/position.ts'
import { partitionForKey } from '../../model/murmur2.ts'
import { ENRICHED_TOPIC, JOINED_TOPIC, RAW_TOPIC } from '../../video/topics.ts'
import type { Chunk } from '../../video/schemas.ts'

/** Partitions of every topic. */
export const PARTITIONS = 5

/** Topics that the feeder writes. */
export const INPUT = {
  numbers: asTopic('numbers'),
  left: asTopic('left'),
  right: asTopic('right'),
  chunks: RAW_TOPIC,
} as const

/** Topics that the group of processes writes. */
export const OUTPUT = {
  echo: asTopic('echo'),
  counted: asTopic('counted'),
  minima: asTopic('minima'),
  sums: asTopic('sums'),
  windowed: asTopic('windowed'),
  paired: asTopic('paired'),
  recounted: asTopic('recounted'),
  enriched: ENRICHED_TOPIC,
  joined: JOINED_TOPIC,
} as const

/** All of them, inputs first. */
export const TOPICS: readonly Topic[] = [...Object.values(INPUT), ...Object.values(OUTPUT)]

/** Size of the windows that numbers are counted in. */
export const WINDOW_MS = 1_000
/** How far apart in time two records may be to be paired. */
export const PAIR_MS = 500
/** Bytes of each chunk, chunks of each video, and videos that are written at the same time. */
const CHUNK_BYTES = 4_096
const CHUNKS_PER_VIDEO = 6
const VIDEOS = 5

/** The key of a number. */
export function keyOfNumber(n: number): string {
  return `k${n % 23}`
}

/** The key on both sides of the join. */
export function keyOfPair(n: number): string {
  return `j${n % 11}`
}

/** The key under which a number is counted behind the repartition topic. */
export function otherKeyOf(n: number): string {
  return `r${n % 7}`
}

/** What is summed and whose minimum is kept: below 2^24, without any order. */
export function amountOf(n: number): number {
  return Math.imul(n ^ 0x9e37_79b9, 0x2c1b_3c6d) >>> 8
}

/** The partition of a text key. */
export function partitionOf(key: string): Partition {
  return asPartition(partitionForKey(Buffer.from(key), PARTITIONS))
}

/** The video and index of the i-th chunk: of each video one in turn, and of the next ones when they are whole. */
export function placeOfChunk(i: number): { readonly videoId: string; readonly index: number } {
  const generation = Math.floor(i / (VIDEOS * CHUNKS_PER_VIDEO))
  const index = Math.floor(i / VIDEOS) % CHUNKS_PER_VIDEO
  return { videoId: `v${generation}-${i % VIDEOS}`, index }
}

/** Whether so many chunks leave no video begun. */
export function areWholeVideos(chunks: number): boolean {
  return chunks % (VIDEOS * CHUNKS_PER_VIDEO) === 0
}

/** A chunk of a made-up video; its bytes follow from its place. */
export function chunkOf(videoId: string, index: number): Chunk {
  const bytes = Buffer.alloc(CHUNK_BYTES, `${videoId}/${index} `)
  return {
    videoId,
    offset: index * CHUNK_BYTES,
    index,
    last: index === CHUNKS_PER_VIDEO - 1,
    startUs: index * 1_000,
    endUs: (index + 1) * 1_000,
    container: 'mp4',
    crc32c: crc32c(bytes),
    bytes,
  }
}
