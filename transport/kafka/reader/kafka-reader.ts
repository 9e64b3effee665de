/**
 * Reads from Kafka: cursors by hand, fetched ahead within a budget of bytes.
 *
 * It keeps the promises of transport/prefetch.ts by other means. There each cursor fetches for itself
 * and a log says when something changed; a broker wants one request for all partitions that it leads,
 * and says that something changed by answering it. So the loop here belongs to a broker
 * (broker-fetcher.ts), what it asks for is planned from the state of all cursors (fetch-plan.ts), and
 * this file holds what they share: the budget, the news, the way back to a leader.
 * docs/decisions/kafka-reader.md has the reasons.
 */
import assert from 'node:assert/strict'
import { asError } from '../../../model/errors.ts'
import { describePartition, type PartitionOffset } from '../../../model/position.ts'
import { logClosed } from '../../log-errors.ts'
import { ReadySignal } from '../../ready-signal.ts'
import type { Cursor, CursorStart, FoundRecord, Reader, ReaderOptions } from '../../transport.ts'
import { BrokerFetcher, type FetcherOwner } from './broker-fetcher.ts'
import type { FetchCluster, FetchLane } from './fetch-cluster.ts'
import { FETCH_LIMITS, type FetchLimits } from './fetch-limits.ts'
import type { FetchBudget } from './fetch-plan.ts'
import type { Received } from './fetched-partition.ts'
import { KafkaCursor, type CursorReader } from './kafka-cursor.ts'
import { LeaderSearch } from './leader-search.ts'
import { isRetriable } from '../limits.ts'
import { PointReads } from './point-reads.ts'
import { askRange } from './range-question.ts'
import { ResponseBuffers } from './response-buffers.ts'

/** How a reader of Kafka is made. */
export interface KafkaReaderOptions extends ReaderOptions {
  readonly cluster: FetchCluster
  readonly limits?: Partial<FetchLimits>
  /** The rack or zone of this process: a replica there is read instead of the leader, where brokers allow it. */
  readonly rack?: string | undefined
  /** Called once, when the reader closes. */
  readonly onClose?: () => void
}

/** Of the budget, what a request that only waits for news may hold. */
const POLL_SHARE = 1 / 8

/** A reader over a cluster. */
export class KafkaReader implements Reader, CursorReader, FetcherOwner {
  readonly limits: FetchLimits
  readonly #options: KafkaReaderOptions
  readonly #cursors = new Map<string, KafkaCursor>()
  readonly #fetchers = new Map<number, BrokerFetcher>()
  readonly #closing = new AbortController()
  readonly #ready = new ReadySignal()
  readonly #buffers: ResponseBuffers
  readonly #search: LeaderSearch
  readonly #lanes: {
    readonly main: FetchLane
    readonly beside: FetchLane
    readonly single: FetchLane
  }
  readonly #points: PointReads
  /** Questions about offsets out of range. */
  readonly #asking = new Set<Promise<void>>()
  #bufferedBytes = 0
  #reservedBytes = 0
  #isPumpDue = false

  constructor(options: KafkaReaderOptions) {
    this.#options = options
    this.limits = { ...FETCH_LIMITS, ...options.limits }
    const { cluster } = options
    const { signal } = this.#closing
    this.#buffers = new ResponseBuffers(this.limits.pooledBytes)
    this.#lanes = {
      main: cluster.openLane('fetch'),
      beside: cluster.openLane('fetch beside a poll'),
      single: cluster.openLane('single records'),
    }
    this.#search = new LeaderSearch({
      cluster,
      limits: this.limits,
      signal,
      onSettled: (cursor) => {
        if (cursor.state === 'stopped') this.#ready.announce()
        this.#pumpSoon()
      },
    })
    this.#points = new PointReads({
      cluster,
      limits: this.limits,
      lane: this.#lanes.single,
      signal,
    })
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  open(at: CursorStart): Cursor {
    const name = describePartition(at)
    assert(!this.#closing.signal.aborted, 'the reader is closed')
    assert(!this.#cursors.has(name), `${name} has a cursor already`)
    const cursor = new KafkaCursor(at, this)
    this.#cursors.set(name, cursor)
    this.#search.locate(cursor)
    return cursor
  }

  ready(signal?: AbortSignal): Promise<void> {
    return this.#ready.wait(signal)
  }

  readAt(at: PartitionOffset, signal?: AbortSignal): Promise<FoundRecord | undefined> {
    if (signal?.aborted === true) return Promise.reject(asError(signal.reason))
    if (this.#closing.signal.aborted) return Promise.reject(logClosed('reader'))
    return this.#points.read(at, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    const closed = logClosed('reader')
    this.#closing.abort(closed)
    for (const cursor of this.#cursors.values()) cursor.close()
    this.#ready.close(closed)
    const single = this.#points.close(closed)
    const { cluster, onClose } = this.#options
    await Promise.all(Object.values(this.#lanes).map((lane) => cluster.closeLane(lane)))
    await Promise.all([...this.#fetchers.values()].map((fetcher) => fetcher.settle()))
    await Promise.all([...this.#asking, single])
    onClose?.()
  }

  // ------------------------------------------------------------------ what cursors ask of it

  topicIdOf(cursor: KafkaCursor): string | undefined {
    return this.#options.cluster.metadata.known(cursor)?.topicId
  }

  onTake(cursor: KafkaCursor, queuedBytes: number): void {
    this.#bufferedBytes -= queuedBytes
    // A caller that takes one batch of two and then waits must be woken for the second.
    if (!cursor.isEmpty || cursor.failure !== undefined) this.#ready.announce()
    this.#pumpSoon()
  }

  onClose(cursor: KafkaCursor): void {
    this.#cursors.delete(describePartition(cursor))
    this.#bufferedBytes -= cursor.queuedBytes
    this.#pumpSoon()
  }

  // ----------------------------------------------------------------- what fetchers ask of it

  cursorsAt(node: number): readonly KafkaCursor[] {
    const nowMs = this.#options.cluster.clock.monotonic()
    return [...this.#cursors.values()].filter((cursor) => cursor.node(nowMs) === node)
  }

  budget(): FetchBudget {
    const { prefetchBytes } = this.#options
    let active = 0
    for (const { ahead, isEmpty, state } of this.#cursors.values()) {
      if (!isEmpty || (ahead !== 'nothing' && state !== 'stopped')) active += 1
    }
    return {
      leftBytes: prefetchBytes - this.#bufferedBytes - this.#reservedBytes,
      shareBytes: Math.floor(prefetchBytes / Math.max(1, active)),
      evenShareBytes: Math.floor(prefetchBytes / Math.max(1, this.#cursors.size)),
      pollBytes: Math.floor(prefetchBytes * POLL_SHARE),
    }
  }

  reserve(bytes: number): void {
    this.#reservedBytes += bytes
  }

  onReceived(cursor: KafkaCursor, { next, isNews, queuedBytes }: Received): void {
    this.#bufferedBytes += queuedBytes
    if (isNews) this.#ready.announce()
    if (next === 'relocate') this.#search.relocate(cursor)
    else if (next === 'rest') this.#search.rest(cursor)
    else if (next === 'ask') this.#askRange(cursor)
  }

  onRefused(cursor: KafkaCursor, error: Error): void {
    if (isRetriable(error)) this.#search.relocate(cursor)
    else this.#fail(cursor, error)
  }

  onAnswered(): void {
    this.#pump()
  }

  // --------------------------------------------------------------------------------- its own

  /** Once for all that is taken or opened in one turn. */
  #pumpSoon(): void {
    if (this.#isPumpDue) return
    this.#isPumpDue = true
    queueMicrotask(() => {
      this.#isPumpDue = false
      this.#pump()
    })
  }

  /** Lets every broker that has a cursor to fetch send what the budget allows. */
  #pump(): void {
    if (this.#closing.signal.aborted) return
    const nowMs = this.#options.cluster.clock.monotonic()
    const nodes = new Set<number>()
    for (const cursor of this.#cursors.values()) {
      const node = cursor.state === 'ready' ? cursor.node(nowMs) : undefined
      if (node !== undefined) nodes.add(node)
    }
    for (const node of nodes) this.#fetcher(node).pump()
  }

  #fetcher(node: number): BrokerFetcher {
    let fetcher = this.#fetchers.get(node)
    if (fetcher === undefined) {
      const { cluster, isolation, rack = '' } = this.#options
      fetcher = new BrokerFetcher(node, {
        cluster,
        limits: this.limits,
        buffers: this.#buffers,
        lanes: this.#lanes,
        seesAll: isolation === 'read_uncommitted',
        rack,
        signal: this.#closing.signal,
        owner: this,
      })
      this.#fetchers.set(node, fetcher)
    }
    return fetcher
  }

  #askRange(cursor: KafkaCursor): void {
    cursor.state = 'asking'
    const asking = this.#findRange(cursor)
    this.#asking.add(asking)
    void asking.finally(() => this.#asking.delete(asking))
  }

  /** Never rejects. */
  async #findRange(cursor: KafkaCursor): Promise<void> {
    const { signal } = this.#closing
    const setting = {
      lane: this.#lanes.single,
      node: cursor.leader?.node ?? -1,
      deadlineMs: this.limits.requestDeadlineMs,
      signal,
    }
    let problem: Error | undefined
    try {
      problem = await askRange(cursor, setting)
    } catch (error) {
      problem = asError(error)
    }
    if (cursor.state !== 'asking' || signal.aborted) return
    if (problem === undefined || isRetriable(problem)) this.#search.relocate(cursor)
    else this.#fail(cursor, problem)
  }

  #fail(cursor: KafkaCursor, error: Error): void {
    cursor.fail(error)
    this.#ready.announce()
  }
}
