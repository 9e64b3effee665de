/**
 * Every topic that a pipeline needs, as it is and as it should be. What is missing is planned as if it
 * were made already, for the settings of some follow from those of others: a changelog takes what its
 * sources take, a repartition topic has the partitions of what is written to it.
 */
import type { Topic } from '../model/position.ts'
import {
  authorsTopics,
  changelogTopics,
  lettersTopic,
  repartitionTopics,
} from '../runtime/topic-plan.ts'
import type { Topology } from '../topology/graph.ts'
import { checkPartitions } from '../topology/partitions.ts'
import type { NewTopic, TopicDescription, Transport } from '../transport/transport.ts'
import { CHUNK_HEADROOM_BYTES, DEFAULT_CHUNK_BYTES, RAW_TOPIC } from '../video/topics.ts'
import { authorsTopicsAsMade, LARGEST_RECORD, limitOf, type TopicWishes } from './create-topics.ts'

/** What a topic is to a pipeline. The first two are its author's, and are not made by a run. */
export type TopicRole = 'source' | 'sink' | 'repartition' | 'changelog' | 'dead letters'

/** A topic as it should be, and as it is. */
export interface PlannedTopic extends Required<NewTopic> {
  readonly role: TopicRole
  /** Undefined where it does not exist. */
  readonly there: TopicDescription | undefined
}

/** What is asked for, and for whom. */
export interface TopicRequest extends TopicWishes {
  readonly application: string
  readonly deadLetterTopic?: Topic | undefined
  /** What the log lets a topic take that does not say it; undefined where that is not known. */
  readonly usualLimit?: number | undefined
}

/** The topics of a topology, and what no topic alone can be blamed for. */
export interface TopicPlan {
  readonly topics: readonly PlannedTopic[]
  /** Sentences about topics that do not fit together. */
  readonly misfits: readonly string[]
}

/** Looks at the log and changes nothing. The topology is the application's (forApplication). */
export async function planTopics(
  topology: Topology,
  { admin }: Transport,
  request: TopicRequest,
): Promise<TopicPlan> {
  const named = authorsTopics(topology)
  const known = await admin.describeTopics(named)
  const isRead = readTopics(topology)
  const authors = authorsTopicsAsMade(named, known, request).map((made) =>
    known.some(({ topic }) => topic === made.topic) ? asAsked(made, isRead, request) : made,
  )
  const found = asIfMade(authors, known, request.usualLimit)
  const repartitions = repartitionTopics(topology, found)
  const counts = new Map(
    [...found.values(), ...repartitions].map(({ topic, partitions }) => [topic, partitions]),
  )
  const misfits = checkPartitions(topology, counts).map(
    ({ place, message }) => `${place}: ${message}`,
  )
  const before = await admin.describeTopics(repartitions.map(({ topic }) => topic))
  for (const [name, topic] of asIfMade(repartitions, before, undefined)) found.set(name, topic)
  const changelogs = changelogTopics(topology, request.application, found)
  const letters =
    request.deadLetterTopic === undefined ? [] : [lettersTopic(request.deadLetterTopic, found)]
  const kept = await admin.describeTopics([...changelogs, ...letters].map(({ topic }) => topic))
  const there = new Map([...known, ...before, ...kept].map((topic) => [topic.topic, topic]))
  const inRole = (role: TopicRole, topics: readonly NewTopic[]): readonly PlannedTopic[] =>
    topics.map((topic) => ({ config: {}, ...topic, role, there: there.get(topic.topic) }))
  return {
    topics: [
      ...inRole(
        'source',
        authors.filter(({ topic }) => isRead.has(topic)),
      ),
      ...inRole(
        'sink',
        authors.filter(({ topic }) => !isRead.has(topic)),
      ),
      ...inRole('repartition', repartitions),
      ...inRole('changelog', changelogs),
      ...inRole('dead letters', letters),
    ],
    misfits,
  }
}

/** What is asked of an author's topic that is there: to take the records, where it is read. All else is its author's business. */
function asAsked(
  { topic, partitions }: NewTopic,
  isRead: ReadonlySet<Topic>,
  { recordBytes = topic === RAW_TOPIC ? DEFAULT_CHUNK_BYTES : undefined }: TopicRequest,
): NewTopic {
  if (recordBytes === undefined || !isRead.has(topic)) return { topic, partitions }
  const limit = String(recordBytes + CHUNK_HEADROOM_BYTES)
  return { topic, partitions, config: { [LARGEST_RECORD]: limit } }
}

/** Topics as they will be described: what is there stays, and takes at least what is wanted; `usualLimit` is that of those that do not say it. */
function asIfMade(
  wanted: readonly NewTopic[],
  known: readonly TopicDescription[],
  usualLimit: number | undefined,
): Map<string, TopicDescription> {
  const there = new Map(known.map((topic) => [topic.topic, topic]))
  const described = wanted.map((topic): TopicDescription => {
    const { config = {} } = topic
    const found = there.get(topic.topic) ?? { ...topic, topicId: '', config }
    const said = Math.max(limitOf(found), limitOf(topic))
    const limit = said === 0 ? (usualLimit ?? 0) : said
    const limited = limit === 0 ? {} : { [LARGEST_RECORD]: String(limit) }
    return { ...found, config: { ...found.config, ...limited } }
  })
  return new Map(described.map((topic) => [topic.topic, topic]))
}

function readTopics({ nodes }: Topology): ReadonlySet<Topic> {
  return new Set(nodes.flatMap((node) => (node.kind === 'source' ? node.topics : [])))
}
