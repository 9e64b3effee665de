/**
 * A Reader over any log that can answer "one fetch of one partition": byte-bounded, fair, and never
 * starving a cursor.
 *
 * - One fetch in flight per cursor. Each reserves the bytes it may bring, so that several at once
 *   cannot pass the budget together.
 * - A cursor with an empty queue always fetches, if need be one batch beyond the budget. Else a join
 *   that waits for a partition which the budget starves would never end. The bound is therefore
 *   prefetchBytes + cursors x largest batch.
 * - What is left of the budget goes to the cursor with the fewest bytes, up to its share among those
 *   that have something to read: a caught-up partition keeps nothing from the others.
 *
 * Nothing polls: a cursor that reached the end sleeps until the log says that its partition changed.
 * A retriable error is tried again for as long as the cursor is open, at growing intervals: a reader
 * has nothing better to do than to wait for its log.
 */
import assert from 'node:assert/strict'
import type { Clock, Timer } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import {
  describePartition,
  type Offset,
  type PartitionOffset,
  type TopicPartition,
} from '../model/position.ts'
import { TransportError } from './errors.ts'
import { logClosed } from './log-errors.ts'
import { PrefetchedCursor } from './prefetched-cursor.ts'
import { ReadySignal } from './ready-signal.ts'
import type {
  Cursor,
  CursorStart,
  FetchedBatch,
  FoundRecord,
  Isolation,
  Reader,
  ReaderOptions,
} from './transport.ts'

/** Bytes one fetch asks for at most; a larger batch still comes whole. */
export const FETCH_MAX_BYTES = 1024 * 1024
/** Delay before the first retry of a fetch; it doubles with each further one. */
export const FETCH_RETRY_MIN_MS = 20
/** Largest delay between two retries of a fetch. */
export const FETCH_RETRY_MAX_MS = 1_000

/** What is asked of a partition. */
export interface FetchRequest extends PartitionOffset {
  readonly isolation: Isolation
  /** The answer holds no more batches than fit, but always one where there is one: 0 means exactly one. */
  readonly maxBytes: number
  /** The topic's id when the cursor was opened; another one now is MILLRACE_UNKNOWN_PARTITION. */
  readonly topicId: string
  /** Leader epoch of the record before `offset`, where this cursor read it or was told; an epoch that ends below `offset` is MILLRACE_LOG_TRUNCATED. */
  readonly leaderEpoch: number | undefined
}

/** What a partition answers at once: the batch at that offset, none at the end of what the isolation shows. */
export interface FetchAnswer {
  readonly batch: FetchedBatch | undefined
  readonly lastStableOffset: Offset
}

/** A log as the prefetching reader sees it. */
export interface PartitionSource {
  /** The topic's id, undefined where the partition is unknown. */
  topicId(of: TopicPartition): string | undefined
  /** Answers without waiting for data. The signal aborts when the reader closes. Throws what a Cursor throws. */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>
  /** As Reader.readAt. */
  readAt(at: PartitionOffset, signal?: AbortSignal): Promise<FoundRecord | undefined>
  /** Calls `onChange` after every append, marker, purge or deletion of a partition, until the returned function is called. */
  watch(of: TopicPartition, onChange: () => void): () => void
}

/** How a prefetching reader comes to its batches. */
export interface PrefetchOptions extends ReaderOptions {
  readonly source: PartitionSource
  /** Times the retries. */
  readonly clock: Clock
  /** Called once, when the reader closes. */
  readonly onClose?: () => void
}

/** Fetches ahead from a PartitionSource. */
export class PrefetchingReader implements Reader {
  readonly #options: PrefetchOptions
  readonly #cursors = new Map<string, PrefetchedCursor>()
  readonly #ready = new ReadySignal()
  readonly #inFlight = new Set<Promise<void>>()
  readonly #retries = new Map<PrefetchedCursor, Timer>()
  readonly #closing = new AbortController()
  #bufferedBytes = 0
  #reservedBytes = 0

  constructor(options: PrefetchOptions) {
    this.#options = options
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  open(at: CursorStart): Cursor {
    const name = describePartition(at)
    assert(!this.#closing.signal.aborted, 'the reader is closed')
    assert(!this.#cursors.has(name), `${name} has a cursor already`)
    const { source } = this.#options
    const cursor: PrefetchedCursor = new PrefetchedCursor(at, {
      topicId: source.topicId(at) ?? '',
      onTake: (batch) => this.#taken(cursor, batch),
      onClose: () => this.#closed(cursor),
    })
    cursor.unwatch = source.watch(at, () => {
      cursor.idle = false
      cursor.changed = true
      this.#pump()
    })
    this.#cursors.set(name, cursor)
    this.#pump()
    return cursor
  }

  ready(signal?: AbortSignal): Promise<void> {
    return this.#ready.wait(signal)
  }

  readAt(at: PartitionOffset, signal?: AbortSignal): Promise<FoundRecord | undefined> {
    if (signal?.aborted === true) return Promise.reject(asError(signal.reason))
    if (this.#closing.signal.aborted) return Promise.reject(logClosed('reader'))
    return this.#options.source.readAt(at, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    const closed = logClosed('reader')
    this.#closing.abort(closed)
    for (const cursor of this.#cursors.values()) cursor.close()
    this.#ready.close(closed)
    await Promise.all(this.#inFlight)
    this.#options.onClose?.()
  }

  /** Starts every fetch that the rules at the top of this file allow now. */
  #pump(): void {
    if (this.#closing.signal.aborted) return
    const active = [...this.#cursors.values()].filter((cursor) => cursor.isActive)
    if (active.length === 0) return
    const share = Math.floor(this.#options.prefetchBytes / active.length)
    const wanting = active.filter((cursor) => cursor.mayFetch)
    wanting.sort((a, b) => a.queuedBytes - b.queuedBytes)
    for (const cursor of wanting) {
      const left = this.#options.prefetchBytes - this.#bufferedBytes - this.#reservedBytes
      const maxBytes = Math.max(0, Math.min(left, share - cursor.queuedBytes, FETCH_MAX_BYTES))
      // A source that fails at once has pumped again before this loop goes on.
      if (cursor.mayFetch && (maxBytes > 0 || cursor.isEmpty)) this.#launch(cursor, maxBytes)
    }
  }

  #launch(cursor: PrefetchedCursor, maxBytes: number): void {
    cursor.fetching = true
    cursor.changed = false
    this.#reservedBytes += maxBytes
    const fetch = this.#fetch(cursor, maxBytes)
    this.#inFlight.add(fetch)
    void fetch.finally(() => this.#inFlight.delete(fetch))
  }

  /** Never rejects: what goes wrong is kept for the cursor's next take. */
  async #fetch(cursor: PrefetchedCursor, maxBytes: number): Promise<void> {
    const { source, isolation } = this.#options
    const { topic, partition, topicId, fetchOffset: offset, leaderEpoch } = cursor
    try {
      const answer = await source.fetch(
        { topic, partition, offset, topicId, leaderEpoch, isolation, maxBytes },
        this.#closing.signal,
      )
      this.#accept(cursor, answer)
    } catch (error) {
      this.#refused(cursor, asError(error))
    } finally {
      this.#reservedBytes -= maxBytes
      cursor.fetching = false
      this.#pump()
    }
  }

  #accept(cursor: PrefetchedCursor, { batch, lastStableOffset }: FetchAnswer): void {
    if (cursor.isClosed) {
      batch?.release()
      return
    }
    cursor.retries = 0
    const moved = cursor.lastStableOffset !== lastStableOffset
    cursor.lastStableOffset = lastStableOffset
    if (batch === undefined) {
      cursor.idle = !cursor.changed
    } else {
      cursor.push(batch)
      this.#bufferedBytes += batch.sizeBytes
    }
    if (moved || batch !== undefined) this.#ready.announce()
  }

  #refused(cursor: PrefetchedCursor, error: Error): void {
    if (cursor.isClosed) return
    if (error instanceof TransportError && error.kind === 'retriable') {
      const delayMs = Math.min(FETCH_RETRY_MAX_MS, FETCH_RETRY_MIN_MS * 2 ** cursor.retries)
      cursor.retries += 1
      cursor.backingOff = true
      const retry = this.#options.clock.timer(delayMs, () => {
        this.#retries.delete(cursor)
        cursor.backingOff = false
        this.#pump()
      })
      this.#retries.set(cursor, retry)
      return
    }
    cursor.failure = error
    this.#ready.announce()
  }

  #taken(cursor: PrefetchedCursor, batch: FetchedBatch): void {
    this.#bufferedBytes -= batch.sizeBytes
    // A caller that takes one batch of two and then waits must be woken for the second.
    if (!cursor.isEmpty || cursor.failure !== undefined) this.#ready.announce()
    this.#pump()
  }

  #closed(cursor: PrefetchedCursor): void {
    this.#cursors.delete(describePartition(cursor))
    this.#bufferedBytes -= cursor.queuedBytes
    this.#retries.get(cursor)?.cancel()
    this.#retries.delete(cursor)
    this.#pump()
  }
}
