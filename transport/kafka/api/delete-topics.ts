/** DeleteTopics, by name. */
import type { Api } from './api.ts'

export interface DeleteTopicsRequest {
  readonly topics: readonly string[]
  readonly timeoutMs: number
}

export interface DeleteTopicsResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly DeletedTopic[]
}

export interface DeletedTopic {
  readonly topic: string
  readonly errorCode: number
  readonly errorMessage: string | null
}

/** 6 deletes by id as well, which nobody here needs. */
export const DELETE_TOPICS: Api<DeleteTopicsRequest, DeleteTopicsResponse> = {
  key: 20,
  name: 'DeleteTopics',
  versions: [5, 5],
  flexibleFrom: 4,
  encode(to, { topics, timeoutMs }) {
    to.strings(topics).int32(timeoutMs).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const topics = from.array(() => {
      const topic = from.string()
      const deleted = { topic, errorCode: from.int16(), errorMessage: from.nullableString() }
      from.tags()
      return deleted
    })
    from.tags()
    return { throttleTimeMs, topics }
  },
}
