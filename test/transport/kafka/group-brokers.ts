/**
 * Pretended brokers that keep a group as Kafka's coordinator does: Kafka's requests and codes on one
 * side, the coordinator of the memory log on the other. The group moves between two nodes; the one it
 * left answers that it is not the coordinator, also to what it held back, and the one it came to loads
 * for a while.
 */
import { sleep } from '../../../model/clock.ts'
import type { SimulatedClock } from '../../../testing/simulated-clock.ts'
import type { GroupCoordinator } from '../../../transport/group-coordinator.ts'
import type {
  GroupRefusal,
  JoinAnswer,
  Refused,
  SyncAnswer,
} from '../../../transport/group-requests.ts'
import type { Api } from '../../../transport/kafka/api/api.ts'
import { HEARTBEAT, type HeartbeatRequest } from '../../../transport/kafka/api/heartbeat.ts'
import {
  JOIN_GROUP,
  type JoinGroupRequest,
  type JoinGroupResponse,
} from '../../../transport/kafka/api/join-group.ts'
import { LEAVE_GROUP, type LeaveGroupRequest } from '../../../transport/kafka/api/leave-group.ts'
import {
  SYNC_GROUP,
  type SyncGroupRequest,
  type SyncGroupResponse,
} from '../../../transport/kafka/api/sync-group.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import type { GroupLink, GroupRequestOptions } from '../../../transport/kafka/group/group-link.ts'
import { brokerUnreachable, requestTimedOut } from '../../../transport/kafka/kafka-errors.ts'
import type { Line } from '../../../transport/memory/faults.ts'

const ADDRESS = { host: 'pretended', port: 1 }
/** Milliseconds that a coordinator takes to know its groups, at most. */
const LOADING_MS = 300
const MOVES_EVERY_MS = 4_000

const CODES: Readonly<Record<GroupRefusal, number>> = {
  'unknown-member': CODE.unknownMemberId,
  'illegal-generation': CODE.illegalGeneration,
  'fenced-instance': CODE.fencedInstanceId,
  rebalancing: CODE.rebalanceInProgress,
  'other-protocol': CODE.inconsistentGroupProtocol,
}

/** Where a group is kept just now. */
export class MovingGroup {
  readonly clock: SimulatedClock
  node = 1
  moves = 0
  #loadedAtMs = 0
  #moved = Promise.withResolvers<void>()

  constructor(clock: SimulatedClock) {
    this.clock = clock
  }

  /** Moves the group now and then, for as long as that is wanted. */
  async wander(goesOn: () => boolean): Promise<void> {
    const random = this.clock.random64
    for (;;) {
      await sleep(this.clock, random.below(2 * MOVES_EVERY_MS))
      if (!goesOn()) return
      this.node = 3 - this.node
      this.moves += 1
      this.#loadedAtMs = this.clock.monotonic() + random.below(LOADING_MS)
      const moved = this.#moved
      this.#moved = Promise.withResolvers()
      moved.resolve()
    }
  }

  /** What a node answers: `held`, or the code for which it does not. */
  async at<T>(node: number, held: () => Promise<T> | T): Promise<T | number> {
    if (node !== this.node) return CODE.notCoordinator
    if (this.clock.monotonic() < this.#loadedAtMs) return CODE.coordinatorLoadInProgress
    return await Promise.race([held(), this.#moved.promise.then(() => CODE.notCoordinator)])
  }
}

/** The link of one member to them; what a line does to its requests happens to these. */
export function groupBrokersLink(
  line: Line,
  { group, coordinator }: { readonly group: MovingGroup; readonly coordinator: GroupCoordinator },
): GroupLink {
  let known: number | undefined
  const answer = async (node: number, key: number, asked: unknown): Promise<unknown> => {
    const calls: Readonly<Record<number, () => Promise<unknown>>> = {
      [JOIN_GROUP.key]: () => join(asked as JoinGroupRequest),
      [SYNC_GROUP.key]: () => sync(asked as SyncGroupRequest),
      [HEARTBEAT.key]: () => heartbeat(asked as HeartbeatRequest),
      [LEAVE_GROUP.key]: () => leave(asked as LeaveGroupRequest),
    }
    const call = calls[key]
    return call === undefined ? { nodeId: node } : await call()

    async function join(request: JoinGroupRequest): Promise<JoinGroupResponse> {
      const [{ name, metadata }] = request.protocols as [JoinGroupRequest['protocols'][number]]
      const joining = { ...withInstance(request), protocol: name, subscription: metadata }
      return joinResponse(await group.at(node, () => coordinator.join(joining)))
    }

    async function sync(request: SyncGroupRequest): Promise<SyncGroupResponse> {
      const found = await group.at(node, () => coordinator.sync(withInstance(request)))
      if (isAnswer(found)) return { throttleTimeMs: 0, errorCode: 0, assignment: found.assignment }
      return { throttleTimeMs: 0, errorCode: codeOf(found), assignment: Buffer.alloc(0) }
    }

    async function heartbeat(request: HeartbeatRequest) {
      const found = await group.at(node, () => coordinator.heartbeat(withInstance(request)))
      return { throttleTimeMs: 0, errorCode: isAnswer(found) ? 0 : codeOf(found) }
    }

    async function leave({ groupId, members }: LeaveGroupRequest) {
      const found = await group.at(node, () => {
        for (const one of members) coordinator.leave({ groupId, ...withInstance(one) })
        return CODE.none
      })
      return { throttleTimeMs: 0, errorCode: found, members: [] }
    }
  }
  return {
    clock: line.clock,
    coordinator: async () => (known ??= group.node),
    forgetCoordinator: () => (known = undefined),
    ask: async <Q, R>(
      to: { readonly node: number },
      [api, asked]: readonly [Api<Q, R>, Q],
      options: GroupRequestOptions,
    ) => {
      const kind = KINDS[api.key] ?? 'heartbeat'
      const asking = line.run({ kind, groupId: 'group' }, () => answer(to.node, api.key, asked))
      return (await inTime(line, asking, { api: api.name, ...options })) as R
    },
    drop: async () => {},
    [Symbol.asyncDispose]: async () => {},
  }
}

const KINDS: Readonly<Record<number, 'joinGroup' | 'syncGroup' | 'heartbeat' | 'leaveGroup'>> = {
  [JOIN_GROUP.key]: 'joinGroup',
  [SYNC_GROUP.key]: 'syncGroup',
  [LEAVE_GROUP.key]: 'leaveGroup',
}

async function inTime<T>(
  { clock }: Line,
  work: Promise<T>,
  { api, deadlineMs, signal }: GroupRequestOptions & { readonly api: string },
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = clock.timer(deadlineMs, () => reject(requestTimedOut(ADDRESS, api, deadlineMs)))
  signal?.addEventListener('abort', () => reject(brokerUnreachable(ADDRESS, 'nobody waits')))
  try {
    return await Promise.race([work, promise])
  } finally {
    timer.cancel()
  }
}

function joinResponse(found: JoinAnswer | number): JoinGroupResponse {
  const nothing = {
    throttleTimeMs: 0,
    generation: -1,
    protocolName: null,
    leader: '',
    memberId: '',
  }
  if (typeof found === 'number' || found.kind === 'refused') {
    return { ...nothing, members: [], errorCode: codeOf(found) }
  }
  const { memberId } = found
  if (found.kind === 'named') {
    return { ...nothing, members: [], memberId, errorCode: CODE.memberIdRequired }
  }
  const members = found.members.map(({ subscription, groupInstanceId = null, ...member }) => ({
    memberId: member.memberId,
    groupInstanceId,
    metadata: subscription,
  }))
  const leader = found.assigns ? memberId : 'another'
  return {
    ...nothing,
    errorCode: 0,
    generation: found.generation,
    memberId,
    leader,
    members,
  }
}

function isAnswer<T extends { readonly kind: string }>(
  found: T | Refused | number,
): found is Exclude<T, Refused> {
  return typeof found !== 'number' && found.kind !== 'refused'
}

function codeOf(found: Refused | SyncAnswer | number | { readonly kind: string }): number {
  if (typeof found === 'number') return found
  return 'why' in found ? CODES[found.why] : CODE.none
}

function withInstance<T extends { readonly groupInstanceId: string | null }>(
  request: T,
): Omit<T, 'groupInstanceId'> & { readonly groupInstanceId?: string } {
  const { groupInstanceId, ...rest } = request
  return groupInstanceId === null ? rest : { ...rest, groupInstanceId }
}
