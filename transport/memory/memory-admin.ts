/** The admin calls of a memory log: each one operation on the line. */
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
import type { Broker } from './broker.ts'
import type { Line } from './faults.ts'

/** Questions about and changes to a memory log. */
export class MemoryAdmin implements Admin {
  readonly #line: Line
  readonly #broker: Broker

  constructor(line: Line, broker: Broker) {
    this.#line = line
    this.#broker = broker
  }

  describeTopics(topics?: readonly Topic[]): Promise<readonly TopicDescription[]> {
    return this.#line.run({ kind: 'describeTopics' }, () => this.#broker.topics.describe(topics))
  }

  createTopics(topics: readonly NewTopic[]): Promise<void> {
    return this.#line.run({ kind: 'createTopics' }, () => this.#broker.topics.create(topics))
  }

  /** Topics that do not exist are passed over: on return none of them does. */
  deleteTopics(topics: readonly Topic[]): Promise<void> {
    return this.#line.run({ kind: 'deleteTopics' }, () => {
      for (const topic of topics) this.#broker.deleteTopic(topic)
    })
  }

  deleteRecords(before: readonly PartitionOffset[]): Promise<void> {
    return this.#line.run({ kind: 'deleteRecords' }, () => {
      for (const at of before) this.#broker.topics.get(at).deleteBefore(at.offset)
    })
  }

  offsets(
    partitions: readonly TopicPartition[],
    end: LogEnd,
    isolation: Isolation,
  ): Promise<readonly Offset[]> {
    return this.#line.run({ kind: 'offsets' }, () =>
      partitions.map((at) => this.#broker.topics.get(at).endOf(end, isolation)),
    )
  }

  committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly (CommittedOffset | undefined)[]> {
    return this.#line.run({ kind: 'committedOffsets' }, () =>
      this.#broker.groups.committed(groupId, partitions),
    )
  }

  commitOffsets(
    groupId: string,
    offsets: readonly CommittedOffset[],
    member: GroupMetadata = { groupId, generation: -1, memberId: '' },
  ): Promise<void> {
    return this.#line.run({ kind: 'commitOffsets' }, () => {
      this.#broker.members.assertMayCommit({ ...member, groupId }, 'alone')
      this.#broker.groups.commit(groupId, offsets)
    })
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#line.run({ kind: 'deleteGroup', groupId }, () => {
      this.#broker.members.assertEmpty(groupId)
      this.#broker.groups.delete(groupId)
    })
  }

  describeGroup(groupId: string): Promise<readonly GroupMemberDescription[]> {
    return this.#line.run({ kind: 'describeGroup', groupId }, () =>
      describeMembers(this.#broker.members.describe(groupId)),
    )
  }
}
