/** DescribeGroups: who is in a group, and what each was assigned. Asked of the group's coordinator. */
import type { WireReader } from '../wire/reader.ts'
import type { Api } from './api.ts'

export interface DescribeGroupsRequest {
  readonly groups: readonly string[]
}

export interface DescribeGroupsResponse {
  readonly throttleTimeMs: number
  readonly groups: readonly DescribedGroup[]
}

export interface DescribedGroup {
  readonly errorCode: number
  readonly groupId: string
  /** Dead, Empty, PreparingRebalance, CompletingRebalance or Stable. */
  readonly state: string
  readonly protocolType: string
  /** The assignor's name. */
  readonly protocol: string
  readonly members: readonly DescribedGroupMember[]
}

export interface DescribedGroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly metadata: Buffer
  /** Empty between two generations. */
  readonly assignment: Buffer
}

/** 6 answers error 69 for a group that is not there, where 5 and before say Dead. */
export const DESCRIBE_GROUPS: Api<DescribeGroupsRequest, DescribeGroupsResponse> = {
  key: 15,
  name: 'DescribeGroups',
  versions: [4, 5],
  flexibleFrom: 5,
  encode(to, { groups }) {
    to.strings(groups).bool(false).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const groups = from.array(() => {
      const group = { errorCode: from.int16(), groupId: from.string(), state: from.string() }
      const protocol = { protocolType: from.string(), protocol: from.string() }
      const members = from.array(() => member(from))
      from.int32()
      from.tags()
      return { ...group, ...protocol, members }
    })
    from.tags()
    return { throttleTimeMs, groups }
  },
}

function member(from: WireReader): DescribedGroupMember {
  const named = { memberId: from.string(), groupInstanceId: from.nullableString() }
  const client = { clientId: from.string(), clientHost: from.string() }
  const read = { ...named, ...client, metadata: from.bytes(), assignment: from.bytes() }
  from.tags()
  return read
}
