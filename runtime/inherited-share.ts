/**
 * What a process makes of a share that was its predecessor's. Who comes back under an instance id
 * gets that share as it is: nobody assigns, so nobody has seen what the process joined with. It looks
 * itself whether the share still fits, and asks for a rebalance where it does not; there all members
 * are compared as ever, and what is assigned then is made for this process.
 *
 * An assignment of an older process says nothing of whom it was made for, and is taken as it is.
 */
import type { Topic } from '../model/position.ts'
import type { AssignmentData } from './group-user-data.ts'

/** The process that has got a share, as it joined. */
export interface Heir {
  readonly memberId: string
  readonly processId: string
  readonly fingerprint: string
  readonly copies: number
  readonly sourceTopics: readonly Topic[]
  readonly partitionsOf: (topic: Topic) => number
}

/** How a share fits. */
export interface Fit {
  /** Whether it was made for somebody else: what it refuses, it refuses to him. */
  readonly isInherited: boolean
  /** Whether nothing of it may run: it was made for another topology, or refused to the predecessor. */
  readonly isForeign: boolean
  /** Whether there has to be a rebalance, for the members do not know this process as it is. */
  readonly isOutdated: boolean
}

/** Compares a share with the process that got it. */
export function fitOf(data: AssignmentData, heir: Heir): Fit {
  const { madeFor, refused, processes } = data
  const isInherited = madeFor !== undefined && madeFor.memberId !== heir.memberId
  const isUnknown = !processes.includes(heir.processId)
  if (!isInherited) return { isInherited, isForeign: false, isOutdated: isUnknown }
  const { fingerprint, partitions, copies } = madeFor
  const isForeign = fingerprint !== heir.fingerprint || refused !== undefined
  const hasOtherCounts = heir.sourceTopics.some((topic) => {
    const count = heir.partitionsOf(topic)
    return (partitions?.get(topic) ?? count) !== count
  })
  const hasOtherCopies = (copies ?? heir.copies) !== heir.copies
  return {
    isInherited,
    isForeign,
    isOutdated: isUnknown || isForeign || hasOtherCounts || hasOtherCopies,
  }
}

/** The process that had the share before: the owner of tasks that run here now, where that is another and nobody has told the group. */
export function predecessorOf(
  { owners, processes }: AssignmentData,
  heir: { readonly processId: string; readonly tasks: readonly string[] },
): string | undefined {
  if (processes.includes(heir.processId)) return undefined
  return owners.find(({ tasks }) => tasks.some((task) => heir.tasks.includes(task)))?.processId
}
