/** OffsetFetch: what a group has committed. */
import { readTopics, type Api, type OfTopic } from './api.ts'

export interface OffsetFetchRequest {
  readonly groupId: string
  /** Null asks for all that the group has. */
  readonly topics: readonly OfTopic<number>[] | null
  /** Whether a partition that an open transaction is about to commit is error 88 instead of its last offset. */
  readonly requireStable: boolean
}

export interface FetchedOffset {
  readonly topic: string
  readonly partition: number
  /** -1 for none; but see errorCode first, for 88 comes beside -1. */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
  readonly errorCode: number
}

export interface OffsetFetchResponse {
  readonly throttleTimeMs: number
  /** Of the whole request. */
  readonly errorCode: number
  readonly partitions: readonly FetchedOffset[]
}

/** 7 brought requireStable; 8 takes several groups, which nobody here needs. */
export const OFFSET_FETCH: Api<OffsetFetchRequest, OffsetFetchResponse> = {
  key: 9,
  name: 'OffsetFetch',
  versions: [7, 7],
  flexibleFrom: 6,
  encode(to, { groupId, topics, requireStable }) {
    to.string(groupId)
    to.nullableArray(topics, ({ topic, partitions }) => to.string(topic).int32s(partitions).tags())
    to.bool(requireStable).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const partitions = readTopics(from, (topic) => {
      const at = { topic, partition: from.int32(), offset: from.int64() }
      const leaderEpoch = from.int32()
      return { ...at, leaderEpoch, metadata: from.nullableString(), errorCode: from.int16() }
    })
    const errorCode = from.int16()
    from.tags()
    return { throttleTimeMs, errorCode, partitions }
  },
}
