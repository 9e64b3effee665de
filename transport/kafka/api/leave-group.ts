/** LeaveGroup: members that go, so that the others need not wait for their sessions to end. */
import type { Api } from './api.ts'

export interface LeaveGroupRequest {
  readonly groupId: string
  readonly members: readonly LeavingMember[]
}

export interface LeavingMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface LeaveGroupResponse {
  readonly throttleTimeMs: number
  /** Of the whole request. */
  readonly errorCode: number
  readonly members: readonly (LeavingMember & { readonly errorCode: number })[]
}

export const LEAVE_GROUP: Api<LeaveGroupRequest, LeaveGroupResponse> = {
  key: 13,
  name: 'LeaveGroup',
  versions: [3, 5],
  flexibleFrom: 4,
  encode(to, { groupId, members }, version) {
    to.string(groupId)
    to.array(members, ({ memberId, groupInstanceId }) => {
      to.string(memberId).nullableString(groupInstanceId)
      if (version >= 5) to.nullableString(null)
      to.tags()
    })
    to.tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const errorCode = from.int16()
    const members = from.array(() => {
      const member = { memberId: from.string(), groupInstanceId: from.nullableString() }
      const left = { ...member, errorCode: from.int16() }
      from.tags()
      return left
    })
    from.tags()
    return { throttleTimeMs, errorCode, members }
  },
}
