/** Responses that say of each partition whether it went well, and nothing else. */
import type { WireReader } from '../wire/reader.ts'
import { readTopics } from './api.ts'

/** What became of one partition. */
export interface PartitionError {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
}

/** What became of each partition of a request. */
export interface PartitionErrors {
  readonly throttleTimeMs: number
  readonly partitions: readonly PartitionError[]
}

/** Reads such a response. */
export function readPartitionErrors(from: WireReader): PartitionErrors {
  const throttleTimeMs = from.int32()
  const partitions = readTopics(from, (topic) => {
    return { topic, partition: from.int32(), errorCode: from.int16() }
  })
  from.tags()
  return { throttleTimeMs, partitions }
}
