/** Produce: record batches for partitions that one broker leads. */
import type { WireReader } from '../wire/reader.ts'
import { writeTopics, type Api, type OfTopic } from './api.ts'

export interface ProduceRequest {
  /** Null outside transactions. */
  readonly transactionalId: string | null
  /** -1: acknowledged by all replicas that are in sync. */
  readonly acks: -1 | 1
  /** How long the broker waits for the replicas. */
  readonly timeoutMs: number
  readonly topics: readonly OfTopic<ProducePartition>[]
}

export interface ProducePartition {
  readonly partition: number
  /** One record batch, as parts that are written one after the other and never joined. */
  readonly records: readonly Buffer[]
}

export interface ProducedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly errorMessage: string | null
  /** The offset of the batch's first record. */
  readonly baseOffset: number
  readonly logStartOffset: number
  /** Where the partition is led now, if the answerer knows that it does not lead it. From version 10. */
  readonly currentLeader: { readonly leader: number; readonly leaderEpoch: number } | undefined
}

export interface ProduceResponse {
  readonly throttleTimeMs: number
  readonly partitions: readonly ProducedPartition[]
}

/** 9 with transactions of version 1 (11 answers 120 where 48 is meant), 12 with version 2. */
export const PRODUCE: Api<ProduceRequest, ProduceResponse> = {
  key: 0,
  name: 'Produce',
  versions: [8, 12],
  flexibleFrom: 9,
  encode(to, { transactionalId, acks, timeoutMs, topics }) {
    to.nullableString(transactionalId).int16(acks).int32(timeoutMs)
    writeTopics(to, topics, ({ partition, records }) => to.int32(partition).records(records))
    to.tags()
  },
  decode(from) {
    const partitions = from
      .array(() => {
        const topic = from.string()
        const read = from.array(() => produced(from, topic))
        from.tags()
        return read
      })
      .flat()
    const throttleTimeMs = from.int32()
    from.tags()
    return { throttleTimeMs, partitions }
  },
}

function produced(from: WireReader, topic: string): ProducedPartition {
  const partition = from.int32()
  const errorCode = from.int16()
  const baseOffset = from.int64()
  from.int64() // The time of appending, which the records carry themselves.
  const logStartOffset = from.int64()
  from.array(() => {
    from.int32()
    from.nullableString()
    from.tags()
  })
  const errorMessage = from.nullableString()
  let currentLeader: ProducedPartition['currentLeader']
  from.tags({
    0: () => {
      currentLeader = { leader: from.int32(), leaderEpoch: from.int32() }
    },
  })
  const outcome = { errorCode, errorMessage, baseOffset, logStartOffset, currentLeader }
  return { topic, partition, ...outcome }
}
