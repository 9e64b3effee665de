/**
 * What a member and the coordinator of its group say to each other: Kafka's JoinGroup, SyncGroup,
 * Heartbeat and LeaveGroup as plain data, so that they cross a socket as they are and an adapter can
 * map them to the wire one to one.
 *
 * That a group refuses something is an answer, not an error: the member knows what to do about it. A
 * call rejects only where it got no answer (retriable) or will never get one (fatal).
 */

/**
 * Why a group does not go along:
 * - unknown-member: it has no such member, or no longer
 * - illegal-generation: the member is of another generation
 * - fenced-instance: another process has taken over the member's instance id
 * - rebalancing: everybody must join again
 * - other-protocol: its members use another assignor
 */
export type GroupRefusal =
  'unknown-member' | 'illegal-generation' | 'fenced-instance' | 'rebalancing' | 'other-protocol'

/** The answer of a group that does not go along. */
export interface Refused {
  readonly kind: 'refused'
  readonly why: GroupRefusal
  /** For other-protocol: the one that the group uses. */
  readonly protocol?: string
}

/** Who asks. */
export interface MemberOfGroup {
  readonly groupId: string
  /** Empty for a newcomer. */
  readonly memberId: string
  readonly groupInstanceId?: string
}

/** Asks to be a member of the next generation. */
export interface JoinRequest extends MemberOfGroup {
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** The assignor's name. */
  readonly protocol: string
  /** For the member that assigns; the coordinator only compares it. */
  readonly subscription: Buffer
}

/** A member, for the one that assigns. */
export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId?: string
  readonly subscription: Buffer
}

/** A place in a generation. */
export interface Joined {
  readonly kind: 'joined'
  readonly memberId: string
  readonly generation: number
  /** Whether this member has to assign; `members` is all of them then, and empty otherwise. */
  readonly assigns: boolean
  readonly members: readonly JoinedMember[]
}

/** A name for a newcomer, to join with: so an answer that is lost leaves no second member behind. */
export interface Named {
  readonly kind: 'named'
  readonly memberId: string
}

/** The answer to a join; it comes when all have joined, or the time to do so is over. */
export type JoinAnswer = Joined | Named | Refused

/** A request of a member of one generation. */
export interface GenerationRequest extends MemberOfGroup {
  readonly generation: number
}

/** Asks for the share of this generation; the one that assigns brings all of them. */
export interface SyncRequest extends GenerationRequest {
  readonly assignments: readonly AssignedBytes[]
}

/** A member's share, for the member alone to read. */
export interface AssignedBytes {
  readonly memberId: string
  readonly assignment: Buffer
}

/** The answer to a sync; it comes when the one that assigns has done so. */
export type SyncAnswer = Refused | { readonly kind: 'synced'; readonly assignment: Buffer }

/** The answer to a heartbeat. */
export type HeartbeatAnswer = Refused | { readonly kind: 'alive' }

/** A member beside its group. `assignment` is empty before its first. */
export interface DescribedMember {
  readonly memberId: string
  readonly groupInstanceId?: string
  readonly assignment: Buffer
}

/** The way from a member to its coordinator. The signal says that nobody waits for the answer any more. */
export interface GroupCoordinatorPort {
  join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer>
  sync(request: SyncRequest, signal: AbortSignal): Promise<SyncAnswer>
  heartbeat(request: GenerationRequest, signal: AbortSignal): Promise<HeartbeatAnswer>
  /** Takes the member out of the group; one that is not in it is none. */
  leave(request: MemberOfGroup, signal: AbortSignal): Promise<void>
}
