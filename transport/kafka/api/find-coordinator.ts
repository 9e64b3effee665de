/** FindCoordinator: the broker that keeps a group, or a transactional id. */
import type { Api } from './api.ts'

/** What is coordinated. */
export type CoordinatorKind = 'group' | 'transaction'

export interface FindCoordinatorRequest {
  readonly kind: CoordinatorKind
  readonly key: string
}

export interface FindCoordinatorResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

/** One key a request: later versions take several, which nobody here needs. */
export const FIND_COORDINATOR: Api<FindCoordinatorRequest, FindCoordinatorResponse> = {
  key: 10,
  name: 'FindCoordinator',
  versions: [2, 3],
  flexibleFrom: 3,
  encode(to, { kind, key }) {
    to.string(key)
      .int8(kind === 'group' ? 0 : 1)
      .tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const errorCode = from.int16()
    const errorMessage = from.nullableString()
    const nodeId = from.int32()
    const read = { throttleTimeMs, errorCode, errorMessage, nodeId }
    const response = { ...read, host: from.string(), port: from.int32() }
    from.tags()
    return response
  },
}
