/**
 * Which topics an application needs, as values: those of its author, and how its own are made.
 * topics.ts makes them; who only looks, or plans before anything exists, asks here as well.
 */
import type { Topic } from '../model/position.ts'
import { changelogConfig, changelogTopic } from '../state/changelog.ts'
import { hasOwnChangelog, type Subtopology, type Topology } from '../topology/graph.ts'
import { repartitionCounts } from '../topology/repartition-counts.ts'
import type { NewTopic, TopicConfig, TopicDescription } from '../transport/transport.ts'

/** Room that a changelog record or a dead letter needs beyond the value of a source record: key, headers, bookkeeping. */
const HEADROOM_BYTES = 64 * 1024

const REPARTITION_SEGMENT_BYTES = 50 * 1024 * 1024

/** Topics by name, as far as they exist. */
export type FoundTopics = ReadonlyMap<string, TopicDescription>

/** The topics that the author of a topology reads and writes; nobody but people makes them. */
export function authorsTopics(topology: Topology): readonly Topic[] {
  const topics = new Set<Topic>()
  const own = new Set(topology.repartitions.map(({ topic }) => topic))
  for (const node of topology.nodes) {
    if (node.kind === 'source') for (const topic of node.topics) topics.add(topic)
    if (node.kind === 'sink') topics.add(node.topic)
  }
  return [...topics.difference(own)]
}

/** The repartition topics, where the author's topics are those of `found`. One whose sources do not exist is left out. */
export function repartitionTopics(topology: Topology, found: FoundTopics): readonly NewTopic[] {
  const counts = new Map([...found].map(([topic, { partitions }]) => [topic, partitions]))
  const config = repartitionConfig(maxRecordBytes([...found.values()]))
  return [...repartitionCounts(topology, counts)].map(([topic, partitions]) => {
    return { topic, partitions, config }
  })
}

/** The changelogs, where the author's and the repartition topics are those of `found`. */
export function changelogTopics(
  topology: Topology,
  application: string,
  found: FoundTopics,
): readonly NewTopic[] {
  return topology.subtopologies.flatMap((part) => changelogsOf(part, application, found))
}

/** The topic of dead letters, which takes whatever comes from those of `found`. */
export function lettersTopic(topic: Topic, found: FoundTopics): NewTopic {
  const limit = maxRecordBytes([...found.values()])
  const config = limit === undefined ? {} : { 'max.message.bytes': String(limit) }
  return { topic, partitions: 1, config }
}

/** Kafka Streams' own: nothing of it expires, for only its application knows what it has read. Segments are small, so that what was read can go. */
function repartitionConfig(maxBytes: number | undefined): TopicConfig {
  return {
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'segment.bytes': String(REPARTITION_SEGMENT_BYTES),
    'message.timestamp.type': 'CreateTime',
    ...(maxBytes === undefined ? {} : { 'max.message.bytes': String(maxBytes) }),
  }
}

function changelogsOf(
  subtopology: Subtopology,
  application: string,
  found: FoundTopics,
): readonly NewTopic[] {
  const sources = subtopology.sourceTopics.flatMap((topic) => found.get(topic) ?? [])
  const partitions = Math.max(...sources.map((source) => source.partitions))
  const maxBytes = maxRecordBytes(sources)
  return subtopology.stores.filter(hasOwnChangelog).map(({ spec }) => ({
    topic: changelogTopic(application, spec.name),
    partitions,
    config: changelogConfig(maxBytes, spec),
  }))
}

/** What a topic must take that holds values of these: undefined where the log's default does. */
function maxRecordBytes(sources: readonly TopicDescription[]): number | undefined {
  const limits = sources.map(({ config }) => Number(config['max.message.bytes'] ?? 0))
  const largest = Math.max(0, ...limits)
  return largest > 0 ? largest + HEADROOM_BYTES : undefined
}
