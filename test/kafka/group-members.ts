/** Members of groups on a real cluster, as the cases of the conformance suite have them. */
import { systemClock } from '../../runtime/system-clock.ts'
import { GroupWorld } from '../../transport/conformance-group-world.ts'
import { World } from '../../transport/conformance-world.ts'
import { KafkaAdmin } from '../../transport/kafka/admin.ts'
import { KafkaCluster } from '../../transport/kafka/cluster.ts'
import { openKafkaMembership } from '../../transport/kafka/kafka-membership.ts'
import type { KafkaLimits } from '../../transport/kafka/limits.ts'
import type { Transport } from '../../transport/transport.ts'
import { addressesOf } from './addresses.ts'

const clock = systemClock()

/** A log that is there for its groups, with its cluster to look behind it. */
export interface GroupLog extends Transport {
  readonly cluster: KafkaCluster
}

/** A cluster as a log that has members and administration alone. */
export function groupLog(brokers: readonly string[], limits: Partial<KafkaLimits> = {}): GroupLog {
  const cluster = new KafkaCluster({ brokers: addressesOf(brokers), clock, limits })
  const admin = new KafkaAdmin(cluster)
  const no = (): never => {
    throw new Error('this log has members alone')
  }
  const onClose = (): void => {}
  return {
    cluster,
    admin,
    openReader: no,
    openProducer: no,
    openMembership: (options) => openKafkaMembership(cluster, options, { admin, onClose }),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

/** A group of its own over a topic of its own. */
export async function newGroup(log: Transport, partitions: number): Promise<GroupWorld> {
  const world = new World(log, { clock, open: async () => log }, `groups-${clock.uuid()}`)
  return new GroupWorld(world, await world.create('topic', partitions))
}
