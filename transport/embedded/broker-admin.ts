/** The administration of an embedded log, as questions to whoever holds it. */
import type { Clock } from '../../model/clock.ts'
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../model/position.ts'
import { describeMembers } from '../group-bytes.ts'
import type { GroupMemberDescription } from '../membership.ts'
import type {
  Admin,
  CommittedOffset,
  GroupMetadata,
  Isolation,
  LogEnd,
  NewTopic,
  TopicDescription,
} from '../transport.ts'
import type { LogBroker } from './broker.ts'
import { bytesOf } from './bytes-as-text.ts'

/** Asks a broker. */
export class BrokerAdmin implements Admin {
  readonly #broker: LogBroker
  readonly #clock: Clock

  constructor(broker: LogBroker, clock: Clock) {
    this.#broker = broker
    this.#clock = clock
  }

  async describeTopics(topics?: readonly Topic[]): Promise<readonly TopicDescription[]> {
    return await this.#broker.ask('describeTopics', { topics })
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    for (const topic of topics) {
      await this.#broker.ask('createTopic', { ...topic, topicId: this.#clock.uuid() })
    }
  }

  async deleteTopics(topics: readonly Topic[]): Promise<void> {
    for (const topic of topics) {
      const topicId = this.#broker.topic(topic)?.topicId
      await this.#broker.ask('deleteTopic', { topic, topicId })
    }
  }

  async deleteRecords(before: readonly PartitionOffset[]): Promise<void> {
    for (const at of before) await this.#broker.ask('deleteRecords', at)
  }

  async offsets(
    partitions: readonly TopicPartition[],
    end: LogEnd,
    isolation: Isolation,
  ): Promise<readonly Offset[]> {
    return await this.#broker.ask('offsets', { partitions, end, isolation })
  }

  async committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly (CommittedOffset | undefined)[]> {
    const offsets = await this.#broker.ask('committedOffsets', { groupId, partitions })
    return offsets.map((offset) => offset ?? undefined)
  }

  async commitOffsets(
    groupId: string,
    offsets: readonly CommittedOffset[],
    member: GroupMetadata = { groupId, generation: -1, memberId: '' },
  ): Promise<void> {
    await this.#broker.ask('commitOffsets', { group: { ...member, groupId }, offsets })
  }

  async deleteGroup(groupId: string): Promise<void> {
    await this.#broker.ask('deleteGroup', { groupId })
  }

  async describeGroup(groupId: string): Promise<readonly GroupMemberDescription[]> {
    const members = await this.#broker.ask('describeGroup', { groupId })
    return describeMembers(
      members.map((member) => ({ ...member, assignment: bytesOf(member.assignment) })),
    )
  }
}
