/**
 * Membership of a group: who owns which partitions, and until when. A member joins with what it owns
 * and with data of its own; the log elects a leader among the members, which assigns; every member
 * learns its share, gives back what it has to give (awaited), and joins again, so that no partition
 * has two owners at any time: what one member still holds is given to nobody else before that
 * member's next join. Partitions that stay are not touched.
 *
 * The record loop is not asked: heartbeats go by the clock alone. Offsets are fenced by what is in
 * `metadata`: generation and member id (Producer.sendOffsets, Admin.commitOffsets).
 */
import type { Topic, TopicPartition } from '../model/position.ts'
import type { GroupMetadata } from './transport.ts'

/** How a member takes part. */
export interface MembershipOptions {
  readonly groupId: string
  /**
   * A name that outlives the process: a member that comes back under it within the session timeout
   * gets its share back without a rebalance, so whatever it says anew (topics, user data) reaches the
   * others with the next one (`requestRebalance`). The one before it is through: its `closed`
   * rejects with MILLRACE_GROUP_INSTANCE_FENCED.
   */
  readonly groupInstanceId?: string
  /** Topics whose partitions are to be shared; every one exists. */
  readonly topics: readonly Topic[]
  readonly assignor: Assignor
  /** Asked for at each join: what this member tells the one that assigns. */
  readonly userData: () => Buffer
  readonly listener: MembershipListener
  /** A member that was not heard of for this long is out. Default 45,000. */
  readonly sessionTimeoutMs?: number
  /** How long the others wait for a member that has to join again, its listener's work included. Default 60,000. */
  readonly rebalanceTimeoutMs?: number
  /** Time between two signs of life. Default 3,000. */
  readonly heartbeatIntervalMs?: number
  /** Told in words when the group has had no sign of life for a good part of a session, and why. */
  readonly onNotice?: (message: string) => void
}

/** Shares partitions among members; run by one of them, with what all of them sent. Pure: the same members give the same answer. */
export interface Assignor {
  /** All members of a group must use the same; another name is refused with MILLRACE_GROUP_PROTOCOL. */
  readonly name: string
  /**
   * One assignment a member, in any order. It may give a partition to another than its owner: the
   * membership holds it back until the owner has given it up, and assigns again then. Asked for a
   * topic that the log does not know, `partitionsOf` throws: that is looked up again, or ends the
   * membership with MILLRACE_UNKNOWN_PARTITION.
   */
  assign(request: {
    readonly members: readonly GroupMember[]
    readonly partitionsOf: (topic: Topic) => number
  }): readonly MemberAssignment[]
}

/** A member as the one that assigns sees it. */
export interface GroupMember {
  readonly memberId: string
  readonly groupInstanceId?: string
  readonly topics: readonly Topic[]
  /** What it owns now. Where two claim a partition, the one of the later generation has it; the other's claim is left out here. */
  readonly owned: readonly TopicPartition[]
  /** Of the last assignment it has; -1 for a newcomer. */
  readonly generation: number
  readonly userData: Buffer
}

/** What a member gets. */
export interface MemberAssignment {
  readonly memberId: string
  readonly partitions: readonly TopicPartition[]
  readonly userData: Buffer
}

/**
 * Told what changes, one call at a time, each awaited before the next step of the protocol. What a
 * callback throws ends the membership: `closed` rejects with it.
 */
export interface MembershipListener {
  /**
   * The member is about to join: nothing that carries the old generation may begin before `assigned`,
   * and what is under way has until the rebalance timeout. Told before the first join too, and once
   * however often it has to join until it is assigned something.
   */
  joining(): Promise<void>
  /** These go to others; `metadata` is of the new generation already. The member joins again after it. */
  revoked(partitions: readonly TopicPartition[]): Promise<void>
  /** The share of this generation, also where nothing is new. Comes after `revoked`. */
  assigned(assignment: Assigned): Promise<void>
  /**
   * The log has put this member out: these belong to others already, and nothing of them may be
   * committed. It joins anew after it; where there is a `reason` it does not, and `closed` rejects
   * with that (MILLRACE_GROUP_INSTANCE_FENCED).
   */
  lost(partitions: readonly TopicPartition[], reason?: Error): Promise<void>
}

/** A member's share of one generation. */
export interface Assigned {
  readonly added: readonly TopicPartition[]
  readonly all: readonly TopicPartition[]
  readonly userData: Buffer
  readonly metadata: GroupMetadata
}

/** One member of a group, from `start` to `leave`. */
export interface Membership extends AsyncDisposable {
  /** For fencing. Before the first assignment, and from the moment the member is lost: generation -1 and an empty member id. */
  readonly metadata: GroupMetadata
  /**
   * Until when, by the clock's monotonic time, the group is sure to count on this member: a session
   * after the last sign of life that was answered, from when it was sent. Later its partitions may have
   * another owner already. -Infinity where `metadata` names nobody. While a join waits no sign is sent.
   */
  readonly aliveUntilMs: number
  /** Joins, and stays joined. Returns at once; the listener is told, from the next turn on. */
  start(): void
  /**
   * Rejects when the membership ended for good (a listener threw, the group refused it, the log is
   * closed): the listener is told nothing more, and what was owned counts as lost. Resolves after `leave`.
   */
  readonly closed: Promise<void>
  /** Joins again, because what `userData` says has changed. */
  requestRebalance(): void
  /**
   * Leaves: `revoked` with all that is owned, then goodbye, so that the others need not wait for the
   * session to end. A static member (groupInstanceId) stays in the group until its session ends.
   */
  leave(): Promise<void>
}

/** A member as anyone may see it from beside the group. */
export interface GroupMemberDescription {
  readonly memberId: string
  readonly groupInstanceId?: string
  readonly partitions: readonly TopicPartition[]
}
