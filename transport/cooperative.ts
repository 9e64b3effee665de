/**
 * The cooperative protocol, as functions: how the one that assigns sees its members, what it holds
 * back, and what a member makes of its new share.
 *
 * The rule that keeps a partition with one owner: what a member claims is given to nobody else in
 * this generation. The member finds it missing in its share, gives it up and joins again; in the
 * generation after that nobody claims it, and it is free. The source is KIP-429; it differs in that
 * a share says itself that somebody waits for its member, so that a member which restarted in
 * between, and owns nothing that it could give up, joins again too.
 */
import { describePartition, type TopicPartition } from '../model/position.ts'
import type { Share, Subscription } from './group-bytes.ts'
import type { GroupMember, MemberAssignment } from './membership.ts'

/** A member with what it told. */
export interface Subscriber extends Subscription {
  readonly memberId: string
  readonly groupInstanceId?: string
}

/** The members as an assignor sees them: where two claim a partition, the later generation has it. */
export function resolveClaims(subscribers: readonly Subscriber[]): GroupMember[] {
  const owners = new Map<string, Subscriber>()
  for (const subscriber of subscribers) {
    for (const name of subscriber.owned.map(describePartition)) {
      const other = owners.get(name)
      if (other === undefined || other.generation < subscriber.generation) {
        owners.set(name, subscriber)
      }
    }
  }
  return subscribers.map((subscriber) => ({
    ...subscriber,
    owned: subscriber.owned.filter((at) => owners.get(describePartition(at)) === subscriber),
  }))
}

/**
 * What each member is told: the assignment without what another member still owns. A member that the
 * assignor left out gets nothing. Asserts that no partition was assigned twice and no stranger got one.
 */
export function cooperativeShares(
  members: readonly GroupMember[],
  assignments: readonly MemberAssignment[],
): ReadonlyMap<string, Share> {
  const assigned = new Map(assignments.map((each) => [each.memberId, each]))
  const wantedBy = assertDisjoint(members, assignments)
  const ownerOf = new Map(
    members.flatMap(({ memberId, owned }) =>
      owned.map((at) => [describePartition(at), memberId] as const),
    ),
  )
  const shares = members.map(({ memberId, owned }) => {
    const { partitions = [], userData = Buffer.alloc(0) } = assigned.get(memberId) ?? {}
    const isFree = (at: TopicPartition): boolean =>
      (ownerOf.get(describePartition(at)) ?? memberId) === memberId
    const mustJoinAgain = owned.some(
      (at) => (wantedBy.get(describePartition(at)) ?? memberId) !== memberId,
    )
    return [memberId, { partitions: partitions.filter(isFree), userData, mustJoinAgain }] as const
  })
  return new Map(shares)
}

/** What a new share changes for a member that owns something. */
export function changeOf(
  owned: readonly TopicPartition[],
  share: readonly TopicPartition[],
): {
  readonly added: readonly TopicPartition[]
  readonly kept: readonly TopicPartition[]
  readonly revoked: readonly TopicPartition[]
} {
  const before = new Set(owned.map(describePartition))
  const after = new Set(share.map(describePartition))
  return {
    added: share.filter((at) => !before.has(describePartition(at))),
    kept: share.filter((at) => before.has(describePartition(at))),
    revoked: owned.filter((at) => !after.has(describePartition(at))),
  }
}

/** By partition who is to have it. An assignor that gives one away twice would break what it is there for. */
function assertDisjoint(
  members: readonly GroupMember[],
  assignments: readonly MemberAssignment[],
): ReadonlyMap<string, string> {
  const known = new Set(members.map(({ memberId }) => memberId))
  const wantedBy = new Map<string, string>()
  for (const { memberId, partitions } of assignments) {
    if (!known.delete(memberId)) throw new TypeError(`an assignment for ${memberId}, of no member`)
    for (const name of partitions.map(describePartition)) {
      const other = wantedBy.get(name)
      if (other !== undefined) throw new TypeError(`${name} assigned to ${other} and ${memberId}`)
      wantedBy.set(name, memberId)
    }
  }
  return wantedBy
}
