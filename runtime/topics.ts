/** The topics an app needs: its author's must exist and fit together, its own are created. */
import { MillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import { changelogConfig, changelogTopic } from '../state/changelog.ts'
import type { Subtopology, Topology } from '../topology/graph.ts'
import { checkPartitions } from '../topology/partitions.ts'
import { TopologyError } from '../topology/problem.ts'
import { repartitionCounts } from '../topology/repartition-counts.ts'
import type { NewTopic, TopicConfig, TopicDescription, Transport } from '../transport/transport.ts'

/** What an app knows of its topics. */
export interface KnownTopics {
  readonly partitionsOf: (topic: Topic) => number
  readonly topicIdOf: (topic: Topic) => string
  readonly all: readonly TopicDescription[]
}

/** Room that a changelog record or a dead letter needs beyond the value of a source record: key, headers, bookkeeping. */
const HEADROOM_BYTES = 64 * 1024

const REPARTITION_SEGMENT_BYTES = 50 * 1024 * 1024

/**
 * Looks up every topic of a topology and creates its repartition topics and changelogs. Throws
 * MILLRACE_TOPOLOGY_INVALID with every topic that is missing or does not fit, and
 * MILLRACE_PARTITIONS_DIFFER for a topic of its own.
 */
export async function prepareTopics(
  topology: Topology,
  application: string,
  {
    transport,
    deadLetterTopic,
  }: { readonly transport: Transport; readonly deadLetterTopic: Topic | undefined },
): Promise<KnownTopics> {
  const { admin } = transport
  const named = authorsTopics(topology)
  const found = new Map<string, TopicDescription>()
  for (const topic of await admin.describeTopics(named)) found.set(topic.topic, topic)
  const counts = new Map([...found].map(([topic, { partitions }]) => [topic, partitions]))
  const own = repartitionCounts(topology, counts)
  const problems = checkPartitions(topology, new Map([...counts, ...own]))
  if (problems.length > 0) throw new TopologyError(topology.name, problems)
  const config = repartitionConfig(maxRecordBytes([...found.values()]))
  const repartitions = [...own].map(([topic, partitions]) => ({ topic, partitions, config }))
  await createMissing(repartitions, transport, found)
  const wanted = topology.subtopologies.flatMap((subtopology) =>
    changelogsOf(subtopology, application, found),
  )
  if (deadLetterTopic !== undefined) {
    const limit = maxRecordBytes([...found.values()])
    const config = limit === undefined ? {} : { 'max.message.bytes': String(limit) }
    wanted.push({ topic: deadLetterTopic, partitions: 1, config })
  }
  await createMissing(wanted, transport, found)
  const topicOf = (topic: Topic): TopicDescription => {
    const known = found.get(topic)
    if (known === undefined) throw new TypeError(`the app does not know the topic ${topic}`)
    return known
  }
  return {
    partitionsOf: (topic) => topicOf(topic).partitions,
    topicIdOf: (topic) => topicOf(topic).topicId,
    all: [...found.values()],
  }
}

function authorsTopics(topology: Topology): readonly Topic[] {
  const topics = new Set<Topic>()
  const own = new Set(topology.repartitions.map(({ topic }) => topic))
  for (const node of topology.nodes) {
    if (node.kind === 'source') for (const topic of node.topics) topics.add(topic)
    if (node.kind === 'sink') topics.add(node.topic)
  }
  return [...topics.difference(own)]
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
  found: ReadonlyMap<string, TopicDescription>,
): NewTopic[] {
  const sources = subtopology.sourceTopics.flatMap((topic) => found.get(topic) ?? [])
  const partitions = Math.max(...sources.map((source) => source.partitions))
  const maxBytes = maxRecordBytes(sources)
  return subtopology.stores
    .filter(({ spec, changelog }) => spec.logged && changelog === 'own')
    .map(({ spec }) => ({
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

async function createMissing(
  wanted: readonly NewTopic[],
  { admin }: Transport,
  found: Map<string, TopicDescription>,
): Promise<void> {
  if (wanted.length === 0) return
  const names = wanted.map(({ topic }) => topic)
  const present = new Map(
    (await admin.describeTopics(names)).map((topic) => [topic.topic as string, topic]),
  )
  for (const topic of wanted) {
    const there = present.get(topic.topic)
    if (there === undefined) await createOne(topic, admin)
    else refuseOtherCount(there, topic)
  }
  for (const topic of await admin.describeTopics(names)) found.set(topic.topic, topic)
}

/** Another process of the app may create the same topic at the same time: that is as good. */
async function createOne(topic: NewTopic, admin: Transport['admin']): Promise<void> {
  try {
    await admin.createTopics([topic])
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MILLRACE_TOPIC_EXISTS') throw error
  }
}

function refuseOtherCount(there: TopicDescription, wanted: NewTopic): void {
  if (there.partitions === wanted.partitions) return
  if (there.topic.endsWith('-repartition')) throw otherRepartition(there, wanted)
  if (!there.topic.endsWith('-changelog')) return
  throw new MillraceError(
    'MILLRACE_PARTITIONS_DIFFER',
    `the changelog ${there.topic} has ${there.partitions} partitions and its task's sources have ${wanted.partitions}: ` +
      'partitions were added to a source. State is bound to the old number; start under another application id, or run `millrace reset`.',
    { place: there.topic },
  )
}

function otherRepartition(there: TopicDescription, wanted: NewTopic): MillraceError {
  return new MillraceError(
    'MILLRACE_PARTITIONS_DIFFER',
    `the repartition topic ${there.topic} has ${there.partitions} partitions and the topology now asks for ${wanted.partitions}: ` +
      'partitions were added to a source, or the pipeline was changed. State behind the topic is bound to the old number; ' +
      'give the repartition that number ({ partitions }), start under another application id, or run `millrace reset`.',
    { place: there.topic },
  )
}
