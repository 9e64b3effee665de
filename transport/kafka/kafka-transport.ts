/** The log port over a Kafka cluster: its administration, readers, producers and members. */
import { closeAll } from '../close-all.ts'
import { logClosed } from '../log-errors.ts'
import type { Membership, MembershipOptions } from '../membership.ts'
import type {
  Admin,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
  Transport,
} from '../transport.ts'
import { KafkaAdmin } from './admin/admin.ts'
import type { KafkaCluster } from './cluster/cluster.ts'
import type { Compression } from './codecs.ts'
import type { FetchLimits } from './reader/fetch-limits.ts'
import { openKafkaMembership } from './group/kafka-membership.ts'
import { KafkaReader } from './reader/kafka-reader.ts'
import { openKafkaProducer } from './producer/open-producer.ts'
import type { ProducerLimits } from './producer/producer-limits.ts'

/** What holds for all that is opened from one transport. */
export interface KafkaTransportParts {
  /** Closed last. */
  readonly cluster: KafkaCluster
  readonly rack: string | undefined
  readonly replicationFactor: number | undefined
  readonly compression: Compression | undefined
  readonly producerLimits: Partial<ProducerLimits> | undefined
  readonly readerLimits: Partial<FetchLimits> | undefined
}

/** The port of a cluster. Closing it closes what was opened from it. */
export class KafkaTransport implements Transport {
  readonly admin: Admin
  readonly #parts: KafkaTransportParts
  readonly #opened = new Set<AsyncDisposable>()
  #closed: Promise<void> | undefined

  constructor(parts: KafkaTransportParts) {
    this.#parts = parts
    this.admin = new KafkaAdmin(parts.cluster, parts.replicationFactor)
  }

  openReader(options: ReaderOptions): Reader {
    this.#assertOpen()
    const { cluster, rack, readerLimits: limits = {} } = this.#parts
    const onClose = (): boolean => this.#opened.delete(reader)
    const reader: Reader = new KafkaReader({ ...options, cluster, rack, limits, onClose })
    this.#opened.add(reader)
    return reader
  }

  openProducer(options: ProducerOptions): Producer {
    this.#assertOpen()
    const { cluster, compression = 'none', producerLimits: limits = {} } = this.#parts
    const onClose = (): boolean => this.#opened.delete(producer)
    const setting = { compression, limits, onClose }
    const producer: Producer = openKafkaProducer(cluster, options, setting)
    this.#opened.add(producer)
    return producer
  }

  openMembership(options: MembershipOptions): Membership {
    this.#assertOpen()
    const onClose = (): boolean => this.#opened.delete(membership)
    const parts = { admin: this.admin, onClose }
    const membership: Membership = openKafkaMembership(this.#parts.cluster, options, parts)
    this.#opened.add(membership)
    return membership
  }

  /** Ends as kill -9 does: all connections break, nothing is flushed, aborted or given back. For tests of what a crash leaves. */
  async abandon(): Promise<void> {
    this.#closed ??= this.#parts.cluster[Symbol.asyncDispose]()
    await this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** What was opened from it first, the connections in any case. */
  async #close(): Promise<void> {
    await using _cluster = this.#parts.cluster
    await closeAll(this.#opened)
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw logClosed('log')
  }
}
