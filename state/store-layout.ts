/**
 * How one kind of store lies in its task's layers, where that is not one entry per changelog record.
 * Kafka Streams finds a window by iterating over a range of keys; the record loop here cannot wait for
 * an iterator, so stores with times pack and order their entries for point reads. Their changelogs
 * keep Kafka Streams' shape all the same: a layout turns entries into records and back.
 *
 * The rule: changes are what differs between the entry that a commit leaves and the one that was
 * committed before, so nothing has to be remembered beside the layers and an abort forgets all.
 * Rejected: a list of changes beside the live layer, which would hold every value twice.
 */
import type { TopicPartition } from '../model/position.ts'
import type { LogRecord } from '../model/record.ts'
import type { ChangelogWrite } from './changelog.ts'
import type { DatabaseWrite } from './store.ts'
import type { Cell } from './store-layers.ts'

/** Reads an entry of the store; keys are without the store's prefix. */
export type ReadEntry = (key: Buffer) => Buffer | undefined

/** What a commit leaves at one key. */
export interface SealedCell {
  readonly store: string
  /** The key's bytes as latin1, as the layers have it. */
  readonly text: string
  readonly cell: Cell
  /** What was committed under a key. */
  readonly before: (text: string) => Buffer | undefined
}

/** What a changelog's records are turned back with. */
export interface RestoredOver extends TopicPartition {
  /** Bytes of the key serde's prefix. */
  readonly keyPrefixLength: number
  /** The database, as it is before any of the writes that are given. */
  readonly read: ReadEntry
}

/** How one kind of store lies in the layers. */
export interface StoreLayout {
  /** Adds what differs. To a list that is there: a generator, or a list of its own, costs more than the one change that there mostly is. */
  addChanges(sealed: SealedCell, to: ChangelogWrite[]): void
  /**
   * Records of the changelog as writes of the database, keys without the store's prefix, in buffers
   * of their own. Records that it reflects already change nothing. Throws MILLRACE_CHANGELOG_CORRUPT.
   */
  restored(records: Iterable<LogRecord>, over: RestoredOver): Iterable<DatabaseWrite>
  /** The key below which nothing can be seen any more, by what `read` finds, so that it may go. */
  expiredBelow(read: ReadEntry): Buffer
  /** The key from which on there is nothing, by what `read` finds: who asks for it need not look. */
  emptyFrom(read: ReadEntry): Buffer
}
