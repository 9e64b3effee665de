/** Groups from beside them: their offsets, their members, and forgetting them. */
import {
  asOffset,
  asPartition,
  asTopic,
  describePartition,
  type TopicPartition,
} from '../../../model/position.ts'
import { groupFenced, groupHasMembers, groupNotEmpty } from '../../group-errors.ts'
import type { GroupRefusal } from '../../group-requests.ts'
import { offsetsPending, unknownPartition } from '../../log-errors.ts'
import type { GroupMemberDescription } from '../../membership.ts'
import type { CommittedOffset, GroupMetadata } from '../../transport.ts'
import { byTopic } from '../api/api.ts'
import { DELETE_GROUPS } from '../api/delete-groups.ts'
import { DESCRIBE_GROUPS } from '../api/describe-groups.ts'
import { OFFSET_COMMIT } from '../api/offset-commit.ts'
import { OFFSET_FETCH, type FetchedOffset } from '../api/offset-fetch.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'
import { CODE, placeOfCode, refused } from '../error-codes.ts'
import { WireReader } from '../wire/reader.ts'

/** A group's offsets, in the order asked. */
export async function committedOffsets(
  cluster: KafkaCluster,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<readonly (CommittedOffset | undefined)[]> {
  if (partitions.length === 0) return []
  const found = await stableOffsets(cluster, groupId, partitions)
  const byName = new Map(found.map((one) => [describePartition(placeOf(one)), one]))
  return partitions.map((at) => {
    const one = byName.get(describePartition(at))
    if (one === undefined || one.offset < 0) return undefined
    return { ...at, offset: asOffset(one.offset), metadata: one.metadata ?? '' }
  })
}

/** Commits outside any transaction. */
export async function commitOffsets(
  cluster: KafkaCluster,
  offsets: readonly CommittedOffset[],
  member: GroupMetadata,
): Promise<void> {
  if (offsets.length === 0) return
  const { groupId, generation, memberId, groupInstanceId = null } = member
  const topics = byTopic(offsets.map((offset) => ({ ...offset, leaderEpoch: -1 })))
  const request = { groupId, generation, memberId, groupInstanceId, topics }
  const { partitions } = await cluster.askCoordinator(
    { kind: 'group', key: groupId },
    [OFFSET_COMMIT, request],
    { codeOf: (answer) => answer.partitions[0]?.errorCode ?? CODE.none },
  )
  for (const { errorCode, ...at } of partitions) {
    if (errorCode === CODE.none) continue
    const fence = FENCES.get(errorCode)
    if (fence === 'unknown-member' && memberId === '') throw groupHasMembers(groupId)
    if (fence !== undefined) throw groupFenced(groupId, fence)
    if (errorCode === CODE.unknownTopicOrPartition) throw unknownPartition(placeOf(at))
    const place = placeOfCode(errorCode, at, `group ${groupId}`)
    throw refused(errorCode, { api: OFFSET_COMMIT.name, place })
  }
}

/** Forgets a group. Kafka would drop pending offsets with it without a word, so these are asked for first. */
export async function deleteGroup(cluster: KafkaCluster, groupId: string): Promise<void> {
  const all = await cluster.metadata.refresh(null)
  await stableOffsets(
    cluster,
    groupId,
    all.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition }) => placeOf({ topic, partition })),
    ),
  )
  const { groups } = await cluster.askCoordinator(
    { kind: 'group', key: groupId },
    [DELETE_GROUPS, { groups: [groupId] }],
    { codeOf: (answer) => answer.groups[0]?.errorCode ?? CODE.none },
  )
  const code = groups[0]?.errorCode ?? CODE.none
  if (code === CODE.none || code === CODE.groupIdNotFound) return
  if (code === CODE.nonEmptyGroup) throw groupNotEmpty(groupId)
  throw refused(code, { api: DELETE_GROUPS.name, place: `group ${groupId}` })
}

/**
 * The members of a group; none where there is no such group. A coordinator that has just taken over
 * describes it as of a moment ago, when it may have had none; stable offsets, even of nothing, are
 * answered only when all that was written is there to be seen.
 */
export async function describeGroup(
  cluster: KafkaCluster,
  groupId: string,
): Promise<readonly GroupMemberDescription[]> {
  await stableOffsets(cluster, groupId, [])
  const { groups } = await cluster.askCoordinator(
    { kind: 'group', key: groupId },
    [DESCRIBE_GROUPS, { groups: [groupId] }],
    { codeOf: (answer) => answer.groups[0]?.errorCode ?? CODE.none },
  )
  const [group] = groups
  if (group === undefined || group.errorCode === CODE.groupIdNotFound) return []
  if (group.errorCode !== CODE.none) {
    throw refused(group.errorCode, { api: DESCRIBE_GROUPS.name, place: `group ${groupId}` })
  }
  return group.members.map(({ memberId, groupInstanceId, assignment }) => ({
    memberId,
    ...(groupInstanceId === null ? {} : { groupInstanceId }),
    partitions: assignedPartitions(assignment),
  }))
}

/** What a group has committed for these partitions. Rejects with MILLRACE_OFFSETS_PENDING where one of them is open. */
async function stableOffsets(
  cluster: KafkaCluster,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<readonly FetchedOffset[]> {
  const topics = byTopic(partitions).map(({ topic, partitions: those }) => {
    return { topic, partitions: those.map(({ partition }) => partition) }
  })
  const answer = await cluster.askCoordinator(
    { kind: 'group', key: groupId },
    [OFFSET_FETCH, { groupId, topics, requireStable: true }],
    { codeOf: ({ errorCode }) => errorCode },
  )
  for (const { errorCode, ...one } of [answer, ...answer.partitions]) {
    if (errorCode === CODE.none) continue
    if (errorCode === CODE.unstableOffsetCommit && 'topic' in one) {
      throw offsetsPending(groupId, placeOf(one))
    }
    const place = placeOfCode(errorCode, 'topic' in one ? one : {}, `group ${groupId}`)
    throw refused(errorCode, { api: OFFSET_FETCH.name, place })
  }
  return answer.partitions
}

/** Kafka's ConsumerProtocolAssignment of whatever version; members of other clients may have something else, which is nothing here. */
function assignedPartitions(assignment: Buffer): readonly TopicPartition[] {
  if (assignment.length === 0) return []
  const from = new WireReader(assignment, false)
  try {
    from.int16()
    return from
      .array(() => {
        const topic = from.string()
        return from.int32s().map((partition) => placeOf({ topic, partition }))
      })
      .flat()
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return []
    throw error
  }
}

function placeOf({
  topic,
  partition,
}: {
  readonly topic: string
  readonly partition: number
}): TopicPartition {
  return { topic: asTopic(topic), partition: asPartition(partition) }
}

const FENCES: ReadonlyMap<number, GroupRefusal> = new Map<number, GroupRefusal>([
  [CODE.illegalGeneration, 'illegal-generation'],
  [CODE.unknownMemberId, 'unknown-member'],
  [CODE.fencedInstanceId, 'fenced-instance'],
  [CODE.rebalanceInProgress, 'rebalancing'],
])
