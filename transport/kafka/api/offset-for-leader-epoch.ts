/** OffsetForLeaderEpoch: where a leader epoch ended, which tells whether what was read is still there. */
import { readTopics, writeTopics, type Api, type OfTopic } from './api.ts'

export interface OffsetForLeaderEpochRequest {
  readonly topics: readonly OfTopic<LeaderEpochQuestion>[]
}

export interface LeaderEpochQuestion {
  readonly partition: number
  /** As metadata has it; -1 to have it not compared. */
  readonly currentLeaderEpoch: number
  /** The epoch that was read. */
  readonly leaderEpoch: number
}

export interface EpochEnd {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** The largest epoch of the log up to the one asked for; -1 where there is none. */
  readonly leaderEpoch: number
  /** The offset after its last record; -1 where it is not known. */
  readonly endOffset: number
}

export interface OffsetForLeaderEpochResponse {
  readonly throttleTimeMs: number
  readonly partitions: readonly EpochEnd[]
}

export const OFFSET_FOR_LEADER_EPOCH: Api<
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse
> = {
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [3, 4],
  flexibleFrom: 4,
  encode(to, { topics }) {
    to.int32(-1)
    writeTopics(to, topics, ({ partition, currentLeaderEpoch, leaderEpoch }) => {
      to.int32(partition).int32(currentLeaderEpoch).int32(leaderEpoch)
    })
    to.tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const partitions = readTopics(from, (topic) => {
      const errorCode = from.int16()
      const at = { topic, partition: from.int32(), errorCode }
      return { ...at, leaderEpoch: from.int32(), endOffset: from.int64() }
    })
    from.tags()
    return { throttleTimeMs, partitions }
  },
}
