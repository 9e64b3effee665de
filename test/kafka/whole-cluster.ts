/** A cluster as it was before tests stopped, killed and halted its nodes. */
import { sleep } from '../../model/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { KafkaAdmin } from '../../transport/kafka/admin/admin.ts'
import type { TopicMetadata } from '../../transport/kafka/api/metadata.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import { asTopic } from '../../model/position.ts'
import { addressesOf } from './addresses.ts'
import type { TestCluster } from './broker.ts'

/** How long the replicas may take to catch up. */
const DEADLINE_MS = 90_000
const LOOK_AGAIN_MS = 50

/** Lets halted nodes go on, starts those that ended, and waits until every replica is in sync with its leader. */
export async function makeWhole(cluster: TestCluster): Promise<void> {
  await Promise.all(
    cluster.nodes.map(async (node) => {
      node.resume()
      if (node.pid === undefined) await node.start()
    }),
  )
  await using view = viewOf(cluster)
  await untilInSync(view, cluster.nodes.length)
}

/** Makes it whole and deletes all topics but Kafka's own, so that the next tests find few of them. */
export async function makeAsNew(cluster: TestCluster): Promise<void> {
  await makeWhole(cluster)
  await using view = viewOf(cluster)
  const topics = await view.metadata.refresh(null)
  const own = topics.filter(({ isInternal }) => !isInternal).map(({ topic }) => asTopic(topic))
  if (own.length > 0) await new KafkaAdmin(view).deleteTopics(own)
}

function viewOf({ brokers }: TestCluster): KafkaCluster {
  return new KafkaCluster({ brokers: addressesOf(brokers), clock: systemClock() })
}

async function untilInSync({ metadata, clock }: KafkaCluster, nodes: number): Promise<void> {
  const end = clock.monotonic() + DEADLINE_MS
  for (;;) {
    const topics = await metadata.refresh(null)
    const behind = topics.flatMap(replicasBehind)
    const missing = nodes - metadata.brokers.length
    if (missing === 0 && behind.length === 0) return
    if (clock.monotonic() > end) {
      const what = `${missing} nodes are missing, and these have replicas that are behind`
      throw new Error(`after ${DEADLINE_MS} ms ${what}: ${behind.join() || 'none'}`)
    }
    await sleep(clock, LOOK_AGAIN_MS)
  }
}

/** Partitions of a topic that lack a leader, or a replica that is in sync. */
function replicasBehind({ topic, partitions }: TopicMetadata): readonly string[] {
  return partitions
    .filter(({ leader, replicas, inSync }) => leader < 0 || inSync.length < replicas.length)
    .map(({ partition }) => `${topic}[${partition}]`)
}
