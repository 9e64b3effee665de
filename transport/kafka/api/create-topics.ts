/** CreateTopics: asked of the controller, or of any broker, which passes it on. */
import type { Api } from './api.ts'

export interface CreateTopicsRequest {
  readonly topics: readonly TopicToCreate[]
  readonly timeoutMs: number
  /** Whether the topics are only looked at, and not created. */
  readonly validateOnly: boolean
}

export interface TopicToCreate {
  readonly topic: string
  readonly partitions: number
  /** -1 for the broker's default. */
  readonly replicationFactor: number
  readonly config: Readonly<Record<string, string>>
}

export interface CreateTopicsResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly CreatedTopic[]
}

export interface CreatedTopic {
  readonly topic: string
  readonly topicId: string
  readonly errorCode: number
  readonly errorMessage: string | null
}

/** 7 brought topic ids. */
export const CREATE_TOPICS: Api<CreateTopicsRequest, CreateTopicsResponse> = {
  key: 19,
  name: 'CreateTopics',
  versions: [7, 7],
  flexibleFrom: 5,
  encode(to, { topics, timeoutMs, validateOnly }) {
    to.array(topics, ({ topic, partitions, replicationFactor, config }) => {
      to.string(topic).int32(partitions).int16(replicationFactor)
      to.array([], () => to)
      to.array(Object.entries(config), ([name, value]) => to.string(name).string(value).tags())
      to.tags()
    })
    to.int32(timeoutMs).bool(validateOnly).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const topics = from.array(() => {
      const named = { topic: from.string(), topicId: from.uuid() }
      const created = { ...named, errorCode: from.int16(), errorMessage: from.nullableString() }
      from.int32()
      from.int16()
      from.array(() => {
        from.string()
        from.nullableString()
        from.bool()
        from.int8()
        from.bool()
        from.tags()
      })
      from.tags()
      return created
    })
    from.tags()
    return { throttleTimeMs, topics }
  },
}
