/** Topics: what there is, and creating and deleting it. */
import { sleep } from '../../../model/clock.ts'
import { asPartition, asTopic, type Topic } from '../../../model/position.ts'
import { topicExists, unknownPartition } from '../../log-errors.ts'
import type { NewTopic, TopicConfig, TopicDescription } from '../../transport.ts'
import { CREATE_TOPICS } from '../api/create-topics.ts'
import { DELETE_TOPICS } from '../api/delete-topics.ts'
import { DESCRIBE_CONFIGS } from '../api/describe-configs.ts'
import { METADATA, type TopicMetadata } from '../api/metadata.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'
import { timeLeftMs } from '../cluster/within-deadline.ts'
import { CODE, refused } from '../error-codes.ts'
import { isRetriable, retryDelayMs, withPatience } from '../limits.ts'

/** The topics of `names` that exist, in that order, or all but Kafka's own. */
export async function describeTopics(
  cluster: KafkaCluster,
  names: readonly Topic[] | undefined,
): Promise<readonly TopicDescription[]> {
  if (names?.length === 0) return []
  const found = await cluster.metadata.refresh(names ?? null)
  const topics = found.filter((topic) => isThere(topic, names !== undefined))
  const order = new Map(names?.map((name, at) => [String(name), at]))
  const sorted = topics.toSorted((a, b) => (order.get(a.topic) ?? 0) - (order.get(b.topic) ?? 0))
  const configs = await topicConfigs(cluster, sorted, names !== undefined)
  return sorted.map(({ topic, topicId, partitions }) => ({
    topic: asTopic(topic),
    topicId,
    partitions: partitions.length,
    config: configs.get(topic) ?? {},
  }))
}

/**
 * Creates a topic and waits until every broker that answers knows it, so that whoever asks whichever
 * broker next finds it. `replicationFactor` -1 is the brokers' default.
 */
export async function createTopic(
  cluster: KafkaCluster,
  { topic, partitions, config = {} }: NewTopic,
  replicationFactor: number,
): Promise<void> {
  const topics = [{ topic, partitions, replicationFactor, config }]
  const timeoutMs = cluster.limits.requestDeadlineMs / 2
  const request = { topics, timeoutMs, validateOnly: false }
  let mayBeOurs = false
  await patiently(cluster, async (deadlineMs) => {
    try {
      const question = [CREATE_TOPICS, request] as const
      const { topics: answers } = await cluster.askAnyOnce(question, { deadlineMs })
      const { errorCode = CODE.none, errorMessage } = answers[0] ?? {}
      if (errorCode === CODE.none) return
      // An earlier try, whose answer was lost, may have created it.
      if (errorCode === CODE.topicAlreadyExists && mayBeOurs) return
      if (errorCode === CODE.topicAlreadyExists) throw topicExists(topic)
      const place = `topic ${topic}`
      throw refused(errorCode, { api: CREATE_TOPICS.name, place, detail: errorMessage })
    } catch (error) {
      if (isRetriable(error)) mayBeOurs = true
      throw error
    }
  })
  cluster.metadata.forget(topic)
  await spread(cluster, topic, (found) => found !== undefined && hasLeaders(found))
}

/** Deletes topics and waits until every broker that answers has forgotten them. */
export async function deleteTopics(cluster: KafkaCluster, names: readonly Topic[]): Promise<void> {
  if (names.length === 0) return
  const timeoutMs = cluster.limits.requestDeadlineMs / 2
  const left = new Set(names)
  let mayBeOurs = false
  await patiently(cluster, async (deadlineMs) => {
    try {
      const request = { topics: [...left], timeoutMs }
      const { topics } = await cluster.askAnyOnce([DELETE_TOPICS, request], { deadlineMs })
      for (const { topic, errorCode, errorMessage } of topics) {
        const isGone = errorCode === CODE.unknownTopicOrPartition
        if (isGone && !mayBeOurs) {
          throw unknownPartition({ topic: asTopic(topic), partition: asPartition(0) })
        }
        if (errorCode !== CODE.none && !isGone) {
          const place = `topic ${topic}`
          throw refused(errorCode, { api: DELETE_TOPICS.name, place, detail: errorMessage })
        }
        left.delete(asTopic(topic))
      }
    } catch (error) {
      if (isRetriable(error)) mayBeOurs = true
      throw error
    }
  })
  for (const name of names) {
    cluster.metadata.forget(name)
    await spread(cluster, name, (found) => found === undefined)
  }
}

function isThere({ errorCode, topic, isInternal }: TopicMetadata, isNamed: boolean): boolean {
  if (errorCode === CODE.none || errorCode === CODE.leaderNotAvailable)
    return isNamed || !isInternal
  const isAbsent = errorCode === CODE.unknownTopicOrPartition || errorCode === CODE.invalidTopic
  if (isAbsent || !isNamed) return false
  throw refused(errorCode, { api: METADATA.name, place: `topic ${topic}` })
}

/** The settings of topics by name. Where nobody named the topics, those whose settings this user may not see have none. */
async function topicConfigs(
  cluster: KafkaCluster,
  topics: readonly TopicMetadata[],
  isNamed: boolean,
): Promise<ReadonlyMap<string, TopicConfig>> {
  if (topics.length === 0) return new Map()
  const resources = topics.map(({ topic }) => {
    return { kind: 'topic', name: topic, settings: null } as const
  })
  const { results } = await cluster.askAny([DESCRIBE_CONFIGS, { resources }])
  const configs = new Map<string, TopicConfig>()
  for (const { name, errorCode, errorMessage, settings } of results) {
    const isGone = errorCode === CODE.unknownTopicOrPartition
    if (errorCode !== CODE.none && isNamed && !isGone) {
      const place = `topic ${name}`
      throw refused(errorCode, { api: DESCRIBE_CONFIGS.name, place, detail: errorMessage })
    }
    const pairs = settings.flatMap((one) => (one.value === null ? [] : [[one.name, one.value]]))
    configs.set(name, Object.fromEntries(pairs) as TopicConfig)
  }
  return configs
}

/** Asks each broker until it sees a topic as it should; those that do not answer are left out, and at the deadline all. */
async function spread(
  cluster: KafkaCluster,
  topic: Topic,
  isDone: (found: TopicMetadata | undefined) => boolean,
): Promise<void> {
  const { clock, limits } = cluster
  const end = clock.monotonic() + limits.topicSpreadDeadlineMs
  await cluster.metadata.refresh([], { deadlineMs: limits.topicSpreadDeadlineMs })
  const ask = async (node: number): Promise<void> => {
    for (let retry = 0; clock.monotonic() < end; retry += 1) {
      const answer = await cluster
        .ask(node, [METADATA, { topics: [topic] }], { deadlineMs: timeLeftMs(clock, end) })
        .catch(() => undefined)
      if (answer === undefined) return
      const found = answer.topics.find((one) => one.topic === topic)
      const isKnown = found?.errorCode !== CODE.unknownTopicOrPartition
      if (isDone(isKnown ? found : undefined)) return
      await sleep(clock, retryDelayMs({ clock, limits }, retry))
    }
  }
  await Promise.all(cluster.metadata.brokers.map(({ nodeId }) => ask(nodeId)))
}

function hasLeaders({ errorCode, partitions }: TopicMetadata): boolean {
  return errorCode === CODE.none && partitions.every(({ leader }) => leader >= 0)
}

async function patiently<T>(
  cluster: KafkaCluster,
  attempt: (leftMs: number) => Promise<T>,
): Promise<T> {
  const { clock, limits } = cluster
  return await withPatience({ clock, limits, deadlineMs: limits.callDeadlineMs }, attempt)
}
