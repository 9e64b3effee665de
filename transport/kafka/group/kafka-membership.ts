/** Membership of a group over a Kafka cluster: the member's half that every log shares, on Kafka's requests. */
import { GroupMembership, type GroupMembershipParts } from '../../group-member.ts'
import type { Membership, MembershipOptions } from '../../membership.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'
import { groupLink } from './group-link.ts'
import { KafkaCoordinator } from './kafka-coordinator.ts'

/** Makes a member that joins when it is started. Its connections end with it. */
export function openKafkaMembership(
  cluster: KafkaCluster,
  options: MembershipOptions,
  { admin, onClose }: Pick<GroupMembershipParts, 'admin' | 'onClose'>,
): Membership {
  const link = groupLink(cluster)
  return new GroupMembership(options, {
    coordinator: new KafkaCoordinator(link, cluster.limits),
    clock: cluster.clock,
    admin,
    onClose: () => {
      // Closing only ends connections, and fails at nothing.
      void link[Symbol.asyncDispose]()
      onClose()
    },
  })
}
