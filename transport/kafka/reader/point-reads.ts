/**
 * Reads of single records by their offsets, beside all cursors and on connections of their own.
 *
 * A fetch with a limit of one byte brings exactly the batch that has the offset, and nothing of what
 * follows. Offsets of one partition that wait together are fetched together: those in one batch at no
 * cost, neighbours of large batches by a limit that fits them. A bounded number of such requests is
 * under way at a time, partitions in turn; how many wait for theirs is up to those who ask.
 */
import { asError } from '../../../model/errors.ts'
import { describePartition, type PartitionOffset } from '../../../model/position.ts'
import type { FoundRecord } from '../../transport.ts'
import { FETCH, type FetchedPartition } from '../api/fetch.ts'
import { CODE, refused } from '../error-codes.ts'
import type { FetchCluster, FetchLane } from './fetch-cluster.ts'
import type { FetchLimits } from './fetch-limits.ts'
import { FetchDoubt } from './fetch-doubt.ts'
import { sessionless } from './fetch-session.ts'
import { findRecords } from './find-records.ts'
import { isRetriable, retryDelayMs } from '../limits.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'
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
      if (leader !== undefined) this.#deliver(wanted, group, await this.#ask(wanted, leader, group))
      wanted.retries = 0
    } catch (error) {
      this.#failed(wanted, group, asError(error))
    }
    if (wanted.hasMore && wanted.rest === undefined) this.#enqueue(wanted)
    if (wanted.isEmpty && !wanted.isQueued) this.#forget(wanted)
  }

  async #ask(
    { at }: WantedOffsets,
    leader: PartitionLeader,
    { offsets: [offset = 0], maxBytes }: WantedGroup,
  ): Promise<FetchedPartition> {
    const { cluster, lane, limits, signal } = this.#setting
    const { node, topicId, leaderEpoch } = leader
    const asked = { ...at, topicId, offset, currentLeaderEpoch: leaderEpoch, lastFetchedEpoch: -1 }
    const request = {
      ...sessionless([{ ...asked, maxBytes }]),
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes,
      isolation: 0 as const,
      rack: '',
    }
    const options = { version: FETCH.versions[1], deadlineMs: limits.requestDeadlineMs, signal }
    const awaited = [{ ...at, leader }]
    using doubt = new FetchDoubt({ cluster, afterMs: limits.doubtAfterMs, node, awaited, signal })
    const answer = lane.request(node, [FETCH, request], options)
    const response = await Promise.race([answer, doubt.lost])
    const [part] = response.partitions
    const code = part?.errorCode ?? response.errorCode
    const isAnswer = code === CODE.none || code === CODE.offsetOutOfRange
    if (part !== undefined && isAnswer) return part
    throw refused(code, { api: FETCH.name, place: describePartition(at) })
  }

  #deliver(wanted: WantedOffsets, { offsets }: WantedGroup, part: FetchedPartition): void {
    const { decompressedMaxBytes } = this.#setting.limits
    const topicId = part.topicId
    const isOutside = part.errorCode === CODE.offsetOutOfRange
    const result = findRecords(part.records ?? Buffer.alloc(0), offsets, decompressedMaxBytes)
    if (result.knownTo >= 0) {
      wanted.batchBytes = result.batchBytes
      wanted.batchOffsets = result.batchOffsets
    }
    // No batch at all: the first offset is at the log's end or beyond, and so are those behind it.
    const end = isOutside ? (offsets[0] ?? 0) + 1 : result.knownTo < 0 ? Infinity : result.knownTo
    for (const offset of offsets) {
      const one = result.found.get(offset)
      if (one !== undefined) wanted.settle(offset, (waiter) => waiter.resolve({ ...one, topicId }))
      else if (offset < end) wanted.settle(offset, (waiter) => waiter.resolve(undefined))
    }
    wanted.giveBack(offsets.filter((offset) => offset >= end && !result.found.has(offset)))
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
