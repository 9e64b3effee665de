/** How a prefetching reader gets at the partitions of a memory log. */
import type { PartitionOffset, TopicPartition } from '../../model/position.ts'
import { unknownPartition } from '../log-errors.ts'
import type { FetchAnswer, FetchRequest, PartitionSource } from '../prefetch.ts'
import type { FoundRecord } from '../transport.ts'
import type { Broker } from './broker.ts'
import type { Line } from './faults.ts'

/** The partitions behind one connection. */
export class MemorySource implements PartitionSource {
  readonly #line: Line
  readonly #broker: Broker

  constructor(line: Line, broker: Broker) {
    this.#line = line
    this.#broker = broker
  }

  topicId(of: TopicPartition): string | undefined {
    return this.#broker.topics.find(of)?.topicId
  }

  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    const { topic, partition } = request
    const run = (fate: { readonly newLeader?: boolean; readonly maxBytes?: number }) => {
      const log = this.#broker.topics.get(request)
      if (log.topicId !== request.topicId) throw unknownPartition(request)
      if (fate.newLeader === true) log.electLeader()
      const maxBytes = Math.min(request.maxBytes, fate.maxBytes ?? request.maxBytes)
      return log.fetch({ ...request, maxBytes })
    }
    return this.#line.run({ kind: 'fetch', at: { topic, partition } }, run, signal)
  }

  readAt(
    { topic, partition, offset }: PartitionOffset,
    signal?: AbortSignal,
  ): Promise<FoundRecord | undefined> {
    const at = { topic, partition }
    const run = (fate: { readonly newLeader?: boolean }): FoundRecord | undefined => {
      const log = this.#broker.topics.get(at)
      if (fate.newLeader === true) log.electLeader()
      const found = log.find(offset)
      return found === undefined ? undefined : { ...found, topicId: log.topicId }
    }
    return this.#line.run({ kind: 'readAt', at }, run, signal)
  }

  watch(of: TopicPartition, onChange: () => void): () => void {
    return this.#broker.topics.find(of)?.watch(onChange) ?? (() => {})
  }
}
