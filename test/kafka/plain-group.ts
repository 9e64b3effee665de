/** A group whose members do what a test says, request by request, and nothing by themselves. */
import type { Api } from '../../transport/kafka/api/api.ts'
import { JOIN_GROUP, type JoinGroupResponse } from '../../transport/kafka/api/join-group.ts'
import { LEAVE_GROUP } from '../../transport/kafka/api/leave-group.ts'
import { SYNC_GROUP } from '../../transport/kafka/api/sync-group.ts'
import type { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import type { Lane } from '../../transport/kafka/cluster/lane.ts'
import { CODE } from '../../transport/kafka/error-codes.ts'

const PROTOCOL = { protocolType: 'plain', name: 'nobody' } as const
/** Longer than a test takes. */
const TIMEOUT_MS = 60_000

/** A group on a cluster. */
export class PlainGroup {
  readonly groupId: string
  readonly #node: number
  /** A join may be held back, and all that stands behind it on its connection. */
  readonly #lanes: Readonly<Record<'first' | 'beside', Lane>>

  private constructor(groupId: string, node: number, cluster: KafkaCluster) {
    this.groupId = groupId
    this.#node = node
    this.#lanes = { first: cluster.openLane('first'), beside: cluster.openLane('beside') }
  }

  static async open(cluster: KafkaCluster, groupId: string): Promise<PlainGroup> {
    const node = await cluster.coordinators.find({ kind: 'group', key: groupId })
    return new PlainGroup(groupId, node, cluster)
  }

  /** Asks the coordinator. */
  async ask<Q, R>(api: Api<Q, R>, request: Q, lane: 'first' | 'beside' = 'first'): Promise<R> {
    return await this.#lanes[lane].request(this.#node, [api, request])
  }

  /** The name of somebody who may join. */
  async newMember(): Promise<string> {
    const { errorCode, memberId } = await this.ask(JOIN_GROUP, this.#joining(''))
    expectCode(errorCode, CODE.memberIdRequired)
    return memberId
  }

  /** Joins; the answer comes when everybody has. */
  async join(memberId: string, lane?: 'first' | 'beside'): Promise<JoinGroupResponse> {
    const answer = await this.ask(JOIN_GROUP, this.#joining(memberId), lane)
    expectCode(answer.errorCode, CODE.none)
    return answer
  }

  /** What the leader does behind a join: from then on the group is stable. */
  async bringShares(memberId: string, generation: number): Promise<void> {
    const { protocolType, name: protocolName } = PROTOCOL
    const { errorCode } = await this.ask(SYNC_GROUP, {
      groupId: this.groupId,
      generation,
      memberId,
      groupInstanceId: null,
      protocolType,
      protocolName,
      assignments: [{ memberId, assignment: Buffer.alloc(0) }],
    })
    expectCode(errorCode, CODE.none)
  }

  async leave(...memberIds: readonly string[]): Promise<void> {
    const members = memberIds.map((memberId) => ({ memberId, groupInstanceId: null }))
    const { errorCode } = await this.ask(LEAVE_GROUP, { groupId: this.groupId, members })
    expectCode(errorCode, CODE.none)
  }

  #joining(memberId: string) {
    const { protocolType, name } = PROTOCOL
    return {
      groupId: this.groupId,
      groupInstanceId: null,
      sessionTimeoutMs: TIMEOUT_MS,
      rebalanceTimeoutMs: TIMEOUT_MS,
      memberId,
      protocolType,
      protocols: [{ name, metadata: Buffer.alloc(0) }],
    }
  }
}

function expectCode(code: number, expected: number): void {
  if (code !== expected) throw new Error(`the group answers ${code} in place of ${expected}`)
}
