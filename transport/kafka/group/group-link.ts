/**
 * What a member of a group asks of its cluster: who coordinates the group, and two lanes of
 * connections of its own. A broker answers one request of a connection after the other, and holds a
 * join back until all have joined: signs of life that stood behind it would come too late. Narrow, so
 * that the coordinator of a test can stand in its place.
 */
import type { Clock } from '../../../model/clock.ts'
import type { Api } from '../api/api.ts'
import type { RequestOptions } from '../cluster/broker-connection.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'

/** Joins and syncs go by rounds, which may be held back; heartbeats, goodbyes and questions by signs. */
export type GroupLane = 'rounds' | 'signs'

/** How one request of a member is made. */
export type GroupRequestOptions = Required<Pick<RequestOptions, 'deadlineMs'>> &
  Pick<RequestOptions, 'signal'>

/** A cluster as one member sees it. Nothing is tried again here, but for `coordinator`. */
export interface GroupLink extends AsyncDisposable {
  readonly clock: Clock
  /** The node that coordinates a group. Rejects with what kept the answer away. */
  coordinator(groupId: string, deadlineMs: number): Promise<number>
  /** The coordinator has moved, or cannot be reached. */
  forgetCoordinator(groupId: string): void
  /** Asks a node, once. */
  ask<Q, R>(
    to: { readonly lane: GroupLane; readonly node: number },
    question: readonly [Api<Q, R>, Q],
    options: GroupRequestOptions,
  ): Promise<R>
  /** Ends the connection to a node; what it owes an answer rejects with the reason. */
  drop(lane: GroupLane, node: number, reason: Error): Promise<void>
}

/** The link of one member to a cluster; closing it closes its lanes. */
export function groupLink(cluster: KafkaCluster): GroupLink {
  const lanes = { rounds: cluster.openLane('rebalances'), signs: cluster.openLane('heartbeats') }
  const { coordinators } = cluster
  return {
    clock: cluster.clock,
    // Without the signal of who asks: the answer may be waited for by others too.
    coordinator: (key, deadlineMs) => coordinators.find({ kind: 'group', key }, { deadlineMs }),
    forgetCoordinator: (key) => coordinators.forget({ kind: 'group', key }),
    ask: ({ lane, node }, question, options) => lanes[lane].request(node, question, options),
    drop: (lane, node, reason) => lanes[lane].drop(node, reason),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(Object.values(lanes).map((lane) => cluster.closeLane(lane)))
    },
  }
}
