/** ListOffsets: where a partition begins, where it ends, and the offset at a time. */
import { readTopics, writeTopics, type Api, type OfTopic } from './api.ts'

/** Asks for the first offset that is kept. */
export const EARLIEST = -2
/** Asks for the end: the last stable offset under read_committed, else the high watermark. */
export const LATEST = -1

export interface ListOffsetsRequest {
  /** 0 read_uncommitted, 1 read_committed. */
  readonly isolation: 0 | 1
  readonly topics: readonly OfTopic<ListOffsetsPartition>[]
}

export interface ListOffsetsPartition {
  readonly partition: number
  /** As metadata has it; -1 to have it not compared. */
  readonly currentLeaderEpoch: number
  /** EARLIEST, LATEST, or milliseconds since 1970: the first record at or after. */
  readonly timestamp: number
}

export interface ListedOffset {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly timestamp: number
  /** -1 where no record is that late. */
  readonly offset: number
  readonly leaderEpoch: number
}

export interface ListOffsetsResponse {
  readonly throttleTimeMs: number
  readonly partitions: readonly ListedOffset[]
}

export const LIST_OFFSETS: Api<ListOffsetsRequest, ListOffsetsResponse> = {
  key: 2,
  name: 'ListOffsets',
  versions: [4, 7],
  flexibleFrom: 6,
  encode(to, { isolation, topics }) {
    to.int32(-1).int8(isolation)
    writeTopics(to, topics, ({ partition, currentLeaderEpoch, timestamp }) => {
      to.int32(partition).int32(currentLeaderEpoch).int64(timestamp)
    })
    to.tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const partitions = readTopics(from, (topic) => {
      const at = { topic, partition: from.int32(), errorCode: from.int16() }
      return { ...at, timestamp: from.int64(), offset: from.int64(), leaderEpoch: from.int32() }
    })
    from.tags()
    return { throttleTimeMs, partitions }
  },
}
