/**
 * The log in memory, for tests and the simulation: every promise of transport/transport.ts, with
 * Kafka's transactions in full (markers that take an offset, epochs, timeouts), and nothing of it on
 * a disk or a wire. It is deterministic: given the same calls, the same clock and the same faults it
 * does the same in the same order.
 */
import type { Clock } from '../../model/clock.ts'
import type { PartitionOffset, TopicPartition } from '../../model/position.ts'
import type { LogRecord } from '../../model/record.ts'
import { GroupMembership } from '../group-member.ts'
import type { Membership, MembershipOptions } from '../membership.ts'
import { PrefetchingReader } from '../prefetch.ts'
import type {
  Admin,
  Isolation,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
  Transport,
} from '../transport.ts'
import { Broker } from './broker.ts'
import { Line, type Faults } from './faults.ts'
import { MemoryAdmin } from './memory-admin.ts'
import { MemoryCoordinator } from './memory-coordinator.ts'
import { MemoryProducer } from './memory-producer.ts'
import { MemorySource } from './memory-source.ts'

/** How a memory log is made. */
export interface MemoryLogOptions {
  /** Times transactions, retries and faults, and names topics by its `uuid`. */
  readonly clock: Clock
  /** What goes wrong. Default: nothing. */
  readonly faults?: Faults
}

/** One process's way to a memory log. Closing it leaves the log as it is. */
export interface MemoryConnection extends Transport {
  /** Ends it as kill -9 would: what left takes effect, nothing more leaves, and no promise of it ever settles. */
  kill(): void
}

/** A memory log, and a connection to it. */
export interface MemoryLog extends MemoryConnection {
  /** A further connection, as of another process; `name` is how faults call it. Open it also after this one was closed. */
  connect(name?: string): MemoryConnection
  /** The records of a partition that an isolation shows, at once and without faults. Default: read_committed. */
  records(of: TopicPartition, isolation?: Isolation): readonly LogRecord[]
  /** The transactional ids whose transactions are open. */
  readonly openTransactions: readonly string[]
  /** Batches and markers that were ever appended. */
  readonly appendedBatches: number
  /** Bytes of the largest batch that was ever appended. */
  readonly largestBatchBytes: number
  /** Drops the records before an offset, as retention does. */
  purgeBefore(offset: PartitionOffset): void
  /** Keeps of each key the last committed record, as the cleaner does. */
  compact(of: TopicPartition): void
  /** Gives a partition a new leader that has all records. */
  electLeader(of: TopicPartition): void
  /** Gives a partition a new leader that lacks the batches which reach the offset or beyond. */
  truncate(at: PartitionOffset): void
}

/** Makes an empty log in memory. */
export function memoryLog({ clock, faults }: MemoryLogOptions): MemoryLog {
  const broker = new Broker(clock, faults)
  let connections = 0
  const connect = (name?: string): Connection => {
    connections += 1
    return new Connection(
      new Line({ clock, faults, name: name ?? `connection-${connections}` }),
      broker,
    )
  }
  const own = connect()
  return {
    admin: own.admin,
    openReader: (options) => own.openReader(options),
    openProducer: (options) => own.openProducer(options),
    openMembership: (options) => own.openMembership(options),
    kill: () => own.kill(),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
    connect,
    records: (of, isolation = 'read_committed') => broker.topics.get(of).shown(isolation),
    get openTransactions() {
      return broker.transactions.openIds
    },
    get appendedBatches() {
      return broker.topics.meter.batches
    },
    get largestBatchBytes() {
      return broker.topics.meter.largestBatchBytes
    },
    purgeBefore: (at) => broker.topics.get(at).purgeBefore(at.offset),
    compact: (of) => broker.topics.get(of).compact(),
    electLeader: (of) => broker.topics.get(of).electLeader(),
    truncate: (at) => broker.topics.get(at).truncate(at.offset),
  }
}

class Connection implements MemoryConnection {
  readonly admin: Admin
  readonly #line: Line
  readonly #broker: Broker
  readonly #source: MemorySource
  /** In the order they were opened; closed in the reverse. */
  readonly #open = new Set<AsyncDisposable>()

  constructor(line: Line, broker: Broker) {
    this.#line = line
    this.#broker = broker
    this.#source = new MemorySource(line, broker)
    this.admin = new MemoryAdmin(line, broker)
  }

  openReader(options: ReaderOptions): Reader {
    const reader: Reader = new PrefetchingReader({
      ...options,
      source: this.#source,
      clock: this.#line.clock,
      onClose: () => this.#open.delete(reader),
    })
    this.#open.add(reader)
    return reader
  }

  openProducer(options: ProducerOptions): Producer {
    const producer: Producer = new MemoryProducer({
      ...options,
      line: this.#line,
      broker: this.#broker,
      onClose: () => this.#open.delete(producer),
    })
    this.#open.add(producer)
    return producer
  }

  openMembership(options: MembershipOptions): Membership {
    const membership: GroupMembership = new GroupMembership(options, {
      coordinator: new MemoryCoordinator(this.#line, this.#broker.members),
      clock: this.#line.clock,
      admin: this.admin,
      onClose: () => this.#open.delete(membership),
    })
    this.#open.add(membership)
    return membership
  }

  kill(): void {
    this.#line.kill()
    for (const part of this.#open) if (part instanceof GroupMembership) part.abandon()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#line.isOpen) return
    try {
      await using parts = new AsyncDisposableStack()
      for (const part of this.#open) parts.use(part)
      this.#open.clear()
    } finally {
      this.#line.close()
    }
  }
}
