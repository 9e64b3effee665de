/** Members of groups on a real cluster, as the cases of the conformance suite have them. */
import { systemClock } from '../../runtime/system-clock.ts'
import { GroupWorld } from '../../transport/conformance-group-world.ts'
import { World } from '../../transport/conformance-world.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import { KafkaTransport } from '../../transport/kafka/kafka-transport.ts'
import type { KafkaLimits } from '../../transport/kafka/limits.ts'
import type { Transport } from '../../transport/transport.ts'
import { addressesOf } from './addresses.ts'

const clock = systemClock()

/** A log, and its cluster to look behind it. */
export interface GroupLog extends AsyncDisposable {
  readonly log: Transport
  readonly cluster: KafkaCluster
}

/** Opens a log with limits of its own. */
export function groupLog(brokers: readonly string[], limits: Partial<KafkaLimits> = {}): GroupLog {
  const cluster = new KafkaCluster({ brokers: addressesOf(brokers), clock, limits })
  const log = new KafkaTransport({
    cluster,
    rack: undefined,
    replicationFactor: undefined,
    compression: undefined,
    producerLimits: undefined,
    readerLimits: undefined,
  })
  return { log, cluster, [Symbol.asyncDispose]: () => log[Symbol.asyncDispose]() }
}

/** A group of its own over a topic of its own. */
export async function newGroup({ log }: GroupLog, partitions: number): Promise<GroupWorld> {
  const world = new World(log, { clock, open: async () => log }, `groups-${clock.uuid()}`)
  return new GroupWorld(world, await world.create('topic', partitions))
}
