/** The topics of the video pipeline: their names, how they are made, and which partition a video has. */
import { partitionForKey } from '../model/murmur2.ts'
import { asPartition, asTopic, type Partition, type Topic } from '../model/position.ts'
import type { NewTopic } from '../transport/transport.ts'

/** Chunks, keyed by video and offset. */
export const RAW_TOPIC: Topic = asTopic('videos.raw')
/** Annotations of chunks, under the chunks' keys. */
export const ENRICHED_TOPIC: Topic = asTopic('videos.enriched')
/** Chunks with their annotations. */
export const JOINED_TOPIC: Topic = asTopic('videos.joined')
/** The state of each video, keyed by its id as text. Compacted. */
export const VIDEOS_TOPIC: Topic = asTopic('videos')

/** How big a slice is unless it is said: half of what the services recommend at most, and quick to send again. */
export const DEFAULT_CHUNK_BYTES = 5 * 2 ** 20

/** Room in a record beside the chunk's bytes: its other fields, key, headers and the batch around it. */
export const CHUNK_HEADROOM_BYTES = 64 * 2 ** 10

/** What the topics are made for. */
export interface VideoTopicOptions {
  /** Default: DEFAULT_CHUNK_BYTES. */
  readonly chunkBytes?: number
  /** How many partitions each topic gets. Default: 1. */
  readonly partitions?: number
}

/**
 * All topics of the pipeline, with the same number of partitions, so that a video has the same one in
 * each. videos.joined takes whole chunks, too, for the variant that carries them.
 */
export function videoTopics(options: VideoTopicOptions = {}): readonly NewTopic[] {
  const { chunkBytes = DEFAULT_CHUNK_BYTES, partitions = 1 } = options
  const whole = {
    'cleanup.policy': 'delete',
    'max.message.bytes': String(chunkBytes + CHUNK_HEADROOM_BYTES),
  }
  return [
    // What is joined refers to the chunks: they stay until somebody decides how long they are needed.
    { topic: RAW_TOPIC, partitions, config: { ...whole, 'retention.ms': '-1' } },
    { topic: ENRICHED_TOPIC, partitions, config: { 'cleanup.policy': 'delete' } },
    { topic: JOINED_TOPIC, partitions, config: whole },
    { topic: VIDEOS_TOPIC, partitions, config: { 'cleanup.policy': 'compact' } },
  ]
}

/** The partition of a video, of `partitions` many: by Kafka's murmur2 of its id in UTF-8. */
export function partitionOfVideo(videoId: string, partitions: number): Partition {
  return asPartition(partitionForKey(Buffer.from(videoId), partitions))
}
