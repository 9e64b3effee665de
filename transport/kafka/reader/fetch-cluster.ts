/** What a reader needs of a cluster: who leads, and connections of its own. KafkaCluster is one; tests have theirs. */
import type { Clock } from '../../../model/clock.ts'
import type { TopicPartition } from '../../../model/position.ts'
import type { Api } from '../api/api.ts'
import type { TopicMetadata } from '../api/metadata.ts'
import type { RequestOptions } from '../cluster/broker-connection.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'

/** A cluster as a reader sees it. */
export interface FetchCluster {
  readonly clock: Clock
  readonly metadata: {
    /** Who leads a partition, from memory; undefined where that is not known or was found wrong. */
    known(at: TopicPartition): PartitionLeader | undefined
    /** The same, asked for where it is not known. Rejects with MILLRACE_UNKNOWN_PARTITION. */
    leader(at: TopicPartition, options: { readonly signal?: AbortSignal }): Promise<PartitionLeader>
    /** Asks now; the answers have the topics' error codes. */
    refresh(
      topics: readonly string[],
      options: { readonly signal?: AbortSignal },
    ): Promise<readonly TopicMetadata[]>
    /** What is known up to that epoch is wrong. */
    invalidate(at: TopicPartition, leaderEpoch?: number): void
  }
  /** Connections for one purpose, one to each node, where no request waits for those of other purposes. */
  openLane(purpose: string): FetchLane
  closeLane(lane: FetchLane): Promise<void>
}

/** Connections for one purpose. */
export interface FetchLane {
  /** Sends a request to a node and waits for its answer; nothing is tried again. */
  request<Q, R>(
    node: number,
    question: readonly [Api<Q, R>, Q],
    options: RequestOptions,
  ): Promise<R>
}
