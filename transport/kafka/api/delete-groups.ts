/** DeleteGroups: forgets groups without members, with their offsets. Asked of the coordinator. */
import type { Api } from './api.ts'

export interface DeleteGroupsRequest {
  readonly groups: readonly string[]
}

export interface DeleteGroupsResponse {
  readonly throttleTimeMs: number
  readonly groups: readonly { readonly groupId: string; readonly errorCode: number }[]
}

export const DELETE_GROUPS: Api<DeleteGroupsRequest, DeleteGroupsResponse> = {
  key: 42,
  name: 'DeleteGroups',
  versions: [1, 2],
  flexibleFrom: 2,
  encode(to, { groups }) {
    to.strings(groups).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const groups = from.array(() => {
      const group = { groupId: from.string(), errorCode: from.int16() }
      from.tags()
      return group
    })
    from.tags()
    return { throttleTimeMs, groups }
  },
}
