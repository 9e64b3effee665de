/** The errors of groups, in the same words for every log. */
import { TransportError } from './errors.ts'
import type { GroupRefusal } from './group-requests.ts'

/**
 * Offsets committed for a member that the group does not have, or not in this generation. One whose
 * instance id another process took over is told that it is over. The kind is abortable then as well,
 * for it is the member that is fenced: its producer can, and has to, abort what it left open.
 */
export function groupFenced(groupId: string, why: GroupRefusal): TransportError {
  if (why === 'fenced-instance') {
    return new TransportError('MILLRACE_GROUP_INSTANCE_FENCED', 'abortable', {
      message: `Group ${groupId} refused offsets: another process joined it under this one's instance id. ${OWN_INSTANCE_ID}`,
      place: groupId,
    })
  }
  return new TransportError('MILLRACE_GROUP_FENCED', 'abortable', {
    message: `Group ${groupId} refused offsets: ${REASONS[why]}. Abort what they stand for; a member is told by its listener what it owns now.`,
    place: groupId,
  })
}

/** Offsets committed without a member while the group has members. */
export function groupHasMembers(groupId: string): TransportError {
  return new TransportError('MILLRACE_GROUP_FENCED', 'abortable', {
    message: `Group ${groupId} has members, and offsets were committed for it without one. Commit as a member, or stop the members first.`,
    place: groupId,
  })
}

/** A group that was to be deleted while it has members. */
export function groupNotEmpty(groupId: string): TransportError {
  return new TransportError('MILLRACE_GROUP_HAS_MEMBERS', 'fatal', {
    message: `Group ${groupId} has members and cannot be deleted. Stop them first; one that was killed leaves the group when its session times out.`,
    place: groupId,
  })
}

/** A member whose assignor is not the group's. */
export function otherProtocol(groupId: string, own: string, theirs: string): TransportError {
  return new TransportError('MILLRACE_GROUP_PROTOCOL', 'fatal', {
    message: `Group ${groupId} assigns by ${theirs}, and a member that assigns by ${own} wants to join. Stop all members and start them with one version, or choose another group.`,
    place: groupId,
  })
}

/** A member whose instance id another process took over. */
export function instanceFenced(groupId: string, instanceId: string): TransportError {
  return new TransportError('MILLRACE_GROUP_INSTANCE_FENCED', 'fenced', {
    message: `Another process joined group ${groupId} as instance ${instanceId}. ${OWN_INSTANCE_ID}`,
    place: `${groupId}/${instanceId}`,
  })
}

const OWN_INSTANCE_ID =
  'The newer one goes on. If both are meant to run, give each process an instance id of its own; if not, let this one stay ended.'

const REASONS: Readonly<Record<Exclude<GroupRefusal, 'fenced-instance'>, string>> = {
  'unknown-member': 'it does not have that member, or no longer',
  'illegal-generation': 'they are of another generation',
  rebalancing: 'its members are joining anew',
  'other-protocol': 'its members use another assignor',
}
