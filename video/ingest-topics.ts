/** The topics that an ingest writes to: made where they are missing, and looked at before anything is written. */
import { isMillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import type { NewTopic, TopicDescription, Transport } from '../transport/transport.ts'
import { CHUNK_HEADROOM_BYTES, RAW_TOPIC, VIDEOS_TOPIC, videoTopics } from './topics.ts'
import { VideoError } from './video-error.ts'

/** What is known of the two topics. */
export interface IngestTopics {
  readonly raw: TopicDescription
  readonly videos: TopicDescription
}

/** How the topics are called, and how missing ones are made. */
export interface IngestTopicOptions {
  readonly rawTopic: Topic
  readonly videosTopic: Topic
  readonly partitions: number
  readonly chunkBytes: number
}

/** What Kafka takes where a topic does not say it. */
const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
/** More than a record batch and a record put around key and value (61 bytes, and varints). */
const BATCH_OVERHEAD_BYTES = 128

/** Describes the topics; creates those that are missing. */
export async function prepareTopics(
  transport: Transport,
  options: IngestTopicOptions,
): Promise<IngestTopics> {
  const names = [options.rawTopic, options.videosTopic]
  const known = await transport.admin.describeTopics(names)
  for (const missing of newTopics(options)) {
    if (known.some(({ topic }) => topic === missing.topic)) continue
    try {
      await transport.admin.createTopics([missing])
    } catch (error) {
      // Another ingest was faster.
      if (!isMillraceError(error, 'MILLRACE_TOPIC_EXISTS')) throw error
    }
  }
  const described = await transport.admin.describeTopics(names)
  const find = (name: Topic): TopicDescription => {
    const found = described.find(({ topic }) => topic === name)
    if (found !== undefined) return found
    throw new VideoError(
      'MILLRACE_TOPIC_MISSING',
      `The topic ${name} was removed while a video was being ingested: start again.`,
      { place: name },
    )
  }
  return { raw: find(options.rawTopic), videos: find(options.videosTopic) }
}

/** Rejects with MILLRACE_CHUNK_TOO_LARGE a record of `recordBytes` (key and value) that the topic would not take. */
export function assertFits(
  { topic, config }: TopicDescription,
  { recordBytes, chunkBytes }: { recordBytes: number; chunkBytes: number },
): void {
  const limit = Number(config['max.message.bytes'] ?? DEFAULT_MAX_MESSAGE_BYTES)
  if (recordBytes + BATCH_OVERHEAD_BYTES <= limit) return
  throw new VideoError(
    'MILLRACE_CHUNK_TOO_LARGE',
    `Chunks of ${chunkBytes} bytes do not fit into ${topic}: its max.message.bytes is ${limit} and must be at least ${chunkBytes + CHUNK_HEADROOM_BYTES}. Raise it, or ingest with smaller chunks; nothing was written.`,
    { place: topic },
  )
}

function newTopics(options: IngestTopicOptions): readonly NewTopic[] {
  const names = new Map([
    [RAW_TOPIC, options.rawTopic],
    [VIDEOS_TOPIC, options.videosTopic],
  ])
  return videoTopics(options).flatMap((topic) => {
    const name = names.get(topic.topic)
    return name === undefined ? [] : [{ ...topic, topic: name }]
  })
}
