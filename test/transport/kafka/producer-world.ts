/** What tests of a producer share: a world of simulated time, a faulty cluster in it, and short sends. */
import { asOffset, asPartition, asTopic, type TopicPartition } from '../../../model/position.ts'
import { NO_HEADERS } from '../../../model/record.ts'
import { SimulatedClock } from '../../../testing/simulated-clock.ts'
import type { Compression } from '../../../transport/kafka/codecs.ts'
import { KafkaProducer } from '../../../transport/kafka/producer/kafka-producer.ts'
import { KAFKA_LIMITS } from '../../../transport/kafka/limits.ts'
import {
  PRODUCER_LIMITS,
  type ProducerLimits,
} from '../../../transport/kafka/producer/producer-limits.ts'
import type {
  CommittedOffset,
  ProducerOptions,
  ProducerRecord,
} from '../../../transport/transport.ts'
import { FaultyCluster } from './faulty-cluster.ts'

const TOPIC = asTopic('topic')
/** Virtual time that a world may take before it counts as one that hangs. */
const WORLD_LIMIT_MS = 3_600_000

export function at(partition: number): TopicPartition {
  return { topic: TOPIC, partition: asPartition(partition) }
}

export function recordFor(partition: number, value: string): ProducerRecord {
  return {
    ...at(partition),
    key: null,
    value: Buffer.from(value),
    timestamp: 1,
    headers: NO_HEADERS,
  }
}

export function offsetFor(partition: number, offset: number): CommittedOffset {
  return { ...at(partition), offset: asOffset(offset), metadata: '' }
}

/** A cluster with some partitions of one topic, and producers on it. */
export class ProducerWorld {
  readonly clock: SimulatedClock
  readonly cluster: FaultyCluster

  constructor(
    seed: number,
    {
      partitions = 1,
      ...options
    }: ConstructorParameters<typeof FaultyCluster>[1] & { readonly partitions?: number } = {},
  ) {
    this.clock = new SimulatedClock(seed)
    this.cluster = new FaultyCluster(this.clock, options)
    for (let partition = 0; partition < partitions; partition += 1)
      this.cluster.create(at(partition))
  }

  producer(
    options: ProducerOptions & { readonly compression?: Compression } = {},
    limits: Partial<ProducerLimits> = {},
  ): KafkaProducer {
    return new KafkaProducer(this.cluster.link(), {
      ...options,
      limits: { ...KAFKA_LIMITS, ...PRODUCER_LIMITS, ...limits },
    })
  }

  /** The values that a partition shows, or all that it has. */
  visible(partition: number): readonly string[] {
    return this.cluster.partitions.get(`topic[${partition}]`)?.visible ?? []
  }

  /** Lets virtual time pass until a call has settled. */
  async run<T>(call: Promise<T>): Promise<T> {
    let isDone = false
    const settled = Promise.allSettled([call]).then(() => {
      isDone = true
    })
    await this.clock.runUntil(() => isDone, WORLD_LIMIT_MS)
    await settled
    return await call
  }

  async pass(delayMs: number): Promise<void> {
    await this.run(new Promise<void>((resolve) => void this.clock.timer(delayMs, resolve)))
  }
}
