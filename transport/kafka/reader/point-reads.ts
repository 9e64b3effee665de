/**
 * Reads of single records by their offsets, beside all cursors and on connections of their own.
 *
 * A fetch with a limit of one byte brings exactly the batch that has the offset, and nothing of what
 * follows. Offsets of one partition that wait together are fetched together: those in one batch at no
 * cost, neighbours of large batches by a limit that fits them. A bounded number of such requests is
 * under way at a time, partitions in turn; how many wait for theirs is up to those who ask.
 *
 * An answer without a batch is not the end of the log: a leader that was just elected does not show
 * yet all that it has (KIP-207). Whoever asked would take its record for lost, so the end is asked for
 * first. What a fetch says of the high watermark beside its records is no answer, for it is behind too.
 */
import { asError } from '../../../model/errors.ts'
import {
  describePartition,
  type PartitionOffset,
  type TopicPartition,
} from '../../../model/position.ts'
import type { FoundRecord } from '../../transport.ts'
import { FETCH, type FetchedPartition } from '../api/fetch.ts'
import { LATEST } from '../api/list-offsets.ts'
import { CODE, refused } from '../error-codes.ts'
import type { FetchCluster, FetchLane } from './fetch-cluster.ts'
import type { FetchLimits } from './fetch-limits.ts'
import { FetchDoubt } from './fetch-doubt.ts'
import { sessionless } from './fetch-session.ts'
import { findRecords } from './find-records.ts'
import { isRetriable, retryDelayMs } from '../limits.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'
import { listedOffset, type QuestionSetting } from './range-question.ts'
import { WantedOffsets, type Waiter, type WantedGroup } from './wanted-offsets.ts'

/** What single reads need. */
export interface PointSetting {
  readonly cluster: FetchCluster
  readonly limits: FetchLimits
  readonly lane: FetchLane
  /** Aborts when the reader closes. */
  readonly signal: AbortSignal
}

/** The single reads of one reader. */
export class PointReads {
  readonly #setting: PointSetting
  readonly #partitions = new Map<string, WantedOffsets>()
  /** Partitions whose leader is known and that have offsets to fetch. */
  readonly #line: WantedOffsets[] = []
  readonly #running = new Set<Promise<void>>()

  constructor(setting: PointSetting) {
    this.#setting = setting
  }

  /** As Reader.readAt. */
  read(at: PartitionOffset, signal?: AbortSignal): Promise<FoundRecord | undefined> {
    const wanted = this.#of(at)
    const { clock } = this.#setting.cluster
    const untilMs = clock.monotonic() + this.#setting.limits.pointReadDeadlineMs
    return new Promise((resolve, reject) => {
      const settled = (): void => signal?.removeEventListener('abort', onAbort)
      const waiter: Waiter = {
        untilMs,
        resolve: (found) => {
          settled()
          resolve(found)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      }
      const onAbort = (): void => {
        wanted.remove(at.offset, waiter)
        reject(asError(signal?.reason))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      wanted.add(at.offset, waiter)
      this.#enqueue(wanted)
    })
  }

  /** Ends every wait; resolves when nothing is under way. */
  async close(error: Error): Promise<void> {
    for (const wanted of this.#partitions.values()) wanted.fail(error)
    this.#line.length = 0
    await Promise.all(this.#running)
  }

  #of({ topic, partition }: PartitionOffset): WantedOffsets {
    const name = describePartition({ topic, partition })
    const known = this.#partitions.get(name)
    if (known !== undefined) return known
    const wanted = new WantedOffsets({ topic, partition })
    this.#partitions.set(name, wanted)
    return wanted
  }

  #enqueue(wanted: WantedOffsets): void {
    if (wanted.isQueued || this.#setting.signal.aborted) return
    wanted.isQueued = true
    const { metadata } = this.#setting.cluster
    const known = metadata.known(wanted.at)
    if (known === undefined) this.#track(this.#locate(wanted))
    else this.#join(wanted, known)
  }

  /** Never rejects. */
  async #locate(wanted: WantedOffsets): Promise<void> {
    const { cluster, signal } = this.#setting
    try {
      this.#join(wanted, await cluster.metadata.leader(wanted.at, { signal }))
    } catch (error) {
      wanted.isQueued = false
      if (!signal.aborted) wanted.fail(asError(error))
    }
  }

  #join(wanted: WantedOffsets, leader: PartitionLeader): void {
    wanted.leader = leader
    this.#line.push(wanted)
    // Calls made in one turn are fetched together.
    queueMicrotask(() => this.#pump())
  }

  #pump(): void {
    const { limits, signal } = this.#setting
    while (this.#running.size < limits.pointReadsInFlight && !signal.aborted) {
      const wanted = this.#line.shift()
      if (wanted === undefined) return
      const group = wanted.hasMore ? wanted.nextGroup(limits.pointReadBytes) : undefined
      if (wanted.hasMore) this.#line.push(wanted)
      else wanted.isQueued = false
      if (wanted.isEmpty) this.#forget(wanted)
      if (group !== undefined) this.#track(this.#fetch(wanted, group))
    }
  }

  #track(running: Promise<void>): void {
    this.#running.add(running)
    void running.finally(() => {
      this.#running.delete(running)
      this.#pump()
    })
  }

  /** Never rejects. */
  async #fetch(wanted: WantedOffsets, group: WantedGroup): Promise<void> {
    const { leader } = wanted
    try {
      if (leader !== undefined) await this.#answer(wanted, leader, group)
      wanted.retries = 0
    } catch (error) {
      this.#failed(wanted, group, asError(error))
    }
    if (wanted.hasMore && wanted.rest === undefined) this.#enqueue(wanted)
    if (wanted.isEmpty && !wanted.isQueued) this.#forget(wanted)
  }

  async #answer(wanted: WantedOffsets, leader: PartitionLeader, group: WantedGroup): Promise<void> {
    const { offsets } = group
    const [first = 0] = offsets
    const part = await this.#ask(wanted, leader, group)
    const { decompressedMaxBytes } = this.#setting.limits
    const result = findRecords(part.records ?? Buffer.alloc(0), offsets, decompressedMaxBytes)
    let { knownTo } = result
    if (knownTo >= 0) {
      wanted.batchBytes = result.batchBytes
      wanted.batchOffsets = result.batchOffsets
    } else if (part.errorCode === CODE.offsetOutOfRange) knownTo = first + 1
    else {
      await this.#confirmEnd(wanted, leader, first)
      knownTo = Infinity
    }
    for (const offset of offsets) {
      const one = result.found.get(offset)
      const found = one === undefined ? undefined : { ...one, topicId: part.topicId }
      if (found !== undefined || offset < knownTo) {
        wanted.settle(offset, (waiter) => waiter.resolve(found))
      }
    }
    wanted.giveBack(offsets.filter((offset) => offset >= knownTo && !result.found.has(offset)))
  }

  /**
   * Resolves where the log ends at `first` or before it. Rejects, to be tried again, where the leader
   * cannot tell, and where it has more: it came to be shown meanwhile, or its storage was late.
   */
  async #confirmEnd(wanted: WantedOffsets, leader: PartitionLeader, first: number): Promise<void> {
    const at = { ...wanted.at, leader }
    const end = await this.#watched(at, (setting) => listedOffset(at, setting, LATEST))
    if (end <= first) return
    throw refused(CODE.offsetNotAvailable, { api: FETCH.name, place: describePartition(at) })
  }

  async #ask(
    { at }: WantedOffsets,
    leader: PartitionLeader,
    { offsets: [offset = 0], maxBytes }: WantedGroup,
  ): Promise<FetchedPartition> {
    const { topicId, leaderEpoch } = leader
    const asked = { ...at, topicId, offset, currentLeaderEpoch: leaderEpoch, lastFetchedEpoch: -1 }
    const request = {
      ...sessionless([{ ...asked, maxBytes }]),
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes,
      isolation: 0 as const,
      rack: '',
    }
    const version = FETCH.versions[1]
    const response = await this.#watched({ ...at, leader }, ({ lane, node, ...options }) =>
      lane.request(node, [FETCH, request], { ...options, version }),
    )
    const [part] = response.partitions
    const code = part?.errorCode ?? response.errorCode
    const isAnswer = code === CODE.none || code === CODE.offsetOutOfRange
    if (part !== undefined && isAnswer) return part
    // A broker answers with no partition at all where a quota puts this client off.
    const reason = code === CODE.none ? CODE.throttlingQuotaExceeded : code
    throw refused(reason, { api: FETCH.name, place: describePartition(at) })
  }

  /** What the leader answers. Given up where it does not, and does not lead any more. */
  async #watched<R>(
    at: TopicPartition & { readonly leader: PartitionLeader },
    ask: (setting: QuestionSetting) => Promise<R>,
  ): Promise<R> {
    const { cluster, lane, limits, signal } = this.#setting
    const { node } = at.leader
    const { doubtAfterMs: afterMs, requestDeadlineMs: deadlineMs } = limits
    using doubt = new FetchDoubt({ cluster, afterMs, node, awaited: [at], signal })
    return await Promise.race([ask({ lane, node, deadlineMs, signal }), doubt.lost])
  }

  #failed(wanted: WantedOffsets, { offsets }: WantedGroup, error: Error): void {
    const { cluster, limits, signal } = this.#setting
    if (signal.aborted) return
    const nowMs = cluster.clock.monotonic()
    wanted.giveBack(offsets, (waiter) => {
      const isOver = !isRetriable(error) || nowMs >= waiter.untilMs
      if (isOver) waiter.reject(error)
      return isOver
    })
    if (!isRetriable(error)) return
    cluster.metadata.invalidate(wanted.at, wanted.leader?.leaderEpoch)
    if (wanted.rest !== undefined) return
    const delayMs = retryDelayMs({ clock: cluster.clock, limits }, wanted.retries)
    wanted.retries += 1
    // What is in line already would ask the leader that was wrong.
    const at = this.#line.indexOf(wanted)
    if (at >= 0) this.#line.splice(at, 1)
    wanted.isQueued = true
    wanted.rest = cluster.clock.timer(delayMs, () => {
      wanted.rest = undefined
      wanted.isQueued = false
      this.#enqueue(wanted)
    })
  }

  #forget(wanted: WantedOffsets): void {
    if (wanted.rest === undefined) this.#partitions.delete(describePartition(wanted.at))
  }
}
