/** The topics an app needs: its author's must exist and fit together, its own are created. */
import { MillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import type { Topology } from '../topology/graph.ts'
import { checkPartitions } from '../topology/partitions.ts'
import { TopologyError } from '../topology/problem.ts'
import type { NewTopic, TopicDescription, Transport } from '../transport/transport.ts'
import { authorsTopics, changelogTopics, lettersTopic, repartitionTopics } from './topic-plan.ts'

/** What an app knows of its topics. */
export interface KnownTopics {
  readonly partitionsOf: (topic: Topic) => number
  readonly topicIdOf: (topic: Topic) => string
  readonly all: readonly TopicDescription[]
}

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
  const repartitions = repartitionTopics(topology, found)
  const all = [...found.values(), ...repartitions]
  const counts = new Map(all.map(({ topic, partitions }) => [topic, partitions]))
  const problems = checkPartitions(topology, counts)
  if (problems.length > 0) throw new TopologyError(topology.name, problems)
  await createMissing(repartitions, transport, found)
  const changelogs = changelogTopics(topology, application, found)
  const letters = deadLetterTopic === undefined ? [] : [lettersTopic(deadLetterTopic, found)]
  await createMissing([...changelogs, ...letters], transport, found)
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
  const unseen = names.filter((topic) => !found.has(topic))
  if (unseen.length > 0) throw notSeenYet(unseen)
}

/** Another process may have created them just now: the broker that answers has not heard of it. */
function notSeenYet(topics: readonly Topic[]): MillraceError {
  return new MillraceError(
    'MILLRACE_TOPIC_NOT_SEEN',
    `the log was told to create ${topics.join(', ')} and does not know of it yet; this is tried again.`,
    { remedy: 'retry' },
  )
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
