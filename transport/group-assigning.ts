/**
 * What the member does that assigns: it reads what the others sent, looks their topics up, and writes
 * each of them its share.
 *
 * A topic that its log does not know is never one of no partitions: what was shared out then would
 * take every task of the topic from its owner, nobody would be left to notice, and nothing would call
 * for another rebalance. A broker may hear of a new topic late, so it is asked again for a while, which
 * the others wait; then the member ends with the error that a reader of the topic has. Whoever assigns
 * next looks for itself.
 */
import type { Topic } from '../model/position.ts'
import { asPartition } from '../model/position.ts'
import { cooperativeShares, resolveClaims } from './cooperative.ts'
import { decodeSubscription, encodeShare } from './group-bytes.ts'
import type { AssignedBytes, Joined } from './group-requests.ts'
import { unknownPartition } from './log-errors.ts'
import type { Assignor } from './membership.ts'
import type { Admin } from './transport.ts'

/** How long a topic may be unknown to the one that assigns; half a rebalance timeout where that is less. */
export const UNKNOWN_TOPIC_MS = 3_000

/** With what shares are made. */
export interface AssigningParts {
  readonly assignor: Assignor
  readonly admin: Pick<Admin, 'describeTopics'>
  /** Whether a topic that is not known now may be looked up again. */
  readonly mayWait: () => boolean
}

/** Shares the partitions out. MILLRACE_UNKNOWN_PARTITION for a topic that is not there: kind retriable while it may be looked up again. */
export async function assignShares(
  { members }: Joined,
  { assignor, admin, mayWait }: AssigningParts,
): Promise<readonly AssignedBytes[]> {
  const subscribers = members.map(({ subscription, ...member }) => ({
    ...member,
    ...decodeSubscription(subscription),
  }))
  const topics = [...new Set(subscribers.flatMap((each) => each.topics))]
  const described = await admin.describeTopics(topics)
  const counts = new Map(described.map(({ topic, partitions }) => [topic, partitions]))
  // Asked by the assignor: of the topics of a member that is refused its share, nobody need know.
  const partitionsOf = (topic: Topic): number => {
    const count = counts.get(topic) ?? 0
    if (count > 0) return count
    const at = { topic, partition: asPartition(0) }
    throw unknownPartition(at, mayWait() ? 'retriable' : 'fatal')
  }
  const resolved = resolveClaims(subscribers)
  const assigned = assignor.assign({ members: resolved, partitionsOf })
  const shares = cooperativeShares(resolved, assigned)
  return [...shares].map(([memberId, share]) => ({ memberId, assignment: encodeShare(share) }))
}
