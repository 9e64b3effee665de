/** Fetch: record batches of partitions, in full or within an incremental session. */
import type { WireReader } from '../wire/reader.ts'
import type { WireWriter } from '../wire/writer.ts'
import type { Api } from './api.ts'

export interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  /** 0 read_uncommitted, 1 read_committed. */
  readonly isolation: 0 | 1
  /** 0 without a session, or to open one. */
  readonly sessionId: number
  /** -1 without a session, 0 to open one, then 1, 2, … */
  readonly sessionEpoch: number
  /** All partitions; within a session those that are new or have changed. */
  readonly topics: readonly FetchTopic[]
  /** Partitions to be taken out of the session. */
  readonly forgotten: readonly ForgottenTopic[]
  /** Empty where the reader is in no rack. */
  readonly rack: string
}

export interface FetchTopic {
  /** Sent before version 13, which goes by id. */
  readonly topic: string
  readonly topicId: string
  readonly partitions: readonly FetchPartition[]
}

export interface ForgottenTopic {
  readonly topic: string
  readonly topicId: string
  readonly partitions: readonly number[]
}

export interface FetchPartition {
  readonly partition: number
  /** As metadata has it; -1 to have it not compared. */
  readonly currentLeaderEpoch: number
  readonly offset: number
  /** Of the last record read, so that the broker tells of truncation; -1 where none was read. From version 12. */
  readonly lastFetchedEpoch: number
  readonly maxBytes: number
}

export interface FetchResponse {
  readonly throttleTimeMs: number
  /** Of the whole request, a session's errors among them. */
  readonly errorCode: number
  readonly sessionId: number
  readonly partitions: readonly FetchedPartition[]
}

export interface FetchedPartition {
  /** Empty from version 13 on. */
  readonly topic: string
  /** Empty before version 13. */
  readonly topicId: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /** Set where the log no longer holds what was read: the largest common epoch and its end. From version 12. */
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: number } | undefined
  /** Where the partition is led, if not here. From version 12. */
  readonly currentLeader: { readonly leader: number; readonly leaderEpoch: number } | undefined
  /** Null under read_uncommitted. In the order of their markers, not of their offsets. */
  readonly aborted: readonly AbortedTransaction[] | null
  /** A broker in the reader's rack to ask from now on; -1 for none. */
  readonly preferredReplica: number
  /** Whole batches and, where the limit cut it, a part of one more. A view of the response. */
  readonly records: Buffer | null
}

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** 11 brought racks, 12 diverging epochs, 13 topic ids: a topic that was created again is then an error. */
export const FETCH: Api<FetchRequest, FetchResponse> = {
  key: 1,
  name: 'Fetch',
  versions: [11, 13],
  flexibleFrom: 12,
  encode(to, request, version) {
    to.int32(-1).int32(request.maxWaitMs).int32(request.minBytes).int32(request.maxBytes)
    to.int8(request.isolation).int32(request.sessionId).int32(request.sessionEpoch)
    to.array(request.topics, (topic) => {
      writeTopic(to, topic, version)
      to.array(topic.partitions, (partition) => writePartition(to, partition, version))
      to.tags()
    })
    to.array(request.forgotten, (topic) => {
      writeTopic(to, topic, version)
      to.int32s(topic.partitions).tags()
    })
    to.string(request.rack).tags()
  },
  decode(from, version) {
    const throttleTimeMs = from.int32()
    const errorCode = from.int16()
    const sessionId = from.int32()
    const partitions = from
      .array(() => {
        const topic = version < 13 ? from.string() : ''
        const topicId = version < 13 ? '' : from.uuid()
        const read = from.array(() => ({ topic, topicId, ...fetched(from) }))
        from.tags()
        return read
      })
      .flat()
    from.tags()
    return { throttleTimeMs, errorCode, sessionId, partitions }
  },
}

function writeTopic(
  to: WireWriter,
  { topic, topicId }: Pick<FetchTopic, 'topic' | 'topicId'>,
  version: number,
): void {
  if (version < 13) to.string(topic)
  else to.uuid(topicId)
}

function writePartition(to: WireWriter, of: FetchPartition, version: number): void {
  to.int32(of.partition).int32(of.currentLeaderEpoch).int64(of.offset)
  if (version >= 12) to.int32(of.lastFetchedEpoch)
  // The log's start is what followers tell; readers have none.
  to.int64(-1).int32(of.maxBytes).tags()
}

function fetched(from: WireReader): Omit<FetchedPartition, 'topic' | 'topicId'> {
  const partition = from.int32()
  const errorCode = from.int16()
  const ends = { highWatermark: from.int64(), lastStableOffset: from.int64() }
  const logStartOffset = from.int64()
  const aborted = from.nullableArray(() => {
    const transaction = { producerId: from.int64(), firstOffset: from.int64() }
    from.tags()
    return transaction
  })
  const preferredReplica = from.int32()
  const records = from.nullableBytes()
  let divergingEpoch: FetchedPartition['divergingEpoch']
  let currentLeader: FetchedPartition['currentLeader']
  from.tags({
    0: () => {
      divergingEpoch = { epoch: from.int32(), endOffset: from.int64() }
    },
    1: () => {
      currentLeader = { leader: from.int32(), leaderEpoch: from.int32() }
    },
  })
  const moved = { divergingEpoch, currentLeader, preferredReplica }
  return { partition, errorCode, ...ends, logStartOffset, aborted, records, ...moved }
}
