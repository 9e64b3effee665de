/** Heartbeat: a member's sign of life; the answer tells whether it has to join again. */
import type { Api } from './api.ts'
import type { ErrorResponse } from './transaction.ts'

export interface HeartbeatRequest {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export const HEARTBEAT: Api<HeartbeatRequest, ErrorResponse> = {
  key: 12,
  name: 'Heartbeat',
  versions: [3, 4],
  flexibleFrom: 4,
  encode(to, request) {
    to.string(request.groupId).int32(request.generation)
    to.string(request.memberId).nullableString(request.groupInstanceId).tags()
  },
  decode(from) {
    const response = { throttleTimeMs: from.int32(), errorCode: from.int16() }
    from.tags()
    return response
  },
}
