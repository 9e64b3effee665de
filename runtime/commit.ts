/**
 * How progress becomes durable. A commit round is an ordered list of steps, kept as data so that the
 * order can be read, and so that the simulation can hand over a wrong one and must find it out.
 *
 * What must never happen: offsets before outputs; LevelDB before the commit; an output of a record
 * whose offset is not in the same transaction; a send of round N+1 before N is resolved.
 *
 * The first step, seal, is synchronous with the record loop; from then on the loop goes on while the
 * round is on its way, and what it sends is held back (runtime/outputs.ts) until `release`.
 */
import type { Clock } from '../model/clock.ts'
import { sleep } from '../model/clock.ts'
import type { Offset, PartitionOffset } from '../model/position.ts'
import type { ChangelogWrite } from '../state/changelog.ts'
import type { CommittedOffset, GroupMetadata, Producer } from '../transport/transport.ts'
import { TransportError } from '../transport/errors.ts'
import type { Outputs } from './outputs.ts'

/** What a round needs of its unit. */
export interface CommitRound {
  readonly producer: Producer
  readonly outputs: Outputs
  readonly tasks: readonly CommittingTask[]
  /** Offsets of tasks that are about to begin, where none were committed before. */
  readonly extra: readonly CommittedOffset[]
  readonly clock: Clock
  /** How long an unknown outcome is asked for. */
  readonly retryMs: number
  /** Commits offsets outside a transaction: at-least-once. */
  readonly commitOffsets: (
    offsets: readonly CommittedOffset[],
    group: GroupMetadata,
  ) => Promise<void>
  /** Whose offsets they are: the member as it was when the round began. */
  readonly group: GroupMetadata
  readonly progress: RoundProgress
}

/** What the steps of one round hand to each other. */
export interface RoundProgress {
  offsets: readonly CommittedOffset[]
  /** Sealed changes that were not sent yet. */
  unlogged: readonly { readonly task: CommittingTask; readonly writes: readonly ChangelogWrite[] }[]
  /** Last acknowledged record of each partition written to. */
  acknowledged: readonly PartitionOffset[]
}

/** A task as a commit round sees it. */
export interface CommittingTask {
  /** Processors write what they kept in fields. */
  beforeCommit(): void
  /** Seals the live layer; the changes, one per key, in the order they are logged. */
  seal(): readonly ChangelogWrite[]
  /** Sends one sealed change to its changelog. */
  log(write: ChangelogWrite): void
  /** Where the inputs stand, with the metadata to store. */
  offsets(): readonly CommittedOffset[]
  /** Sealed becomes committed; `acknowledged` says how far the changelogs reach. */
  apply(acknowledged: readonly PartitionOffset[], offsets: readonly CommittedOffset[]): void
}

/** One step of a commit round. */
export interface CommitStep {
  readonly name: string
  run(round: CommitRound): void | Promise<void>
}

/** Seals every task and takes its positions. Synchronous: no record is processed in between. */
export const seal: CommitStep = {
  name: 'seal',
  run: ({ tasks, extra, outputs, progress }) => {
    for (const task of tasks) task.beforeCommit()
    progress.offsets = [...extra, ...tasks.flatMap((task) => task.offsets())]
    progress.unlogged = tasks.map((task) => ({ task, writes: task.seal() }))
    outputs.hold()
  },
}

/** Sends the sealed changes to their changelogs. */
export const logChanges: CommitStep = {
  name: 'logChanges',
  run: ({ progress }) => {
    for (const { task, writes } of progress.unlogged) {
      for (const write of writes) task.log(write)
    }
    progress.unlogged = []
  },
}

/** Waits until everything sent is acknowledged. */
export const flush: CommitStep = {
  name: 'flush',
  run: async ({ producer, progress }) => {
    progress.acknowledged = [...progress.acknowledged, ...(await producer.flush())]
  },
}

/** Puts the offsets into the transaction. */
export const sendOffsets: CommitStep = {
  name: 'sendOffsets',
  run: async ({ producer, progress, group }) => {
    if (progress.offsets.length > 0) await producer.sendOffsets(progress.offsets, group)
  },
}

/** Commits the transaction; while the outcome is unknown asks again, with the same id and epoch. */
export const commitTransaction: CommitStep = {
  name: 'commitTransaction',
  run: async ({ producer, clock, retryMs }) => {
    const deadline = clock.monotonic() + retryMs
    for (let delayMs = 5; ; delayMs = Math.min(delayMs * 2, 500)) {
      try {
        await producer.commit()
        return
      } catch (error) {
        const unknown = error instanceof TransportError && error.kind === 'retriable'
        if (!unknown || clock.monotonic() >= deadline) throw error
        await sleep(clock, delayMs)
      }
    }
  },
}

/** Commits the offsets beside any transaction. */
export const commitOffsets: CommitStep = {
  name: 'commitOffsets',
  run: async (round) => {
    const { progress, group } = round
    if (progress.offsets.length > 0) await round.commitOffsets(progress.offsets, group)
  },
}

/** Sealed becomes committed; LevelDB follows in its own time, and never gets ahead. */
export const apply: CommitStep = {
  name: 'apply',
  run: ({ tasks, progress }) => {
    for (const task of tasks) task.apply(progress.acknowledged, progress.offsets)
  },
}

/** Lets go what was sent meanwhile. */
export const release: CommitStep = {
  name: 'release',
  run: ({ outputs }) => outputs.release(),
}

/** Outputs, changes and offsets in one transaction. */
export const EXACTLY_ONCE: readonly CommitStep[] = [
  seal,
  logChanges,
  flush,
  sendOffsets,
  commitTransaction,
  apply,
  release,
]

/**
 * Outputs leave at once. Changes are logged only after the outputs they stand for are acknowledged:
 * a removal that reached the changelog while its output was lost could not be taken back.
 */
export const AT_LEAST_ONCE: readonly CommitStep[] = [
  seal,
  flush,
  logChanges,
  flush,
  commitOffsets,
  apply,
  release,
]

/** Runs a round. The first step is done when this returns its promise. */
export async function runRound(steps: readonly CommitStep[], round: CommitRound): Promise<void> {
  for (const step of steps) {
    const waiting = step.run(round)
    if (waiting !== undefined) await waiting
  }
}

/** A round that has done nothing yet. */
export function emptyProgress(): RoundProgress {
  return { offsets: [], unlogged: [], acknowledged: [] }
}

/** How far a partition reaches after a round: the offset after its last acknowledged record. */
export function reachOf(
  acknowledged: readonly PartitionOffset[],
  at: { readonly topic: string; readonly partition: number },
): Offset | undefined {
  let reach: number | undefined
  for (const { topic, partition, offset } of acknowledged) {
    if (topic === at.topic && partition === at.partition) reach = Math.max(reach ?? 0, offset + 1)
  }
  return reach as Offset | undefined
}
