/** What the brokers of a cluster take, by their own settings: for advice before anything is sent. */
import { DESCRIBE_CONFIGS } from '../api/describe-configs.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'
import { CODE } from '../error-codes.ts'
import { clusterOf } from './cluster-of.ts'
import type { KafkaOptions } from './kafka-options.ts'

/** Settings of one broker. */
export interface BrokerSettings {
  readonly node: number
  /** By Kafka's names, those that have a value; undefined where this user may not see them. */
  readonly settings: ReadonlyMap<string, string> | undefined
}

/** The settings `names` of every broker that is up, in the order of their numbers; over connections of its own. */
export async function brokerSettings(
  options: KafkaOptions,
  names: readonly string[],
): Promise<readonly BrokerSettings[]> {
  await using cluster = clusterOf(options)
  await cluster.metadata.refresh([])
  const nodes = cluster.metadata.brokers.map(({ nodeId }) => nodeId).toSorted((a, b) => a - b)
  return await Promise.all(nodes.map((node) => settingsOf(cluster, node, names)))
}

async function settingsOf(
  cluster: KafkaCluster,
  node: number,
  names: readonly string[],
): Promise<BrokerSettings> {
  const resources = [{ kind: 'broker', name: String(node), settings: names }] as const
  const { results } = await cluster.ask(node, [DESCRIBE_CONFIGS, { resources }])
  const [answer] = results
  if (answer === undefined || answer.errorCode !== CODE.none) return { node, settings: undefined }
  const pairs = answer.settings.flatMap(({ name, value }) =>
    value === null ? [] : ([[name, value]] as const),
  )
  return { node, settings: new Map(pairs) }
}
