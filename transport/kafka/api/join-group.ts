/** JoinGroup: asks to be in the next generation; the answer comes when all have joined. */
import type { Api } from './api.ts'

export interface JoinGroupRequest {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Empty for a newcomer, who is given one by error 79 and joins again with it. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** `consumer`, so that Kafka's tools read the members. */
  readonly protocolType: string
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[]
}

export interface JoinGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly generation: number
  readonly protocolName: string | null
  /** The member that assigns. */
  readonly leader: string
  readonly memberId: string
  /** All members for the one that assigns, none for others. */
  readonly members: readonly JoinGroupMember[]
}

export interface JoinGroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Buffer
}

/** 5 brought static members. 8 and 9 add a reason and a way to skip assigning, both unused here. */
export const JOIN_GROUP: Api<JoinGroupRequest, JoinGroupResponse> = {
  key: 11,
  name: 'JoinGroup',
  versions: [5, 7],
  flexibleFrom: 6,
  encode(to, request) {
    to.string(request.groupId).int32(request.sessionTimeoutMs).int32(request.rebalanceTimeoutMs)
    to.string(request.memberId).nullableString(request.groupInstanceId)
    to.string(request.protocolType)
    to.array(request.protocols, ({ name, metadata }) => to.string(name).bytes(metadata).tags())
    to.tags()
  },
  decode(from, version) {
    const throttleTimeMs = from.int32()
    const errorCode = from.int16()
    const generation = from.int32()
    if (version >= 7) from.nullableString()
    const protocolName = from.nullableString()
    const leader = from.string()
    const memberId = from.string()
    const members = from.array(() => {
      const member = { memberId: from.string(), groupInstanceId: from.nullableString() }
      const metadata = from.bytes()
      from.tags()
      return { ...member, metadata }
    })
    from.tags()
    return { throttleTimeMs, errorCode, generation, protocolName, leader, memberId, members }
  },
}
