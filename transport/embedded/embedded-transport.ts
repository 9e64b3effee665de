/** The log port over an embedded log: its administration, readers, producers and members, wherever it is held. */
import type { Clock } from '../../model/clock.ts'
import type { TopicPartition } from '../../model/position.ts'
import { closeAll } from '../close-all.ts'
import { GroupMembership } from '../group-member.ts'
import type { Membership, MembershipOptions } from '../membership.ts'
import { PrefetchingReader } from '../prefetch.ts'
import type {
  Admin,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
  Transport,
} from '../transport.ts'
import { BrokerAdmin } from './broker-admin.ts'
import { BrokerCoordinator } from './broker-coordinator.ts'
import type { LogBroker } from './broker.ts'
import { EmbeddedProducer } from './embedded-producer.ts'
import type { EmbeddedLogLimits, TaskAnswer } from './limits.ts'

/** What the port of an embedded log stands on. */
export interface EmbeddedTransportParts {
  readonly broker: LogBroker
  /** Closed last: the log itself, or the way to it. */
  readonly owner: AsyncDisposable
  readonly clock: Clock
  readonly limits: EmbeddedLogLimits
}

/** The port of an opened log. Closing it closes what was opened from it. */
export class EmbeddedTransport implements Transport {
  readonly admin: Admin
  readonly #parts: EmbeddedTransportParts
  readonly #opened = new Set<AsyncDisposable>()
  #closed: Promise<void> | undefined

  constructor(parts: EmbeddedTransportParts) {
    this.#parts = parts
    this.admin = new BrokerAdmin(parts.broker, parts.clock)
  }

  openReader(options: ReaderOptions): Reader {
    const { broker, clock } = this.#parts
    broker.assertOpen()
    const onClose = (): boolean => this.#opened.delete(reader)
    const reader: Reader = new PrefetchingReader({ ...options, source: broker, clock, onClose })
    this.#opened.add(reader)
    return reader
  }

  openProducer(options: ProducerOptions): Producer {
    const { broker, clock, limits } = this.#parts
    broker.assertOpen()
    const onClose = (): boolean => this.#opened.delete(producer)
    const producer: Producer = new EmbeddedProducer(broker, { ...options, clock, limits, onClose })
    this.#opened.add(producer)
    return producer
  }

  openMembership(options: MembershipOptions): Membership {
    const { broker, clock } = this.#parts
    broker.assertOpen()
    const onClose = (): void => {
      this.#opened.delete(membership)
      unwatch?.()
    }
    const coordinator = new BrokerCoordinator(broker)
    const parts = { coordinator, clock, admin: this.admin, onClose }
    const membership: Membership = new GroupMembership(options, parts)
    // A new holder knows no members: asked for a join, it says so at once, and not only at a heartbeat.
    const unwatch = broker.watchHolder?.(() => membership.requestRebalance())
    this.#opened.add(membership)
    return membership
  }

  /** Runs the task that the log was opened with in the process that holds it. */
  async askHolder(request: unknown): Promise<TaskAnswer> {
    return await this.#parts.broker.ask('holderTask', { words: request })
  }

  /** Compacts all that is stable of a partition now, whatever its topic's policy says: for tests, and before a copy is taken. */
  async compact(of: TopicPartition): Promise<void> {
    await this.#parts.broker.ask('compact', of)
  }

  /** Ends as kill -9 does, but gives the folder free: nothing is flushed or aborted. For tests of what a crash leaves. */
  async abandon(): Promise<void> {
    this.#closed ??= Promise.resolve(this.#parts.owner[Symbol.asyncDispose]())
    await this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** What was opened from it first, the log in any case. */
  async #close(): Promise<void> {
    await using _owner = this.#parts.owner
    await closeAll(this.#opened)
  }
}
