/** DeleteRecords: makes an offset the first of a partition. Asked of the partition's leader. */
import { readTopics, writeTopics, type Api, type OfTopic } from './api.ts'

export interface DeleteRecordsRequest {
  readonly topics: readonly OfTopic<{ readonly partition: number; readonly offset: number }>[]
  readonly timeoutMs: number
}

export interface DeletedRecords {
  readonly topic: string
  readonly partition: number
  /** The first offset that is left. */
  readonly lowWatermark: number
  readonly errorCode: number
}

export interface DeleteRecordsResponse {
  readonly throttleTimeMs: number
  readonly partitions: readonly DeletedRecords[]
}

export const DELETE_RECORDS: Api<DeleteRecordsRequest, DeleteRecordsResponse> = {
  key: 21,
  name: 'DeleteRecords',
  versions: [1, 2],
  flexibleFrom: 2,
  encode(to, { topics, timeoutMs }) {
    writeTopics(to, topics, ({ partition, offset }) => to.int32(partition).int64(offset))
    to.int32(timeoutMs).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const partitions = readTopics(from, (topic) => {
      const partition = from.int32()
      return { topic, partition, lowWatermark: from.int64(), errorCode: from.int16() }
    })
    from.tags()
    return { throttleTimeMs, partitions }
  },
}
