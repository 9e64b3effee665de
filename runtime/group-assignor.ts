/**
 * Shares the tasks of an application among the processes of its group. A task is one partition
 * number of a sub-topology, over all of its source topics, and stays in one piece. It is run by
 * whichever member the log elected, so it decides from what the members sent, and from nothing else.
 *
 * Members must run the same topology: a task is known by its number, and another topology numbers
 * otherwise. A member with another one gets nothing and is told why, so that it can end itself. It
 * may also be the one that assigns; then it does not know what the others' tasks are, and leaves to
 * each what it has: with its own end somebody else assigns anew.
 *
 * A share may reach a process that nobody assigned for: one that comes back under an instance id
 * gets what its predecessor had. So each says what it was made for (runtime/inherited-share.ts).
 */
import { isMillraceError } from '../model/errors.ts'
import { asPartition, type Topic, type TopicPartition } from '../model/position.ts'
import type { Assignor, GroupMember, MemberAssignment } from '../transport/membership.ts'
import { placeTasks, type PlacedTask } from './group-placement.ts'
import {
  decodeJoinData,
  encodeAssignmentData,
  type AssignmentData,
  type JoinData,
  type TaskOwner,
} from './group-user-data.ts'

/** What the assignor knows of the application, and what it is to do. */
export interface GroupAssignorOptions {
  readonly subtopologies: readonly AssignedSubtopology[]
  /** Of this process's topology, as it joins with it. */
  readonly fingerprint: string
  /** Copies of each task with logged stores, on other processes than the one that runs it. */
  readonly standbys: number
  /** Changelog records by which state may be behind and still count when the last task of a share is given out. Default 10,000, as Kafka Streams' `acceptable.recovery.lag`. */
  readonly acceptableLag?: number
}

/** A sub-topology as far as it is shared out. */
export interface AssignedSubtopology {
  readonly id: number
  readonly sourceTopics: readonly Topic[]
  /** Whether it has a store with a changelog. */
  readonly logged: boolean
}

/** Default of `acceptableLag`. */
export const ACCEPTABLE_LAG = 10_000

/** An assignor by task for `MembershipOptions.assignor`: even over all tasks and within each sub-topology, moving as few tasks as that allows. */
export function groupAssignor(options: GroupAssignorOptions): Assignor {
  return {
    name: 'millrace',
    assign: ({ members, partitionsOf }) => {
      const joined = members.map(readMember).toSorted(byProcess)
      const fingerprint = establishedFingerprint(joined) ?? options.fingerprint
      const judged = joined.map((member) => judge(member, fingerprint))
      if (fingerprint !== options.fingerprint) return keepAll(judged, fingerprint)
      return share(judged, partitionsOf, options)
    },
  }
}

interface Joined {
  readonly member: GroupMember
  /** Undefined where it cannot be read. */
  readonly data: JoinData | undefined
  readonly refused?: string
}

interface GroupTask extends PlacedTask {
  readonly partitions: readonly TopicPartition[]
}

function readMember(member: GroupMember): Joined {
  try {
    return { member, data: decodeJoinData(member.userData, member.memberId) }
  } catch (error) {
    if (!isMillraceError(error)) throw error
    // One stranger must not end the member that happens to assign.
    return { member, data: undefined, refused: error.message }
  }
}

function byProcess(a: Joined, b: Joined): number {
  return (
    compareText(a.data?.processId ?? '', b.data?.processId ?? '') ||
    compareText(a.member.memberId, b.member.memberId)
  )
}

/** By code units: a locale would make the order the machine's. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/**
 * The topology of those that work already; where nobody does, of the most; where that is even, of the
 * first. Whoever has a share has that of the last generation, unless it has been silent since: a
 * static member that is gone stays in the group for its session, and its topology with it.
 */
function establishedFingerprint(joined: readonly Joined[]): string | undefined {
  const last = Math.max(-1, ...joined.map(({ member }) => member.generation))
  const heard = joined.filter(({ member }) => member.generation < 0 || member.generation === last)
  const present = heard.flatMap(({ data, member }) =>
    data === undefined
      ? []
      : [{ ...data, owns: member.generation >= 0 && member.owned.length > 0 }],
  )
  const working = present.filter(({ owns, isIdle }) => owns && isIdle !== true)
  const counts = new Map<string, number>()
  for (const { fingerprint } of working.length > 0 ? working : present) {
    counts.set(fingerprint, (counts.get(fingerprint) ?? 0) + 1)
  }
  const most = Math.max(0, ...counts.values())
  return [...counts].find(([, count]) => count === most)?.[0]
}

function judge(joined: Joined, fingerprint: string): Joined {
  const { data, member } = joined
  if (data === undefined || data.fingerprint === fingerprint) return joined
  const version = data.version === '' ? 'no name' : JSON.stringify(data.version)
  const refused =
    `member ${member.memberId} runs another topology than its group: its source topics, its stores or its version (${version}) differ. ` +
    'Stop the processes that run the old one before the new one starts, or start it under another application id.'
  return { ...joined, refused }
}

function tasksOf(
  subtopologies: readonly AssignedSubtopology[],
  partitionsOf: (topic: Topic) => number,
): readonly (readonly GroupTask[])[] {
  return subtopologies.map(({ id, sourceTopics, logged }) => {
    const counts = sourceTopics.map((topic) => ({ topic, count: partitionsOf(topic) }))
    const most = Math.max(0, ...counts.map(({ count }) => count))
    return Array.from({ length: most }, (_, p) => ({
      key: `${id}_${p}`,
      logged,
      partitions: counts
        .filter(({ count }) => p < count)
        .map(({ topic }) => ({ topic, partition: asPartition(p) })),
    }))
  })
}

function share(
  judged: readonly Joined[],
  partitionsOf: (topic: Topic) => number,
  options: GroupAssignorOptions,
): readonly MemberAssignment[] {
  const { subtopologies, fingerprint, standbys: copies } = options
  const rows = tasksOf(subtopologies, partitionsOf)
  const accepted = judged.filter(({ refused }) => refused === undefined)
  const owners = ownersOf(rows.flat(), accepted)
  const placement = placeTasks({
    rows,
    members: accepted.map(({ data }, i) => ({
      processId: data?.processId ?? '',
      owned: owners[i] ?? new Set(),
      lags: new Map(data?.tasks.map(({ id, lag }) => [id, lag])),
      guessed: new Set(data?.tasks.filter(({ isGuess }) => isGuess).map(({ id }) => id)),
    })),
    standbys: copies,
    acceptableLag: options.acceptableLag ?? ACCEPTABLE_LAG,
  })
  const byKey = new Map(rows.flat().map((task) => [task.key, task]))
  const runs = (joined: Joined): readonly PlacedTask[] =>
    placement.active[accepted.indexOf(joined)] ?? []
  const told = tellAll(judged, (joined) => runs(joined).map(({ key }) => key))
  const topics = subtopologies.flatMap(({ sourceTopics }) => sourceTopics)
  const partitions = new Map(topics.map((topic) => [topic, partitionsOf(topic)]))
  return judged.map((joined) => ({
    memberId: joined.member.memberId,
    partitions: runs(joined).flatMap(({ key }) => byKey.get(key)?.partitions ?? []),
    userData: encodeFor(joined, {
      ...told,
      standbys: (placement.standby[accepted.indexOf(joined)] ?? []).map(({ key }) => key),
      madeFor: { memberId: joined.member.memberId, fingerprint, partitions, copies },
    }),
  }))
}

/** By member the tasks that it owns. One that two own in part, because its topics changed, belongs to who has more of it. */
function ownersOf(
  tasks: readonly GroupTask[],
  members: readonly Joined[],
): readonly ReadonlySet<string>[] {
  const claims = members.map(
    ({ member }) => new Set(member.owned.map(({ topic, partition }) => `${topic}/${partition}`)),
  )
  const owned = members.map(() => new Set<string>())
  for (const { key, partitions } of tasks) {
    const parts = claims.map(
      (claim) =>
        partitions.filter(({ topic, partition }) => claim.has(`${topic}/${partition}`)).length,
    )
    const most = Math.max(0, ...parts)
    if (most > 0) owned[parts.indexOf(most)]?.add(key)
  }
  return owned
}

/** For a member that assigns and does not know the others' tasks. Nobody inherits, so who has departed stays known until somebody does. */
function keepAll(judged: readonly Joined[], fingerprint: string): readonly MemberAssignment[] {
  const { processes, departed } = tellAll(judged, () => [])
  const data = {
    processes: [...processes, ...departed].sort(),
    departed: [],
    owners: [],
    standbys: [],
  }
  return judged.map((joined) => ({
    memberId: joined.member.memberId,
    partitions: joined.refused === undefined ? joined.member.owned : [],
    userData: encodeFor(joined, {
      ...data,
      madeFor: { memberId: joined.member.memberId, fingerprint },
    }),
  }))
}

/** What every member is told alike. */
function tellAll(
  judged: readonly Joined[],
  tasksOfMember: (joined: Joined) => readonly string[],
): Pick<AssignmentData, 'processes' | 'departed' | 'owners'> {
  const readable = judged.flatMap(({ data }) => (data === undefined ? [] : [data]))
  const processes = new Set(readable.map(({ processId }) => processId))
  const known = new Set(readable.flatMap(({ knownProcesses }) => knownProcesses))
  const owners = judged.flatMap((joined): readonly TaskOwner[] => {
    const { data, member } = joined
    const tasks = tasksOfMember(joined)
    if (data === undefined || tasks.length === 0) return []
    const { processId, clientAddress } = data
    const address = clientAddress === undefined ? {} : { address: clientAddress }
    return [{ memberId: member.memberId, processId, ...address, tasks }]
  })
  return {
    processes: [...processes].sort(),
    departed: [...known.difference(processes)].sort(),
    owners,
  }
}

function encodeFor({ refused }: Joined, data: AssignmentData): Buffer {
  return encodeAssignmentData(refused === undefined ? data : { ...data, refused })
}
