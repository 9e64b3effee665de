/**
 * The way from a member to its coordinator, over a Kafka cluster: each call of the port is one
 * request. What passes by itself (the coordinator has moved, or loads; a connection broke) rejects as
 * retriable and is asked again by the member, who has the patience (transport/group-patience.ts); all
 * of it may be sent twice, since a group knows a repeated join by its bytes.
 *
 * Protocol type `consumer` with Kafka's own subscription and assignment, so that Kafka's tools
 * describe the group. JoinGroup stays below version 9, where a restarting static member is told the
 * old leader's name: it assigns nothing in a generation that has its shares.
 */
import type {
  GenerationRequest,
  GroupCoordinatorPort,
  HeartbeatAnswer,
  JoinAnswer,
  JoinRequest,
  MemberOfGroup,
  Refused,
  SyncAnswer,
  SyncRequest,
} from '../../group-requests.ts'
import type { Api } from '../api/api.ts'
import { DESCRIBE_GROUPS } from '../api/describe-groups.ts'
import { HEARTBEAT } from '../api/heartbeat.ts'
import { JOIN_GROUP, type JoinGroupResponse } from '../api/join-group.ts'
import { LEAVE_GROUP } from '../api/leave-group.ts'
import { SYNC_GROUP } from '../api/sync-group.ts'
import { timeLeftMs } from '../cluster/within-deadline.ts'
import { CODE, errorKind } from '../error-codes.ts'
import type { GroupLane, GroupLink, GroupRequestOptions } from './group-link.ts'
import { GROUP_REFUSALS, groupRefused, joinLater, otherKindOfGroup } from './group-refusals.ts'
import { watchRound } from './held-round.ts'
import { isRetriable, type KafkaLimits } from '../limits.ts'

/** How many heartbeats without an answer fit into a session: each is given up in time for the next, on a new connection. */
export const HEARTBEATS_PER_SESSION = 3
/** How long one goodbye may take: where the cluster is gone, its member must not wait for it. */
export const GOODBYE_DEADLINE_MS = 3_000

const PROTOCOL_TYPE = 'consumer'

/** What of a join its later requests need. */
type Terms = Pick<JoinRequest, 'protocol' | 'sessionTimeoutMs' | 'rebalanceTimeoutMs'>

type GroupDeadlines = Pick<KafkaLimits, 'requestDeadlineMs' | 'heldRoundCheckMs'>

/** The coordinator of one member's group. */
export class KafkaCoordinator implements GroupCoordinatorPort {
  readonly #link: GroupLink
  readonly #limits: GroupDeadlines
  /** Of the last join. */
  #terms: Terms = { protocol: '', sessionTimeoutMs: 0, rebalanceTimeoutMs: 0 }

  constructor(link: GroupLink, limits: GroupDeadlines) {
    this.#link = link
    this.#limits = limits
  }

  async join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer> {
    this.#terms = request
    const { groupId, memberId, groupInstanceId = null, protocol, subscription } = request
    const { sessionTimeoutMs, rebalanceTimeoutMs } = request
    const protocols = [{ name: protocol, metadata: subscription }]
    const who = { groupId, memberId, groupInstanceId, protocolType: PROTOCOL_TYPE, protocols }
    const asked = { ...who, sessionTimeoutMs, rebalanceTimeoutMs }
    const deadlineMs = this.#roundDeadlineMs
    const answer = await this.#ask('rounds', [JOIN_GROUP, asked], { groupId, deadlineMs, signal })
    const { errorCode } = answer
    if (errorCode === CODE.memberIdRequired) return { kind: 'named', memberId: answer.memberId }
    if (errorCode === CODE.rebalanceInProgress) throw joinLater(groupId)
    if (errorCode !== CODE.none) return await this.#refused(JOIN_GROUP.name, groupId, errorCode)
    // A group that the broker itself assigns for has no leader, and takes members of either kind.
    if (answer.leader === '') {
      await this.leave({ ...request, memberId: answer.memberId }, signal)
      throw otherKindOfGroup(
        groupId,
        "consumers for which the broker assigns (Kafka's newer protocol)",
      )
    }
    return joined(answer)
  }

  async sync(request: SyncRequest, signal: AbortSignal): Promise<SyncAnswer> {
    const { groupId, memberId, generation, groupInstanceId = null, assignments } = request
    const protocol = { protocolType: PROTOCOL_TYPE, protocolName: this.#terms.protocol }
    const asked = { groupId, memberId, generation, groupInstanceId, assignments, ...protocol }
    const deadlineMs = this.#roundDeadlineMs
    const answer = await this.#ask('rounds', [SYNC_GROUP, asked], { groupId, deadlineMs, signal })
    const { errorCode, assignment } = answer
    if (errorCode === CODE.none) return { kind: 'synced', assignment }
    return await this.#refused(SYNC_GROUP.name, groupId, errorCode)
  }

  async heartbeat(request: GenerationRequest, signal: AbortSignal): Promise<HeartbeatAnswer> {
    const { groupId, memberId, generation, groupInstanceId = null } = request
    const asked = { groupId, memberId, generation, groupInstanceId }
    const ownMs = this.#terms.sessionTimeoutMs / HEARTBEATS_PER_SESSION
    const deadlineMs = Math.min(this.#limits.requestDeadlineMs, ownMs)
    const answer = await this.#ask('signs', [HEARTBEAT, asked], { groupId, deadlineMs, signal })
    if (answer.errorCode === CODE.none) return { kind: 'alive' }
    return await this.#refused(HEARTBEAT.name, groupId, answer.errorCode)
  }

  async leave(request: MemberOfGroup, signal: AbortSignal): Promise<void> {
    const { groupId, memberId, groupInstanceId = null } = request
    const asked = { groupId, members: [{ memberId, groupInstanceId }] }
    const deadlineMs = GOODBYE_DEADLINE_MS
    const options = { groupId, deadlineMs, signal }
    const answer = await this.#ask('signs', [LEAVE_GROUP, asked], options)
    for (const { errorCode } of [answer, ...answer.members]) {
      // Who is not in the group any more has left it.
      if (errorCode === CODE.none || GROUP_REFUSALS.has(errorCode)) continue
      throw groupRefused(errorCode, LEAVE_GROUP.name, groupId)
    }
  }

  /** For joins and syncs, which may wait for everybody, and then for an answer like any other. */
  get #roundDeadlineMs(): number {
    return this.#terms.rebalanceTimeoutMs + this.#limits.requestDeadlineMs
  }

  /** Asks the group's coordinator, once. Codes that pass by themselves reject as retriable. */
  async #ask<Q, R extends { readonly errorCode: number }>(
    lane: GroupLane,
    question: readonly [Api<Q, R>, Q],
    { groupId, ...options }: GroupRequestOptions & { readonly groupId: string },
  ): Promise<R> {
    const answer = await this.#answer(lane, question, { groupId, ...options })
    const { errorCode } = answer
    if (errorCode === CODE.none || errorKind(errorCode) !== 'retriable') return answer
    if (errorCode !== CODE.coordinatorLoadInProgress) this.#link.forgetCoordinator(groupId)
    throw groupRefused(errorCode, question[0].name, groupId)
  }

  async #answer<Q, R>(
    lane: GroupLane,
    question: readonly [Api<Q, R>, Q],
    { groupId, ...options }: GroupRequestOptions & { readonly groupId: string },
  ): Promise<R> {
    const { clock } = this.#link
    const end = clock.monotonic() + options.deadlineMs
    const node = await this.#link.coordinator(groupId, options.deadlineMs)
    const deadlineMs = timeLeftMs(clock, end)
    const answered = new AbortController()
    const round = { groupId, node, checkMs: this.#limits.heldRoundCheckMs }
    if (lane === 'rounds') void watchRound(this.#link, round, answered.signal)
    try {
      return await this.#link.ask({ lane, node }, question, { ...options, deadlineMs })
    } catch (error) {
      if (isRetriable(error)) this.#link.forgetCoordinator(groupId)
      throw error
    } finally {
      answered.abort(new Error('it is answered'))
    }
  }

  /** A refusal that the member knows what to do about; throws all others. */
  async #refused(api: string, groupId: string, code: number): Promise<Refused> {
    const why = GROUP_REFUSALS.get(code)
    if (why === undefined) throw groupRefused(code, api, groupId)
    if (why !== 'other-protocol') return { kind: 'refused', why }
    return { kind: 'refused', why, protocol: await this.#protocolOf(groupId) }
  }

  /**
   * How the members of a group assign that refused ours. Throws where it is no group of consumers,
   * and as retriable where it would not refuse us any more: those that assigned otherwise have left.
   */
  async #protocolOf(groupId: string): Promise<string> {
    const options = { groupId, deadlineMs: this.#limits.requestDeadlineMs }
    const asked = { groups: [groupId] }
    const { groups } = await this.#answer('signs', [DESCRIBE_GROUPS, asked], options)
    const [group] = groups
    if (group === undefined || group.errorCode !== CODE.none) return UNKNOWN
    const { state, protocolType, protocol } = group
    // Kinds of groups that this request knows nothing of are dead to it.
    if (state === 'Dead') throw otherKindOfGroup(groupId, 'it is a group of another kind')
    if (state === 'Empty' || protocol === this.#terms.protocol) throw joinLater(groupId)
    if (protocolType !== PROTOCOL_TYPE) {
      throw otherKindOfGroup(groupId, `its members are of the kind '${protocolType}'`)
    }
    return protocol === '' ? UNKNOWN : protocol
  }
}

const UNKNOWN = 'something else'

function joined(answer: JoinGroupResponse): JoinAnswer {
  const { memberId, generation, leader } = answer
  const members = answer.members.map(({ groupInstanceId, metadata, ...member }) => ({
    memberId: member.memberId,
    ...(groupInstanceId === null ? {} : { groupInstanceId }),
    subscription: metadata,
  }))
  return { kind: 'joined', memberId, generation, assigns: leader === memberId, members }
}
