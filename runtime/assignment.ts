/**
 * Who owns what. In a group its members agree on it (runtime/group-share.ts). In static mode there is
 * no group, and each process is told its share. Unit i of N owns every task (sub-topology, p) with p mod N = i,
 * so that the N units cover every task of every sub-topology, also of those with fewer or more
 * partitions than the largest source.
 */
import { asPartition, type Partition, type Topic } from '../model/position.ts'
import { MillraceError } from '../model/errors.ts'
import type { Subtopology } from '../topology/graph.ts'

/** Which program wrote an offset, and under which transactional id. */
export interface OffsetWriter {
  readonly mode: 'static' | 'group'
  readonly transactionalId: string
}

/** The share of this process. `of` defaults to the topology's largest partition count, `units` to all of them. */
export interface StaticAssignment {
  readonly kind: 'static'
  readonly units?: readonly number[]
  readonly of?: number
}

/** A share that the processes of a group agree on, and that changes when one comes or goes. */
export interface GroupAssignment {
  readonly kind: 'group'
  /** A name that outlives this process: when it comes back under it in time, its tasks are still its own. */
  readonly instanceId?: string
  /** Copies of each task's state that other processes keep up to date. Default 0. */
  readonly standbys?: number
  /** Where this process can be asked, as `host:port`: the members of the group tell it each other. */
  readonly address?: string
  /**
   * A name for what the code does. A process whose group names another one is refused; without it,
   * source topics and stores alone are compared.
   */
  readonly version?: string
}

/** One task: a sub-topology on one partition. */
export interface TaskId {
  readonly subtopology: Subtopology
  readonly partition: Partition
}

/** One commit unit: its number, its tasks, and the id under which it writes. */
export interface UnitAssignment {
  readonly unit: number
  readonly of: number
  readonly transactionalId: string
  readonly tasks: readonly TaskId[]
}

/** `<subtopology>_<partition>`, as Kafka Streams writes it. */
export function describeTask({ subtopology, partition }: TaskId): string {
  return `${subtopology.id}_${partition}`
}

/** Every task there is, of every sub-topology. */
export function allTasks(
  subtopologies: readonly Subtopology[],
  partitionsOf: (topic: Topic) => number,
): readonly TaskId[] {
  return subtopologies.flatMap((subtopology) => {
    const count = Math.max(0, ...subtopology.sourceTopics.map(partitionsOf))
    return partitionsOfUnit(count, 0, 1).map((partition) => ({ subtopology, partition }))
  })
}

/** The units of this process. `partitionCount` answers for the sub-topology's largest source. */
export function assignStatically(request: {
  readonly application: string
  readonly subtopologies: readonly Subtopology[]
  readonly partitionCount: (subtopology: Subtopology) => number
  readonly assignment: StaticAssignment
}): readonly UnitAssignment[] {
  const { application, subtopologies, partitionCount, assignment } = request
  const largest = Math.max(1, ...subtopologies.map(partitionCount))
  const of = assignment.of ?? largest
  const units = assignment.units ?? Array.from({ length: of }, (_, unit) => unit)
  for (const unit of units) checkUnit(unit, of)
  return units.map((unit) => ({
    unit,
    of,
    transactionalId: `${application}-${unit}`,
    tasks: subtopologies.flatMap((subtopology) =>
      partitionsOfUnit(partitionCount(subtopology), unit, of).map((partition) => ({
        subtopology,
        partition,
      })),
    ),
  }))
}

function partitionsOfUnit(count: number, unit: number, of: number): Partition[] {
  const owned: Partition[] = []
  for (let partition = unit; partition < count; partition += of) owned.push(asPartition(partition))
  return owned
}

function checkUnit(unit: number, of: number): void {
  if (Number.isSafeInteger(unit) && unit >= 0 && unit < of) return
  throw new MillraceError(
    'MILLRACE_NO_SUCH_PARTITION',
    `partition ${unit} does not exist: this topology runs as ${of} (0 to ${of - 1}). ` +
      'Start it with one of these, or say how many processes there are with --of.',
  )
}
