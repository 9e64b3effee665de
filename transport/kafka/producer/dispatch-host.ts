/** What the parts of a producer's queue know of each other: whose batches leave, and how. */
import type { Compression } from '../codecs.ts'
import type { PartitionOutbox } from './partition-outbox.ts'
import type { PendingBatch } from './pending-batch.ts'
import type { ProducerIdentity } from './producer-identity.ts'
import type { ProducerPatience } from './producer-limits.ts'
import type { ProducerLink } from './producer-link.ts'
import type { TransactionScope } from './transaction-scope.ts'

/** On whose behalf batches leave. */
export interface ProduceSession {
  readonly identity: ProducerIdentity
  readonly transactionalId: string | null
  /** Of the Produce request. */
  readonly version: number
  readonly scope: TransactionScope
}

/** The queue whose batches leave. */
export interface DispatchHost {
  /** Undefined while nothing may leave. */
  readonly session: ProduceSession | undefined
  /** The outboxes that are not idle. */
  readonly outboxes: readonly PartitionOutbox[]
  /** Batches of later turns stay. */
  readonly turn: number
  /** Nothing is to be tried again: the transaction is lost anyway, or what is queued is being dropped. */
  readonly isGivingUp: boolean
  /** A batch is done with: acknowledged, or given up. */
  landed(batch: PendingBatch): void
  /** A batch under way came to nothing, for good. */
  refused(outbox: PartitionOutbox, batch: PendingBatch, error: Error): void
  /** What waits for a partition cannot leave at all. */
  stuck(outbox: PartitionOutbox, error: Error): void
  /** Goes on under the next epoch, unless that was done. */
  outdated(identity: ProducerIdentity): void
  /** A batch was put back as several. */
  split(batch: PendingBatch, parts: readonly PendingBatch[]): void
}

/** A batch that leaves, and under which leadership. */
export interface Departure {
  readonly outbox: PartitionOutbox
  readonly batch: PendingBatch
  readonly parts: readonly Buffer[]
  readonly leaderEpoch: number
}

/** How batches leave. */
export interface DispatchOptions {
  readonly link: ProducerLink
  readonly limits: ProducerPatience
  readonly compression: Compression
}
