/**
 * One group, as Kafka's classic coordinator keeps it: who is in, which generation it is, and what
 * each member was assigned.
 *
 * Whoever comes or goes makes all members join again; when all have, or the time to do so is over,
 * there is a new generation. One of its members assigns, and brings the shares with its sync; the
 * others' syncs wait for it. A dynamic member that did not join again in time is out; a static one
 * stays for as long as its session, for it may be restarting.
 *
 * The states, and where each may go:
 * - empty: nobody is in
 * - preparing: all have to join
 * - completing: the generation is there, and its shares are not
 * - stable: everybody can have his share
 */
import type { Clock, Timer } from '../model/clock.ts'
import type { GroupLimits } from './group-coordinator.ts'
import type {
  AssignedBytes,
  DescribedMember,
  GenerationRequest,
  GroupRefusal,
  HeartbeatAnswer,
  Joined,
  JoinAnswer,
  JoinRequest,
  MemberOfGroup,
  Refused,
  SyncAnswer,
  SyncRequest,
} from './group-requests.ts'
import { Roster, type RosterMember } from './group-roster.ts'

type State = 'empty' | 'preparing' | 'completing' | 'stable'

/** One group's members and generation. */
export class Group {
  readonly #clock: Clock
  readonly #limits: GroupLimits
  readonly #roster: Roster
  #state: State = 'empty'
  #generation = 0
  /** The assignor that all members use. */
  #protocol = ''
  /** The id of the member that assigns. */
  #assigner: string | undefined
  /** Bounds the wait for joins or, while completing, for syncs. */
  #deadline: Timer | undefined
  /** Whether the group waits for more members before its first generation. */
  #isGathering = false

  constructor(clock: Clock, limits: GroupLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#roster = new Roster(clock, (member) => this.#remove(member))
  }

  get hasMembers(): boolean {
    return this.#roster.size > 0
  }

  join(request: JoinRequest): JoinAnswer | Promise<JoinAnswer> {
    const { memberId, groupInstanceId, protocol } = request
    if (this.hasMembers && protocol !== this.#protocol) {
      return { ...refused('other-protocol'), protocol: this.#protocol }
    }
    if (memberId !== '') {
      if (this.#roster.takeName(memberId)) return this.#welcome(memberId, request)
      const refusal = this.#roster.refusalOf(request)
      const member = this.#roster.get(memberId)
      if (member === undefined || refusal !== undefined) return refused(refusal ?? 'unknown-member')
      return this.#rejoin(member, request)
    }
    if (groupInstanceId === undefined) {
      return { kind: 'named', memberId: this.#roster.nameNewcomer(request.sessionTimeoutMs) }
    }
    const predecessor = this.#roster.instance(groupInstanceId)
    if (predecessor === undefined) return this.#welcome(this.#clock.uuid(), request)
    return this.#replace(predecessor, request)
  }

  sync(request: SyncRequest): SyncAnswer | Promise<SyncAnswer> {
    const refusal = this.refusalOf(request)
    const member = this.#roster.get(request.memberId)
    if (member === undefined || refusal !== undefined) return refused(refusal ?? 'unknown-member')
    if (this.#state === 'preparing') return refused('rebalancing')
    this.#roster.renewSession(member)
    member.owesSync = false
    if (this.#state === 'completing') {
      if (member.memberId !== this.#assigner) {
        member.syncing ??= Promise.withResolvers()
        return member.syncing.promise
      }
      this.#assign(request.assignments)
    }
    if (!this.#roster.members.some(({ owesSync }) => owesSync)) this.#deadline?.cancel()
    return { kind: 'synced', assignment: member.assignment }
  }

  heartbeat(request: GenerationRequest): HeartbeatAnswer {
    const refusal = this.refusalOf(request)
    const member = this.#roster.get(request.memberId)
    if (member === undefined || refusal !== undefined) return refused(refusal ?? 'unknown-member')
    if (member.joining === undefined) this.#roster.renewSession(member)
    return this.#state === 'preparing' ? refused('rebalancing') : { kind: 'alive' }
  }

  leave(request: MemberOfGroup): void {
    this.#roster.takeName(request.memberId)
    const member = this.#roster.get(request.memberId)
    if (member !== undefined && this.#roster.refusalOf(request) === undefined) this.#remove(member)
  }

  /** Why the group has no such member in this generation; undefined where it has. */
  refusalOf(who: {
    readonly memberId: string
    readonly generation: number
    readonly groupInstanceId?: string
  }): GroupRefusal | undefined {
    const refusal = this.#roster.refusalOf(who)
    if (refusal !== undefined) return refusal
    return who.generation === this.#generation ? undefined : 'illegal-generation'
  }

  describe(): readonly DescribedMember[] {
    return this.#roster.members.map(({ memberId, groupInstanceId, assignment }) => ({
      memberId,
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
      assignment,
    }))
  }

  close(reason: Error): void {
    this.#deadline?.cancel()
    this.#roster.close(reason)
    this.#state = 'empty'
  }

  // ------------------------------------------------------------------------------------- joining

  #welcome(memberId: string, request: JoinRequest): Promise<JoinAnswer> {
    const member = this.#roster.add(memberId, request)
    this.#protocol = request.protocol
    this.#assigner ??= memberId
    return this.#wait(member)
  }

  /** A member joins again. What asks for nothing new is a join whose answer was lost. */
  #rejoin(member: RosterMember, request: JoinRequest): JoinAnswer | Promise<JoinAnswer> {
    const isRepeated = member.request.subscription.equals(request.subscription)
    member.request = request
    const isAnswered =
      this.#state === 'completing' ||
      (this.#state === 'stable' && member.memberId !== this.#assigner)
    return isRepeated && isAnswered ? this.#placeOf(member) : this.#wait(member)
  }

  /** Another process comes under the instance id: it gets the share as it is, where there is one. */
  #replace(predecessor: RosterMember, request: JoinRequest): JoinAnswer | Promise<JoinAnswer> {
    const wasAssigner = this.#assigner === predecessor.memberId
    this.#roster.remove(predecessor, 'fenced-instance')
    const member = this.#roster.add(this.#clock.uuid(), request)
    member.assignment = predecessor.assignment
    if (wasAssigner) this.#assigner = member.memberId
    if (this.#state !== 'stable') return this.#wait(member)
    this.#roster.renewSession(member)
    return this.#placeOf(member, false)
  }

  /** Lets a member wait for the next generation, which is asked for where it is not yet under way. */
  #wait(member: RosterMember): Promise<JoinAnswer> {
    this.#roster.endSession(member)
    member.joining ??= Promise.withResolvers()
    const answer = member.joining.promise
    if (this.#state === 'preparing') this.#completeWhereAllJoined()
    else this.#prepare()
    return answer
  }

  // --------------------------------------------------------------------------------- generations

  /** All have to join again. */
  #prepare(): void {
    for (const member of this.#roster.members) {
      member.syncing?.resolve(refused('rebalancing'))
      member.syncing = undefined
      member.owesSync = false
    }
    this.#isGathering = this.#state === 'empty'
    this.#state = 'preparing'
    this.#bound(
      this.#isGathering ? this.#limits.initialRebalanceDelayMs : this.#rebalanceTimeoutMs(),
      () => this.#complete(),
    )
    this.#completeWhereAllJoined()
  }

  #completeWhereAllJoined(): void {
    const { members } = this.#roster
    if (this.#isGathering && members.length > 0) return
    if (members.every(({ joining }) => joining !== undefined)) this.#complete()
  }

  /** The time to join is over, or all have. */
  #complete(): void {
    this.#isGathering = false
    for (const member of this.#roster.members) {
      const isLate = member.joining === undefined && member.groupInstanceId === undefined
      if (isLate) this.#roster.remove(member, 'unknown-member')
    }
    const { members } = this.#roster
    const joined = members.filter(({ joining }) => joining !== undefined)
    if (members.length === 0) this.#becomeEmpty()
    // Static members that are all restarting: theirs is the next generation, whenever that is.
    else if (joined.length === 0) this.#bound(this.#rebalanceTimeoutMs(), () => this.#complete())
    else this.#begin(joined)
  }

  #begin(joined: readonly RosterMember[]): void {
    this.#generation += 1
    this.#state = 'completing'
    const assigner = joined.find(({ memberId }) => memberId === this.#assigner) ?? joined[0]
    this.#assigner = assigner?.memberId
    this.#bound(this.#rebalanceTimeoutMs(), () => this.#expireSyncs())
    for (const member of joined) {
      const { joining } = member
      member.joining = undefined
      member.owesSync = true
      this.#roster.renewSession(member)
      joining?.resolve(this.#placeOf(member))
    }
  }

  #placeOf(member: RosterMember, mayAssign = true): Joined {
    const assigns = mayAssign && member.memberId === this.#assigner
    const members = assigns
      ? this.#roster.members.map(({ memberId, groupInstanceId, request }) => ({
          memberId,
          ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
          subscription: request.subscription,
        }))
      : []
    const { memberId } = member
    return { kind: 'joined', memberId, generation: this.#generation, assigns, members }
  }

  #assign(assignments: readonly AssignedBytes[]): void {
    this.#state = 'stable'
    const shares = new Map(assignments.map((each) => [each.memberId, each.assignment]))
    for (const member of this.#roster.members) {
      const assignment = shares.get(member.memberId) ?? Buffer.alloc(0)
      member.assignment = assignment
      member.syncing?.resolve({ kind: 'synced', assignment })
      member.syncing = undefined
    }
  }

  /** Who joined and never asked for his share keeps it from others. */
  #expireSyncs(): void {
    const late = this.#roster.members.filter(({ owesSync }) => owesSync)
    for (const member of late) this.#remove(member)
  }

  #remove(member: RosterMember): void {
    this.#roster.remove(member, 'unknown-member')
    if (!this.hasMembers) this.#becomeEmpty()
    else if (this.#state === 'preparing') this.#completeWhereAllJoined()
    else this.#prepare()
  }

  #becomeEmpty(): void {
    this.#deadline?.cancel()
    this.#deadline = undefined
    this.#generation += 1
    this.#state = 'empty'
    this.#assigner = undefined
  }

  #bound(delayMs: number, expire: () => void): void {
    this.#deadline?.cancel()
    this.#deadline = this.#clock.timer(delayMs, expire)
  }

  /** The longest that a member asks for. */
  #rebalanceTimeoutMs(): number {
    return Math.max(...this.#roster.members.map(({ request }) => request.rebalanceTimeoutMs))
  }
}

function refused(why: GroupRefusal): Refused {
  return { kind: 'refused', why }
}
