/**
 * The topics that a pipeline reads and writes, made where they are missing: on one machine nobody
 * else does. They get as many partitions as the largest topic that is there, and take records as
 * large as it does, so that what comes in whole can also leave whole.
 */
import { isMillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import type { Topology } from '../topology/graph.ts'
import type { NewTopic, Transport } from '../transport/transport.ts'

const LARGEST_RECORD = 'max.message.bytes'

/** The topics of a topology as they would be made. `partitions` is for those that are missing; otherwise as many as the largest that is there. */
export async function topicsOf(
  topology: Topology,
  { admin }: Transport,
  partitions: number | undefined,
): Promise<readonly NewTopic[]> {
  const named = new Set(
    topology.nodes.flatMap((node) => {
      if (node.kind === 'source') return node.topics
      return node.kind === 'sink' ? [node.topic] : []
    }),
  )
  // Those that the application makes for itself are its own business.
  for (const { topic } of topology.repartitions) named.delete(topic)
  const known = await admin.describeTopics([...named])
  const largest = Math.max(0, ...known.map(({ config }) => Number(config[LARGEST_RECORD] ?? 0)))
  const config = largest === 0 ? {} : { [LARGEST_RECORD]: String(largest) }
  const usual = Math.max(1, ...known.map((topic) => topic.partitions))
  return [...named].map((topic) => ({ topic, partitions: partitions ?? usual, config }))
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
