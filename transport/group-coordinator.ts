/**
 * The groups of a log: the broker's half of membership, once for every log that is its own broker.
 *
 * Everything is held in memory and nothing survives the process: after it, members are unknown, find
 * that out with their next sign of life, and join anew. Their ids are random, so whatever they do in
 * the name of the old group is refused until then. Groups that were used are kept, for their
 * generations only ever grow.
 */
import type { Clock } from '../model/clock.ts'
import { groupFenced, groupHasMembers, groupNotEmpty } from './group-errors.ts'
import type {
  DescribedMember,
  GenerationRequest,
  HeartbeatAnswer,
  JoinAnswer,
  JoinRequest,
  MemberOfGroup,
  SyncAnswer,
  SyncRequest,
} from './group-requests.ts'
import { Group } from './group.ts'
import type { GroupMetadata } from './transport.ts'

/** Every bound of a coordinator. */
export interface GroupLimits {
  /** Milliseconds a group without members waits for more after its first, so that processes which start together share one generation. Default: 20. */
  readonly initialRebalanceDelayMs: number
}

/** The defaults of every limit. */
export const GROUP_LIMITS: GroupLimits = Object.freeze({ initialRebalanceDelayMs: 20 })

/** All groups, by id. */
export class GroupCoordinator {
  readonly #clock: Clock
  readonly #limits: GroupLimits
  readonly #groups = new Map<string, Group>()

  constructor(clock: Clock, limits: Partial<GroupLimits> = {}) {
    this.#clock = clock
    this.#limits = { ...GROUP_LIMITS, ...limits }
  }

  /** Resolves when the next generation is known. */
  async join(request: JoinRequest): Promise<JoinAnswer> {
    const group = this.#groups.get(request.groupId) ?? this.#create(request.groupId)
    return await group.join(request)
  }

  /** Resolves when the generation is assigned. */
  async sync(request: SyncRequest): Promise<SyncAnswer> {
    const group = this.#groups.get(request.groupId)
    return (await group?.sync(request)) ?? UNKNOWN_MEMBER
  }

  heartbeat(request: GenerationRequest): HeartbeatAnswer {
    return this.#groups.get(request.groupId)?.heartbeat(request) ?? UNKNOWN_MEMBER
  }

  leave(request: MemberOfGroup): void {
    this.#groups.get(request.groupId)?.leave(request)
  }

  /** The members of a group, in the order in which they joined it. */
  describe(groupId: string): readonly DescribedMember[] {
    return this.#groups.get(groupId)?.describe() ?? []
  }

  /**
   * Throws MILLRACE_GROUP_FENCED, or MILLRACE_GROUP_INSTANCE_FENCED, unless the member may commit
   * offsets now, in a transaction or alone. As in Kafka, who names no member may do so in a
   * transaction at any time, and alone while the group has no members; and a member of the last
   * generation may until all have joined the next.
   */
  assertMayCommit(metadata: GroupMetadata, how: 'in-transaction' | 'alone'): void {
    const { groupId, generation, memberId, groupInstanceId } = metadata
    const group = this.#groups.get(groupId)
    if (generation < 0 && memberId === '' && groupInstanceId === undefined) {
      if (how === 'alone' && group?.hasMembers === true) throw groupHasMembers(groupId)
      return
    }
    const refusal = group === undefined ? 'unknown-member' : group.refusalOf(metadata)
    if (refusal !== undefined) throw groupFenced(groupId, refusal)
  }

  /** Throws MILLRACE_GROUP_HAS_MEMBERS where the group has members. */
  assertEmpty(groupId: string): void {
    if (this.#groups.get(groupId)?.hasMembers === true) throw groupNotEmpty(groupId)
  }

  /** Ends every timer; whoever waits for an answer is told `reason`. */
  close(reason: Error): void {
    for (const group of this.#groups.values()) group.close(reason)
    this.#groups.clear()
  }

  #create(groupId: string): Group {
    const group = new Group(this.#clock, this.#limits)
    this.#groups.set(groupId, group)
    return group
  }
}

const UNKNOWN_MEMBER = Object.freeze({ kind: 'refused', why: 'unknown-member' })
