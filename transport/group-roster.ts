/** Who is in a group: members by id and by instance id, their sessions, and newcomers that have a name but did not join yet. */
import type { Clock, Timer } from '../model/clock.ts'
import type { GroupRefusal, JoinAnswer, JoinRequest, SyncAnswer } from './group-requests.ts'

/** A member as the coordinator has it. */
export interface RosterMember {
  readonly memberId: string
  readonly groupInstanceId: string | undefined
  request: JoinRequest
  assignment: Buffer
  /** Set while it waits for the next generation. */
  joining: PromiseWithResolvers<JoinAnswer> | undefined
  /** Set while it waits for its share. */
  syncing: PromiseWithResolvers<SyncAnswer> | undefined
  /** Whether it still owes this generation a sync. */
  owesSync: boolean
  session: Timer | undefined
}

/** The members of one group, in the order in which they came. */
export class Roster {
  readonly #clock: Clock
  readonly #onExpired: (member: RosterMember) => void
  readonly #members = new Map<string, RosterMember>()
  /** Member ids by instance id. */
  readonly #instances = new Map<string, string>()
  /** Named newcomers, with the timer that forgets them. */
  readonly #named = new Map<string, Timer>()

  /** `onExpired` hears of a member that was not heard of for its session timeout; it is still in. */
  constructor(clock: Clock, onExpired: (member: RosterMember) => void) {
    this.#clock = clock
    this.#onExpired = onExpired
  }

  get size(): number {
    return this.#members.size
  }

  get members(): readonly RosterMember[] {
    return [...this.#members.values()]
  }

  get(memberId: string): RosterMember | undefined {
    return this.#members.get(memberId)
  }

  /** The member that joined last under an instance id. */
  instance(groupInstanceId: string): RosterMember | undefined {
    return this.#members.get(this.#instances.get(groupInstanceId) ?? '')
  }

  /** Why somebody who calls himself so is no member; undefined where he is. */
  refusalOf(who: {
    readonly memberId: string
    readonly groupInstanceId?: string
  }): GroupRefusal | undefined {
    const known = this.#members.get(who.memberId)
    const current =
      who.groupInstanceId === undefined ? undefined : this.#instances.get(who.groupInstanceId)
    if (current !== undefined && current !== who.memberId) return 'fenced-instance'
    return known === undefined || known.groupInstanceId !== who.groupInstanceId
      ? 'unknown-member'
      : undefined
  }

  /** A random name for a newcomer, good for one join within its session timeout. */
  nameNewcomer(sessionTimeoutMs: number): string {
    const memberId = this.#clock.uuid()
    const forget = (): boolean => this.#named.delete(memberId)
    this.#named.set(memberId, this.#clock.timer(sessionTimeoutMs, forget))
    return memberId
  }

  /** Whether the name was given to a newcomer; it is used up. */
  takeName(memberId: string): boolean {
    this.#named.get(memberId)?.cancel()
    return this.#named.delete(memberId)
  }

  /** Takes in a member that has a name. */
  add(memberId: string, request: JoinRequest): RosterMember {
    const { groupInstanceId } = request
    const member: RosterMember = {
      memberId,
      groupInstanceId,
      request,
      assignment: Buffer.alloc(0),
      joining: undefined,
      syncing: undefined,
      owesSync: false,
      session: undefined,
    }
    this.#members.set(memberId, member)
    if (groupInstanceId !== undefined) this.#instances.set(groupInstanceId, memberId)
    return member
  }

  /** Takes a member out, and tells whoever waits in its name why. */
  remove(member: RosterMember, why: GroupRefusal): void {
    const refused = { kind: 'refused', why } as const
    member.session?.cancel()
    member.joining?.resolve(refused)
    member.syncing?.resolve(refused)
    this.#members.delete(member.memberId)
    const { groupInstanceId } = member
    if (groupInstanceId === undefined) return
    if (this.#instances.get(groupInstanceId) === member.memberId) {
      this.#instances.delete(groupInstanceId)
    }
  }

  /** The member was heard of: its session begins anew. */
  renewSession(member: RosterMember): void {
    this.endSession(member)
    const { sessionTimeoutMs } = member.request
    member.session = this.#clock.timer(sessionTimeoutMs, () => this.#onExpired(member))
  }

  /** Nothing is expected of the member for now. */
  endSession(member: RosterMember): void {
    member.session?.cancel()
    member.session = undefined
  }

  /** Ends every timer and every wait. */
  close(reason: Error): void {
    for (const timer of this.#named.values()) timer.cancel()
    for (const member of this.#members.values()) {
      this.endSession(member)
      member.joining?.reject(reason)
      member.syncing?.reject(reason)
    }
    this.#named.clear()
    this.#members.clear()
    this.#instances.clear()
  }
}
