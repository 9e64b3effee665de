/** SyncGroup: brings the shares that the leader made, and waits for one's own. */
import type { Api } from './api.ts'

export interface SyncGroupRequest {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** Compared by the broker from version 5 on: an answer for another assignor is then an error. */
  readonly protocolType: string
  readonly protocolName: string
  /** From the member that assigns; empty from others. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface SyncGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly assignment: Buffer
}

export const SYNC_GROUP: Api<SyncGroupRequest, SyncGroupResponse> = {
  key: 14,
  name: 'SyncGroup',
  versions: [3, 5],
  flexibleFrom: 4,
  encode(to, request, version) {
    to.string(request.groupId).int32(request.generation)
    to.string(request.memberId).nullableString(request.groupInstanceId)
    if (version >= 5) to.string(request.protocolType).string(request.protocolName)
    to.array(request.assignments, ({ memberId, assignment }) =>
      to.string(memberId).bytes(assignment).tags(),
    )
    to.tags()
  },
  decode(from, version) {
    const response = { throttleTimeMs: from.int32(), errorCode: from.int16() }
    if (version >= 5) {
      from.nullableString()
      from.nullableString()
    }
    const assignment = from.bytes()
    from.tags()
    return { ...response, assignment }
  },
}
