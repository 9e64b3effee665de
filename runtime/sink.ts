/**
 * The end of a topology: a record becomes bytes with a partition. A record whose key is unchanged
 * since its source keeps its partition where both topics have as many, so that what one writer has
 * put together stays together whatever partitioner it used.
 */
import { partitionForKey } from '../model/murmur2.ts'
import { asPartition, type Partition } from '../model/position.ts'
import type { ProcessRecord } from '../processors/processor.ts'
import type { SinkNode } from '../topology/graph.ts'
import type { ProducerRecord } from '../transport/transport.ts'
import type { Room } from '../serdes/serde.ts'
import type { OpenPair } from './open-topology.ts'

/** What a sink knows of its task and topic. */
export interface SinkParts {
  readonly node: SinkNode
  readonly serdes: OpenPair
  readonly taskPartition: Partition
  /** Partitions of the sink's topic. */
  readonly partitions: number
  /** Partitions of the topic whose key the record still has; undefined where the key was changed. */
  readonly sourcePartitions: number | undefined
  /** Where large values are written. */
  readonly room: Room
  readonly emit: (record: ProducerRecord) => void
}

/** The process function of a sink. */
export function sinkProcess(parts: SinkParts): ProcessRecord<unknown, unknown> {
  const { node, serdes, room, emit } = parts
  const { topic } = node
  const partitionOf = partitioner(parts)
  return ({ key, value, timestamp, headers }) => {
    const keyBytes = key === null || key === undefined ? null : serdes.key.serialize(key)
    emit({
      topic,
      partition: partitionOf(key, keyBytes),
      key: keyBytes,
      value: value === null || value === undefined ? null : serdes.value.serialize(value, room),
      timestamp,
      headers,
    })
  }
}

function partitioner(parts: SinkParts): (key: unknown, keyBytes: Buffer | null) => Partition {
  const { node, serdes, partitions, sourcePartitions, taskPartition } = parts
  // A record without a key has no place of its own; its task's keeps the order it came in.
  const here = asPartition(taskPartition % partitions)
  if (sourcePartitions === partitions && node.partitionBy === undefined) return () => here
  const partitionBy = node.partitionBy ?? node.inheritedPartitionBy
  // All windows of a key go where the key goes.
  const { timeBytes = 0 } = serdes.key
  return (key, keyBytes) => {
    if (keyBytes === null) return here
    const chosen =
      partitionBy === undefined
        ? keyBytes.subarray(0, keyBytes.length - timeBytes)
        : Buffer.from(partitionBy(key), 'utf8')
    return asPartition(partitionForKey(chosen, partitions))
  }
}
