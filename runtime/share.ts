/**
 * What a commit unit has to run, and for whom it commits. In static mode that is told once
 * (StaticShare); in a group it changes while the unit runs (runtime/group-share.ts). Who runs it
 * holds the share: it is asked for, and told, through `ShareHolder`.
 */
import type { GroupMetadata } from '../transport/transport.ts'
import type { TaskId } from './assignment.ts'

/** What is to run, as it is now. */
export interface Share extends AsyncDisposable {
  /** Undefined while it is not known yet. */
  readonly active: readonly TaskId[] | undefined
  /** Tasks whose state is to follow its changelogs here, for the day their owner is gone. */
  readonly standby: readonly TaskId[]
  /** On whose behalf offsets are committed. Throws MILLRACE_GROUP_LOST where the group has put this member out, and what ended the membership where that is over. */
  readonly group: GroupMetadata
  /** Until when, by the clock's monotonic time, nobody else can have what is to run. */
  readonly aliveUntilMs: number
  /** Transactional ids of processes that have left, until they are fenced. */
  readonly departed: readonly string[]
  fenced(transactionalIds: readonly string[]): void
  isAlive(transactionalId: string): boolean
  /** From here on this holder is told; before it began nothing ran, and after `release` nothing does. */
  hold(holder: ShareHolder): void
  release(): void
  /** Gives the share back: nothing of it runs any more. */
  leave(): Promise<void>
}

/** Who runs what the share says. */
export interface ShareHolder {
  /** The members are about to change: finish the commit on its way and begin none until `changed`. */
  joining(): Promise<void>
  /** Resolves when nothing runs any more that the share does not name. */
  trimmed(): Promise<void>
  /** The share is that of a new generation. */
  changed(): void
  /** The share is lost: what it did and has not committed must be forgotten. Resolves when it is. */
  lost(error: Error): Promise<void>
  /** Changelog records that a standby's copy was behind when it was last looked; undefined where that is not known. */
  lagOf(task: string): number | undefined
  /** There will be no more share. */
  failed(error: Error): void
}

/** A share that never changes. */
export class StaticShare implements Share {
  readonly active: readonly TaskId[]
  readonly standby: readonly TaskId[] = []
  readonly group: GroupMetadata
  readonly departed: readonly string[] = []
  readonly aliveUntilMs = Infinity

  constructor(groupId: string, tasks: readonly TaskId[]) {
    this.active = tasks
    this.group = { groupId, generation: -1, memberId: '' }
  }

  isAlive(): boolean {
    return false
  }

  fenced(): void {}

  hold(): void {}

  release(): void {}

  async leave(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
