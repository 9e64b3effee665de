/**
 * What a producer asks of its cluster: who leads, who coordinates, and three lanes of connections of
 * its own, so that a batch of 10 MB holds up no commit. Narrow, so that the cluster of a test with
 * lost answers and moving leaders can stand in its place.
 */
import type { Clock } from '../../../model/clock.ts'
import type { TopicPartition } from '../../../model/position.ts'
import type { Api } from '../api/api.ts'
import { PRODUCE, type ProduceRequest, type ProduceResponse } from '../api/produce.ts'
import type { CoordinatorKind } from '../api/find-coordinator.ts'
import type { KafkaCluster, TransactionVersion } from '../cluster/cluster.ts'
import type { Coordinated } from '../cluster/coordinator-cache.ts'
import { silentBroker } from './doubt.ts'
import type { CallOptions, PartitionLeader } from '../cluster/metadata-cache.ts'

/** How one request of a producer is made. */
export interface LinkOptions {
  readonly version: number
  readonly deadlineMs: number
}

/** A cluster as one producer sees it. Nothing is tried again here, but for `leader` and `any`. */
export interface ProducerLink extends AsyncDisposable {
  readonly clock: Clock
  /** Who leads a partition, from memory. */
  knownLeader(at: TopicPartition): PartitionLeader | undefined
  /** Who leads a partition. Rejects with MILLRACE_UNKNOWN_PARTITION, or what kept the answer away. */
  leader(at: TopicPartition, options: CallOptions): Promise<PartitionLeader>
  /** What is known of a partition's leader was wrong, unless something newer than `leaderEpoch` is known. */
  invalidate(at: TopicPartition, leaderEpoch?: number): void
  /** Requests to one node go out in the order of the calls once it has answered one. */
  produce(node: number, request: ProduceRequest, options: LinkOptions): Promise<ProduceResponse>
  /** The node that coordinates a group or a transactional id. */
  coordinator(what: Coordinated, options: CallOptions): Promise<number>
  forgetCoordinator(what: Coordinated): void
  /** Asks a coordinator, once. */
  coordinate<Q, R>(
    what: Coordinated & { readonly node: number },
    question: readonly [Api<Q, R>, Q],
    options: LinkOptions,
  ): Promise<R>
  /** Ends the connection to a node, whose requests without an answer are over. */
  abandon(node: number, lane: 'produce' | CoordinatorKind): void
  /** Asks whichever broker answers. */
  any<Q, R>(
    question: readonly [Api<Q, R>, Q],
    options: CallOptions & { readonly version?: number },
  ): Promise<R>
  /** Which transactions the cluster has now. */
  transactionVersion(options: CallOptions): Promise<TransactionVersion>
}

/** The link of one producer to a cluster; closing it closes its lanes. */
export function producerLink(cluster: KafkaCluster): ProducerLink {
  const lanes = {
    produce: cluster.openLane('produce'),
    transaction: cluster.openLane('transactions'),
    group: cluster.openLane('offsets'),
  }
  const { metadata, coordinators } = cluster
  return {
    clock: cluster.clock,
    knownLeader: (at) => metadata.known(at),
    leader: (at, options) => metadata.leader(at, options),
    invalidate: (at, leaderEpoch) => metadata.invalidate(at, leaderEpoch),
    produce: (node, request, options) => lanes.produce.request(node, [PRODUCE, request], options),
    coordinator: (what, options) => coordinators.find(what, options),
    forgetCoordinator: (what) => coordinators.forget(what),
    coordinate: ({ kind, node }, question, options) => lanes[kind].request(node, question, options),
    abandon: (node, lane) => {
      // Where not even its address is known there is no connection.
      lanes[lane].drop(node, silentBroker(node)).catch(() => undefined)
    },
    any: (question, options) => cluster.askAny(question, options),
    transactionVersion: (options) => cluster.transactionVersion(options),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(Object.values(lanes).map((lane) => cluster.closeLane(lane)))
    },
  }
}
