/**
 * Which member gets which task. First how many of each sub-topology (group-shares.ts), then which:
 * an owner keeps its tasks as far as its share goes; the others go to members that have the state
 * already, or nearly; the rest wherever there is room. Copies on other processes follow.
 *
 * Everything goes by position: members and tasks come sorted, ties go to the first, so that whoever
 * computes it gets the same. And what is owned according to an answer is kept by the next answer
 * for the same members: a rebalance ends.
 */
import type { TaskKey } from './group-user-data.ts'
import { sharesOf } from './group-shares.ts'

/** A task to be placed. */
export interface PlacedTask {
  readonly key: TaskKey
  /** Whether its stores have changelogs: only then is a copy worth something. */
  readonly logged: boolean
}

/** A member that takes part. */
export interface PlacedMember {
  readonly processId: string
  readonly owned: ReadonlySet<TaskKey>
  /** How far behind its state of a task is, for tasks on its disk. */
  readonly lags: ReadonlyMap<TaskKey, number>
  /** Those of them whose lag nobody has looked at. */
  readonly guessed: ReadonlySet<TaskKey>
}

/** What is placed, and how. */
export interface PlacementRequest {
  /** Sorted; all tasks of a sub-topology are one row. */
  readonly rows: readonly (readonly PlacedTask[])[]
  /** Sorted. */
  readonly members: readonly PlacedMember[]
  /** Copies of each task beside the one that runs. */
  readonly standbys: number
  /** State that is behind by more than this earns its member no larger share. */
  readonly acceptableLag: number
}

/** By member, in the order of the request. */
export interface Placement {
  readonly active: readonly (readonly PlacedTask[])[]
  readonly standby: readonly (readonly PlacedTask[])[]
}

/** Places every task on one member, and its copies on other processes. */
export function placeTasks(request: PlacementRequest): Placement {
  const { rows, members } = request
  const active = members.map((): PlacedTask[] => [])
  if (members.length === 0) return { active, standby: [] }
  const shares = sharesOf({
    sizes: rows.map((row) => row.length),
    members: members.length,
    gain: (row, member) => gainOf(row, member, request),
  })
  for (const [i, row] of rows.entries()) {
    for (const [task, member] of placeRow(row, shares[i] ?? [], request)) active[member]?.push(task)
  }
  return { active, standby: placeStandbys(active, request) }
}

/** What state without any lag is worth; state at the acceptable lag is worth 1. */
const MOST_WARMTH = 10

/** One more task of a row: worth most where it is one that the member owns, little where its state is there. */
function gainOf(row: number, member: number, { rows, members, acceptableLag }: PlacementRequest) {
  const tasks = rows[row] ?? []
  const floor = Math.floor(tasks.length / members.length)
  const self = members[member]
  if (self === undefined) return 0
  const owned = tasks.filter(({ key }) => self.owned.has(key)).length
  // Larger than all small gains together, of which there is one a cell: no warm state is worth a move.
  if (owned > floor) return rows.length * members.length * MOST_WARMTH + 1
  const warmth = tasks
    .filter(({ key }) => !members.some(({ owned: has }) => has.has(key)))
    .map(({ key }) => (self.lags.get(key) ?? Infinity) / (acceptableLag + 1))
    .filter((part) => part < 1)
    .map((part) => Math.ceil((1 - part) * MOST_WARMTH))
  return warmth.sort((a, b) => b - a)[floor - owned] ?? 0
}

function placeRow(
  row: readonly PlacedTask[],
  shares: readonly number[],
  request: PlacementRequest,
): ReadonlyMap<PlacedTask, number> {
  const { members } = request
  const placed = new Map<PlacedTask, number>()
  const room = [...shares]
  const put = (task: PlacedTask, member: number): void => {
    placed.set(task, member)
    room[member] = (room[member] ?? 0) - 1
  }
  for (const [i, { owned }] of members.entries()) {
    const keep = row.filter(({ key }) => owned.has(key)).toSorted(easiestLast(i, request))
    for (const task of keep.slice(0, shares[i])) put(task, i)
  }
  for (const { task, member } of nearest(row, members)) {
    if (!placed.has(task) && (room[member] ?? 0) > 0) put(task, member)
  }
  for (const task of row) {
    if (!placed.has(task)) put(task, room.indexOf(Math.max(...room)))
  }
  return placed
}

/** A member that must give some up gives those that another has ready. */
function easiestLast(self: number, { members, acceptableLag }: PlacementRequest) {
  const isReady = ({ key }: PlacedTask): number =>
    members.some(({ lags }, i) => i !== self && (lags.get(key) ?? Infinity) <= acceptableLag)
      ? 1
      : 0
  return (a: PlacedTask, b: PlacedTask): number => isReady(a) - isReady(b)
}

/** Every task with every member that has state of it, the nearest first. */
function nearest(row: readonly PlacedTask[], members: readonly PlacedMember[]) {
  const pairs = row.flatMap((task) =>
    members.flatMap((self, member) =>
      self.lags.has(task.key) ? [{ task, member, distance: distanceOf(task, self) }] : [],
    ),
  )
  return pairs.toSorted((a, b) => compare(a.distance, b.distance))
}

/** How far a member's state of a task is away. A copy that follows comes before what was left over: that may be behind by anything. */
function distanceOf({ key }: PlacedTask, self: PlacedMember | undefined): readonly number[] {
  const lag = self?.lags.get(key)
  if (lag === undefined) return [2, 0]
  return [self?.guessed.has(key) === true ? 1 : 0, lag]
}

/** Copies go to processes that have neither the task nor a copy: where the state is nearest, else where copies are fewest. */
function placeStandbys(
  active: readonly (readonly PlacedTask[])[],
  { rows, members, standbys }: PlacementRequest,
): readonly (readonly PlacedTask[])[] {
  const copies = members.map((): PlacedTask[] => [])
  const tasks = rows.flat().filter(({ logged }) => logged)
  const most = Math.ceil((tasks.length * standbys) / members.length)
  const runsOn = new Map(active.flatMap((own, i) => own.map((task) => [task, i] as const)))
  for (const task of tasks) {
    const taken = new Set([members[runsOn.get(task) ?? -1]?.processId])
    for (let n = 0; n < standbys; n += 1) {
      const free = [...members.keys()].filter((i) => !taken.has(members[i]?.processId))
      const rank = (i: number): number[] => {
        const count = copies[i]?.length ?? 0
        return [count < most ? 0 : 1, ...distanceOf(task, members[i]), count]
      }
      const [best] = free.toSorted((a, b) => compare(rank(a), rank(b)))
      if (best === undefined) break
      copies[best]?.push(task)
      taken.add(members[best]?.processId)
    }
  }
  return copies
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, one] of a.entries()) {
    const other = b[i] ?? 0
    if (one !== other) return one < other ? -1 : 1
  }
  return 0
}
