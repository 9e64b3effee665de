/** Groups of members on paper: what tests of the assignor play with. */
import { asPartition, asTopic, type TopicPartition } from '../../model/position.ts'
import { groupAssignor, type AssignedSubtopology } from '../../runtime/group-assignor.ts'
import {
  decodeAssignmentData,
  encodeJoinData,
  type AssignmentData,
  type JoinData,
} from '../../runtime/group-user-data.ts'
import type { GroupMember } from '../../transport/membership.ts'

/** A member as a case writes it down; its process is named like it. */
export interface PaperMember {
  readonly name: string
  /** The tasks it owns. */
  readonly owns?: readonly string[]
  readonly generation?: number
  readonly data?: Partial<JoinData>
  /** Bytes instead of `data`. */
  readonly userData?: Buffer
}

/** What a member was given. */
export interface PaperShare {
  readonly tasks: readonly string[]
  readonly partitions: readonly TopicPartition[]
  readonly told: AssignmentData
}

/** An application whose sub-topology i reads one topic, `t<i>`, of `counts[i]` partitions. */
export class PaperGroup {
  readonly counts: readonly number[]
  readonly standbys: number
  readonly subtopologies: readonly AssignedSubtopology[]

  constructor(counts: readonly number[], standbys = 0) {
    this.counts = counts
    this.standbys = standbys
    this.subtopologies = counts.map((_, id) => ({
      id,
      sourceTopics: [asTopic(`t${id}`)],
      logged: true,
    }))
  }

  get tasks(): readonly string[] {
    return this.counts.flatMap((count, id) => Array.from({ length: count }, (_, p) => `${id}_${p}`))
  }

  /** What each member gets, by name. */
  assign(members: readonly PaperMember[], fingerprint = 'same'): Map<string, PaperShare> {
    const assignor = groupAssignor({
      subtopologies: this.subtopologies,
      fingerprint,
      standbys: this.standbys,
    })
    const assignments = assignor.assign({
      members: members.map(asGroupMember),
      partitionsOf: (topic) => this.counts[Number(topic.slice(1))] ?? 0,
    })
    return new Map(
      assignments.map(({ memberId, partitions, userData }) => [
        memberId,
        {
          tasks: partitions.map(({ topic, partition }) => `${topic.slice(1)}_${partition}`),
          partitions,
          told: decodeAssignmentData(userData),
        },
      ]),
    )
  }
}

function asGroupMember(member: PaperMember): GroupMember {
  const { name, owns = [], generation = owns.length > 0 ? 1 : -1 } = member
  const owned = owns.map((task) => {
    const [id, partition] = task.split('_')
    return { topic: asTopic(`t${id}`), partition: asPartition(Number(partition)) }
  })
  return {
    memberId: name,
    topics: [],
    owned,
    generation,
    userData: member.userData ?? encodeJoinData(joinData(member)),
  }
}

/** What a member of a case joins with. */
export function joinData({ name, owns = [], data }: PaperMember): JoinData {
  return {
    processId: `process-${name}`,
    fingerprint: 'same',
    version: '',
    tasks: owns.map((id) => ({ id, lag: 0 })),
    knownProcesses: [],
    ...data,
  }
}
