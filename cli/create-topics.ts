/**
 * The topics that a pipeline reads and writes, made where they are missing: on one machine nobody
 * else does. They get as many partitions as the largest topic that is there, and take records as
 * large as it does, so that what comes in whole can also leave whole. Topics of videos are made as
 * ingest makes them.
 */
import { isMillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import { authorsTopics } from '../runtime/topic-plan.ts'
import type { Topology } from '../topology/graph.ts'
import type { NewTopic, TopicConfig, TopicDescription, Transport } from '../transport/transport.ts'
import { CHUNK_HEADROOM_BYTES, videoTopics } from '../video/topics.ts'

/** Kafka's name of the limit of a topic's records. */
export const LARGEST_RECORD = 'max.message.bytes'

/** What is asked of topics that are made. */
export interface TopicWishes {
  /** Otherwise as many as the largest that is there. */
  readonly partitions?: number | undefined
  /** How large a value may be, such as a chunk; otherwise as the topics that are there take it. */
  readonly recordBytes?: number | undefined
}

/** The topics of a topology as they would be made. */
export async function topicsOf(
  topology: Topology,
  { admin }: Transport,
  wishes: TopicWishes = {},
): Promise<readonly NewTopic[]> {
  const named = authorsTopics(topology)
  return authorsTopicsAsMade(named, await admin.describeTopics(named), wishes)
}

/** The topics `named` as they would be made, where `known` are there. */
export function authorsTopicsAsMade(
  named: readonly Topic[],
  known: readonly TopicDescription[],
  { partitions, recordBytes }: TopicWishes,
): readonly NewTopic[] {
  const usual = Math.max(1, ...known.map((topic) => topic.partitions))
  const largest = Math.max(
    recordBytes === undefined ? 0 : recordBytes + CHUNK_HEADROOM_BYTES,
    ...known.map(limitOf),
  )
  const ofVideos = new Map(
    videoTopics(recordBytes === undefined ? {} : { chunkBytes: recordBytes }).map(
      ({ topic, config = {} }) => [topic, config],
    ),
  )
  return named.map((topic) => {
    const own = ofVideos.get(topic) ?? {}
    const limit = Math.max(largest, limitOf({ config: own }))
    const config = limit === 0 ? own : { ...own, [LARGEST_RECORD]: String(limit) }
    return { topic, partitions: partitions ?? usual, config }
  })
}

/** The limit of a topic's records in bytes; 0 where its settings do not say it. */
export function limitOf({ config }: { readonly config?: TopicConfig }): number {
  return Number(config?.[LARGEST_RECORD] ?? 0)
}

/** Makes those of `wanted` that do not exist; gives back the names of those it made. */
export async function createMissingTopics(
  { admin }: Transport,
  wanted: readonly NewTopic[],
): Promise<readonly Topic[]> {
  const known = await admin.describeTopics(wanted.map(({ topic }) => topic))
  const missing = wanted.filter(({ topic }) => known.every((one) => one.topic !== topic))
  const made: Topic[] = []
  for (const topic of missing) {
    try {
      await admin.createTopics([topic])
      made.push(topic.topic)
    } catch (error) {
      // Another command over the same log was faster.
      if (!isMillraceError(error, 'MILLRACE_TOPIC_EXISTS')) throw error
    }
  }
  return made
}
