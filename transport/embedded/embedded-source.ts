/** What a prefetching reader reads from: the partitions of an embedded log in the same process. */
import type { Offset, PartitionOffset, TopicPartition } from '../../model/position.ts'
import { unknownPartition } from '../log-errors.ts'
import type { FetchAnswer, FetchRequest, PartitionSource } from '../prefetch.ts'
import type { FoundRecord } from '../transport.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { BatchPlace } from './region.ts'

/** Made for one reader: it remembers where in its segment each cursor goes on. */
export class EmbeddedSource implements PartitionSource {
  readonly #log: EmbeddedLog
  readonly #places = new WeakMap<
    PartitionLog,
    { readonly offset: number; readonly place: BatchPlace }
  >()

  constructor(log: EmbeddedLog) {
    this.#log = log
  }

  topicId(of: TopicPartition): string | undefined {
    const topic = this.#log.topic(of.topic)
    return topic?.partitions[of.partition] === undefined ? undefined : topic.topicId
  }

  async fetch(request: FetchRequest): Promise<FetchAnswer> {
    this.#log.assertOpen()
    const { topic, partition: number, offset, isolation, maxBytes } = request
    const partition = this.#log.partition({ topic, partition: number })
    if (partition.topicId !== request.topicId) throw unknownPartition(partition)
    const known = this.#places.get(partition)
    const place = known?.offset === offset ? known.place : undefined
    const read = await partition.read(offset, { isolation, maxBytes, place })
    const lastStableOffset = partition.endFor('read_committed')
    if (read === undefined) return { batch: undefined, lastStableOffset }
    const { records, leaderEpoch, sizeBytes, release } = read
    const nextOffset = read.nextOffset as Offset
    this.#places.set(partition, { offset: nextOffset, place: read.nextPlace })
    const batch = { topic, partition: number, records, nextOffset, lastStableOffset, leaderEpoch }
    return { batch: { ...batch, sizeBytes, release }, lastStableOffset }
  }

  async readAt(at: PartitionOffset): Promise<FoundRecord | undefined> {
    this.#log.assertOpen()
    const partition = this.#log.partition(at)
    const found = await partition.readAt(at.offset)
    return found && { ...found, topicId: partition.topicId }
  }

  watch(of: TopicPartition, onChange: () => void): () => void {
    const partition = this.#log.topic(of.topic)?.partitions[of.partition]
    return partition === undefined ? () => {} : partition.watch(onChange)
  }
}
