/** Metadata: the brokers, and of each topic its id and who leads its partitions. */
import type { WireReader } from '../wire/reader.ts'
import type { Api } from './api.ts'

export interface MetadataRequest {
  /** Null asks for all topics. */
  readonly topics: readonly string[] | null
}

export interface BrokerEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface PartitionMetadata {
  readonly errorCode: number
  readonly partition: number
  /** -1 where there is none just now. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

export interface TopicMetadata {
  readonly errorCode: number
  readonly topic: string
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: readonly PartitionMetadata[]
}

export interface MetadataResponse {
  readonly throttleTimeMs: number
  readonly brokers: readonly BrokerEndpoint[]
  readonly clusterId: string | null
  readonly controller: number
  readonly topics: readonly TopicMetadata[]
}

const NO_ID = '00000000-0000-0000-0000-000000000000'

/** From version 10 on topics have ids; no topic is created by asking for it. */
export const METADATA: Api<MetadataRequest, MetadataResponse> = {
  key: 3,
  name: 'Metadata',
  versions: [10, 12],
  flexibleFrom: 9,
  encode(to, { topics }, version) {
    to.nullableArray(topics, (topic) => to.uuid(NO_ID).nullableString(topic).tags())
    to.bool(false)
    if (version < 11) to.bool(false)
    to.bool(false).tags()
  },
  decode(from, version) {
    const throttleTimeMs = from.int32()
    const brokers = from.array(() => broker(from))
    const clusterId = from.nullableString()
    const controller = from.int32()
    const topics = from.array(() => topic(from))
    if (version < 11) from.int32()
    from.tags()
    return { throttleTimeMs, brokers, clusterId, controller, topics }
  },
}

function broker(from: WireReader): BrokerEndpoint {
  const nodeId = from.int32()
  const read = { nodeId, host: from.string(), port: from.int32(), rack: from.nullableString() }
  from.tags()
  return read
}

function topic(from: WireReader): TopicMetadata {
  const errorCode = from.int16()
  const name = from.nullableString() ?? ''
  const topicId = from.uuid()
  const isInternal = from.bool()
  const partitions = from.array(() => partition(from))
  from.int32()
  from.tags()
  return { errorCode, topic: name, topicId, isInternal, partitions }
}

function partition(from: WireReader): PartitionMetadata {
  const errorCode = from.int16()
  const index = from.int32()
  const leader = from.int32()
  const leaderEpoch = from.int32()
  const replicas = from.int32s()
  const inSync = from.int32s()
  from.int32s()
  from.tags()
  return { errorCode, partition: index, leader, leaderEpoch, replicas, inSync }
}
