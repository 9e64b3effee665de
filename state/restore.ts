/**
 * Brings stores up to date from their changelogs, or, for a table, from its source topic.
 *
 * The log is read committed, from the store's checkpoint on, until the position reaches the end that
 * was asked for: the read_uncommitted end of a changelog, for the committed offsets can be known
 * before the marker behind the last record is; the committed input offset for a table, which must not
 * run ahead of its task. Every slice is written together with the checkpoint it reaches, so a restore
 * that is interrupted goes on where it was.
 *
 * A task that is about to run need not wait for its database: what a killed process had not flushed
 * goes where it was, into the committed layer, and follows to the database with the next flush, its
 * checkpoint with it. Where that is more than the state may keep, what was kept is flushed and the
 * rest is written as it is read; so is a restore in full, from its first record on.
 *
 * A checkpoint that does not fit the log is no reason to guess: the store is cleared and restored in
 * full, and the report says why. One that knows its leader epoch is found out by the cursor where an
 * election cut the log off below it, however far the log has grown since. One that stands at the end
 * holds as of now, however old it is, and is written anew where that is long ago: the next record would
 * find it too old. One loop serves all stores of a reader, because what wakes it is the reader; between
 * batches other work of the process has its turn.
 */
import type { Clock } from '../model/clock.ts'
import { isMillraceError } from '../model/errors.ts'
import { asOffset, describePartition, type Offset, type TopicPartition } from '../model/position.ts'
import type { Cursor, FetchedBatch, Reader } from '../transport/transport.ts'
import { isStampDue, type Checkpoint, type StoredCheckpoint } from './checkpoint.ts'
import type { TaskState } from './layers.ts'
import type { LogRecord } from '../model/record.ts'

/** A store to restore, and from where. */
export interface RestoreSource extends TopicPartition {
  readonly state: TaskState
  readonly store: string
  readonly topicId: string
  /** The position to reach: records before it are applied, none after it. */
  readonly end: Offset
  /** The first offset that the log keeps, asked anew at every use, for it moves. */
  readonly earliest: () => Promise<Offset>
  /** Bytes of the key serde's prefix. */
  readonly keyPrefixLength: number
  /** The topic's `delete.retention.ms`, where it is compacted: older checkpoints may have missed a deletion. */
  readonly tombstoneRetentionMs?: number
}

/** Why a store was cleared and restored from the log's start. */
export type FullRestoreReason =
  'no-checkpoint' | 'topic-recreated' | 'beyond-end' | 'before-start' | 'too-old' | 'truncated'

/** How far a restore is. */
export interface RestoreProgress {
  readonly store: string
  /** Records applied. */
  readonly restored: number
  /** Offsets left; markers and compacted records count. */
  readonly remaining: number
}

/** What a restore did. */
export interface RestoredStore {
  readonly store: string
  readonly records: number
  readonly from: Offset
  readonly end: Offset
  /** Undefined where the checkpoint fitted. */
  readonly fullBecause: FullRestoreReason | undefined
}

/** How stores are restored. */
export interface RestoreOptions {
  /** read_committed, with no cursor open on the partitions to restore and used by nobody else meanwhile. */
  readonly reader: Reader
  readonly clock: Clock
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: RestoreProgress) => void
  /** Whether a replay may stay in the layers, as far as their limit allows: whoever sets this flushes them later. Default: all of it is in the databases at the end. */
  readonly inLayers?: boolean
}

/** Times one store may be found not to fit the log, which moves meanwhile, before that is an error. */
const FULL_RESTORES = 3
/** Part of `delete.retention.ms` after which a checkpoint counts as too old. */
const RETENTION_MARGIN = 0.9

/**
 * Restores all of `sources`; resolves with a report each, in their order. Rejects with the signal's
 * reason when it aborts; calling again goes on from what was written.
 */
export async function restoreStores(
  sources: readonly RestoreSource[],
  options: RestoreOptions,
): Promise<readonly RestoredStore[]> {
  const restores = sources.map((source) => new StoreRestore(source, options))
  try {
    for (const restore of restores) await restore.open()
    let open = restores.filter((restore) => !restore.isDone)
    while (open.length > 0) {
      let moved = false
      for (const restore of open) {
        options.signal?.throwIfAborted()
        moved = (await restore.step()) || moved
      }
      open = open.filter((restore) => !restore.isDone)
      if (moved) await options.clock.yield()
      else if (open.length > 0) await options.reader.ready(options.signal)
    }
    return restores.map((restore) => restore.report)
  } finally {
    for (const restore of restores) restore.close()
  }
}

class StoreRestore {
  readonly #source: RestoreSource
  readonly #options: RestoreOptions
  #cursor: Cursor | undefined
  #startOffset: Offset
  #position: Offset
  #leaderEpoch: number | undefined
  #restored = 0
  #fullBecause: FullRestoreReason | undefined
  #fullRestores = 0
  #inLayers: boolean

  constructor(source: RestoreSource, options: RestoreOptions) {
    this.#source = source
    this.#inLayers = options.inLayers ?? false
    this.#options = options
    this.#startOffset = asOffset(0)
    this.#position = asOffset(0)
  }

  get isDone(): boolean {
    return this.#cursor === undefined
  }

  get report(): RestoredStore {
    const { store, end } = this.#source
    const [records, from, fullBecause] = [this.#restored, this.#startOffset, this.#fullBecause]
    return { store, end, records, from, fullBecause }
  }

  async open(): Promise<void> {
    const { state, store, end } = this.#source
    const earliest = await this.#source.earliest()
    const checkpoint = state.checkpoint(store)
    const misfit = this.#misfit(checkpoint, earliest)
    if (misfit !== undefined || checkpoint === undefined) {
      await this.#startOver(misfit ?? 'no-checkpoint', earliest)
    } else {
      this.#startAt(checkpoint.offset, checkpoint.leaderEpoch)
      const nowMs = this.#options.clock.now()
      if (isStampDue(checkpoint, { end, nowMs })) {
        await state.applyRestored(store, [], this.#checkpointAt(checkpoint.offset))
      }
    }
    // A topic that was purged up to its end, or is empty, has nothing to wait for.
    if (this.#position >= end) this.#finish()
  }

  /** Applies what is buffered; false where nothing was. */
  async step(): Promise<boolean> {
    const cursor = this.#cursor
    if (cursor === undefined) return false
    let batch: FetchedBatch | undefined
    try {
      batch = cursor.take()
    } catch (error) {
      const reason = misfitOf(error)
      if (reason === undefined || ++this.#fullRestores > FULL_RESTORES) throw error
      this.close()
      await this.#startOver(reason, await this.#source.earliest())
      if (this.#position >= this.#source.end) this.#finish()
      return true
    }
    if (batch === undefined) return false
    await this.#apply(batch)
    batch.release()
    const { store, end } = this.#source
    const remaining = Math.max(0, end - this.#position)
    this.#options.onProgress?.({ store, restored: this.#restored, remaining })
    if (this.#position >= end) this.#finish()
    return true
  }

  close(): void {
    this.#cursor?.close()
    this.#cursor = undefined
  }

  #misfit(
    checkpoint: StoredCheckpoint | undefined,
    earliest: Offset,
  ): FullRestoreReason | undefined {
    const { topicId, end, tombstoneRetentionMs } = this.#source
    if (checkpoint === undefined) return 'no-checkpoint'
    if (checkpoint.topicId !== topicId) return 'topic-recreated'
    if (checkpoint.offset > end) return 'beyond-end'
    if (checkpoint.offset === end) return undefined
    if (checkpoint.offset < earliest) return 'before-start'
    const ageMs = this.#options.clock.now() - checkpoint.writtenAtMs
    const isOld =
      tombstoneRetentionMs !== undefined && ageMs > tombstoneRetentionMs * RETENTION_MARGIN
    return isOld ? 'too-old' : undefined
  }

  async #startOver(reason: FullRestoreReason, earliest: Offset): Promise<void> {
    this.#fullBecause = reason
    this.#restored = 0
    this.#inLayers = false
    await this.#source.state.clearStore(this.#source.store)
    this.#startAt(earliest, undefined)
  }

  #startAt(offset: Offset, leaderEpoch: number | undefined): void {
    const { topic, partition } = this.#source
    this.#startOffset = offset
    this.#position = offset
    this.#leaderEpoch = leaderEpoch
    this.#cursor = this.#options.reader.open({ topic, partition, offset, leaderEpoch })
  }

  #finish(): void {
    this.close()
    const { state, store } = this.#source
    state.markRestored(store, this.#checkpointAt(this.#position))
  }

  /** Keeps or writes the batch's records before the end, and how far they reach. */
  async #apply(batch: FetchedBatch): Promise<void> {
    const { state, store, end } = this.#source
    if (this.#inLayers && !state.canReplay) {
      await state.flush()
      this.#inLayers = false
    }
    // One that ended before this position would be taken for a log that was cut.
    this.#leaderEpoch = batch.leaderEpoch < 0 ? undefined : batch.leaderEpoch
    const reached = this.#checkpointAt(asOffset(Math.min(batch.nextOffset, end)))
    const writes = state.restoredWrites(store, this.#records(batch), this.#source)
    if (this.#inLayers) state.replay(store, writes, reached)
    else await state.applyRestored(store, writes, reached)
    this.#position = reached.offset
  }

  /** The batch's records before the end that have a key: one without is no entry. */
  *#records(batch: FetchedBatch): Generator<LogRecord> {
    for (const record of batch.records) {
      if (record.offset >= this.#source.end) return
      if (record.keyEnd < 0) continue
      this.#restored++
      yield record
    }
  }

  #checkpointAt(offset: Offset): Checkpoint {
    const { topicId } = this.#source
    const leaderEpoch = this.#leaderEpoch
    return leaderEpoch === undefined ? { offset, topicId } : { offset, topicId, leaderEpoch }
  }
}

function misfitOf(error: unknown): FullRestoreReason | undefined {
  if (isMillraceError(error, 'MILLRACE_OFFSET_OUT_OF_RANGE')) return 'before-start'
  if (isMillraceError(error, 'MILLRACE_LOG_TRUNCATED')) return 'truncated'
  return undefined
}

/** A full restore as a sentence for a log. */
export function describeFullRestore(source: RestoreSource, reason: FullRestoreReason): string {
  const why: Readonly<Record<FullRestoreReason, string>> = {
    'no-checkpoint': 'nothing of it is on this machine',
    'topic-recreated': 'the topic was deleted and created again',
    'beyond-end': 'the state here is ahead of the log',
    'before-start': 'the log does not go back to what the state here reflects',
    'too-old': 'the state here is so old that deletions may be gone from the log',
    truncated: 'the log lost records that the state here reflects',
  }
  return `store ${source.store} is restored in full from ${describePartition(source)}: ${why[reason]}`
}
