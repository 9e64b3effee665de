/** What every client is given to do, and the topics that it does it on. */
import { randomUUID } from 'node:crypto'
import { asPartition, asTopic } from '../../../model/position.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { openKafka } from '../../../transport/kafka/open.ts'
import type { Transport } from '../../../transport/transport.ts'
import { benchBrokers } from './bench-broker.ts'

/** One kind of load; all clients get the same sizes. */
export interface Load {
  readonly mode: 'produce' | 'fetch'
  readonly brokers: string
  readonly topic: string
  readonly records: number
  readonly valueBytes: number
  /** Of one batch, uncompressed. */
  readonly batchBytes: number
  /** Of one fetch, and of one partition in it. */
  readonly fetchBytes: number
  /** Queued in the client at most. */
  readonly bufferBytes: number
  readonly lingerMs: number
  /** Where the values come from, slice after slice; made up where there is none. */
  readonly file?: string
}

/** A size of values with the sizes that suit it. */
export interface LoadShape {
  readonly name: string
  readonly valueBytes: number
  readonly batchBytes: number
  readonly fetchBytes: number
}

const MIB = 2 ** 20

/** A client may have to be installed first. */
export const CHILD_DEADLINE_MS = 900_000

/** Small records in batches of a megabyte, and videos' slices, each a batch. */
export const SHAPES: readonly LoadShape[] = [
  { name: '100B', valueBytes: 100, batchBytes: 900_000, fetchBytes: MIB },
  { name: '5MiB', valueBytes: 5 * MIB, batchBytes: 6 * MIB, fetchBytes: 16 * MIB },
  { name: '10MiB', valueBytes: 10 * MIB, batchBytes: 11 * MIB, fetchBytes: 16 * MIB },
]

/** What a shape takes of the settings' sizes. */
export function loadOf(
  { valueBytes, batchBytes, fetchBytes }: LoadShape,
  { sizeBytes, records }: { readonly sizeBytes: number; readonly records: number },
  place: Pick<Load, 'mode' | 'topic' | 'file'>,
): Load {
  const count = valueBytes < MIB ? records : Math.max(1, Math.floor(sizeBytes / valueBytes))
  const sizes = { valueBytes, batchBytes, fetchBytes, bufferBytes: 64 * MIB }
  return { ...place, ...sizes, brokers: benchBrokers(), records: count, lingerMs: 5 }
}

/** The cluster as every run reaches it. */
export async function openBench(load: Load): Promise<Transport> {
  const { brokers, batchBytes, lingerMs, fetchBytes } = load
  return await openKafka({
    brokers,
    clock: systemClock(),
    producer: { batchBytes, lingerMs },
    reader: { responseMaxBytes: fetchBytes, partitionMaxBytes: fetchBytes },
  })
}

/** A topic of one partition that takes large records, under a name of its own unless one is given. */
export async function withTopic(log: Transport, topic = `bench-${randomUUID()}`): Promise<string> {
  const config = { 'max.message.bytes': String(32 * MIB), 'retention.ms': '-1' }
  await log.admin.createTopics([{ topic: asTopic(topic), partitions: 1, config }])
  return topic
}

/** How many offsets the topic's partition has: of plain producers as many as records. */
export async function recordsIn(log: Transport, topic: string): Promise<number> {
  const at = { topic: asTopic(topic), partition: asPartition(0) }
  const [end] = await log.admin.offsets([at], 'latest', 'read_committed')
  return Number(end)
}

/** Whether there is a topic of that name. */
export async function describedTopic(log: Transport, topic: string): Promise<boolean> {
  return (await log.admin.describeTopics([asTopic(topic)])).length > 0
}

/** Deletes a topic, so that the disk does not fill. */
export async function deleteTopic(log: Transport, topic: string): Promise<void> {
  await log.admin.deleteTopics([asTopic(topic)])
}
