/** The log port's administration over a Kafka cluster. Every call ends within `limits.callDeadlineMs`. */
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../../model/position.ts'
import type { GroupMemberDescription } from '../../membership.ts'
import type {
  Admin,
  CommittedOffset,
  GroupMetadata,
  Isolation,
  LogEnd,
  NewTopic,
  TopicDescription,
} from '../../transport.ts'
import { commitOffsets, committedOffsets, deleteGroup, describeGroup } from './admin-groups.ts'
import { deleteRecords, endsOf } from './admin-offsets.ts'
import { createTopic, deleteTopics, describeTopics } from './admin-topics.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'

/** The brokers' own default of copies. */
export const DEFAULT_REPLICATION = -1

/** Asks brokers, leaders and coordinators. */
export class KafkaAdmin implements Admin {
  readonly #cluster: KafkaCluster
  readonly #replicationFactor: number

  constructor(cluster: KafkaCluster, replicationFactor: number = DEFAULT_REPLICATION) {
    this.#cluster = cluster
    this.#replicationFactor = replicationFactor
  }

  async describeTopics(topics?: readonly Topic[]): Promise<readonly TopicDescription[]> {
    return await describeTopics(this.#cluster, topics)
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    for (const topic of topics) await createTopic(this.#cluster, topic, this.#replicationFactor)
  }

  async deleteTopics(topics: readonly Topic[]): Promise<void> {
    await deleteTopics(this.#cluster, topics)
  }

  async deleteRecords(before: readonly PartitionOffset[]): Promise<void> {
    await deleteRecords(this.#cluster, before)
  }

  async offsets(
    partitions: readonly TopicPartition[],
    end: LogEnd,
    isolation: Isolation,
  ): Promise<readonly Offset[]> {
    return await endsOf(this.#cluster, partitions, { end, isolation })
  }

  async committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly (CommittedOffset | undefined)[]> {
    return await committedOffsets(this.#cluster, groupId, partitions)
  }

  async commitOffsets(
    groupId: string,
    offsets: readonly CommittedOffset[],
    member: GroupMetadata = { groupId, generation: -1, memberId: '' },
  ): Promise<void> {
    await commitOffsets(this.#cluster, offsets, { ...member, groupId })
  }

  async deleteGroup(groupId: string): Promise<void> {
    await deleteGroup(this.#cluster, groupId)
  }

  async describeGroup(groupId: string): Promise<readonly GroupMemberDescription[]> {
    return await describeGroup(this.#cluster, groupId)
  }
}
