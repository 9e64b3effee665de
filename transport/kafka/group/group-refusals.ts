/** What a group's coordinator has against a request, as its member understands it. */
import { TransportError } from '../../errors.ts'
import type { GroupRefusal } from '../../group-requests.ts'
import { CODE, refused } from '../error-codes.ts'

/** Codes that a member knows what to do about. */
export const GROUP_REFUSALS: ReadonlyMap<number, GroupRefusal> = new Map<number, GroupRefusal>([
  [CODE.illegalGeneration, 'illegal-generation'],
  [CODE.unknownMemberId, 'unknown-member'],
  [CODE.fencedInstanceId, 'fenced-instance'],
  [CODE.rebalanceInProgress, 'rebalancing'],
  [CODE.inconsistentGroupProtocol, 'other-protocol'],
])

/** The error for a code that no member knows what to do about; it says which setting is meant where one is. */
export function groupRefused(code: number, api: string, groupId: string): TransportError {
  return refused(code, { api, place: `group ${groupId}`, detail: MEANT.get(code) })
}

/** A group of that name in which nobody assigns as its own members agree to. */
export function otherKindOfGroup(groupId: string, theirs: string): TransportError {
  return new TransportError('MILLRACE_GROUP_PROTOCOL', 'fatal', {
    message: `Group ${groupId} is in use by something else: ${theirs}. Choose another group, or stop what uses this one.`,
    place: groupId,
  })
}

/** A join that is to be sent again, since the group is in the midst of something. */
export function joinLater(groupId: string): TransportError {
  return new TransportError('MILLRACE_KAFKA_REFUSED', 'retriable', {
    message: `Group ${groupId} cannot take a member just now. It is asked again.`,
    place: `group ${groupId}`,
  })
}

const MEANT: ReadonlyMap<number, string> = new Map([
  [-1, 'the log of its coordinator says why; what all members say together must fit a record'],
  [24, 'no group can have that id'],
  [
    26,
    'sessionTimeoutMs must lie between group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers',
  ],
  [81, 'it has as many members as group.max.size of the brokers allows'],
])
