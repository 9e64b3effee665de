/** The offsets of one partition that are looked for one by one, and who waits for each. */
import type { Timer } from '../../../model/clock.ts'
import type { TopicPartition } from '../../../model/position.ts'
import type { FoundRecord } from '../../transport.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'

/** Who waits for a record. */
export interface Waiter {
  /** When it has waited long enough to be told of an error that may pass. */
  readonly untilMs: number
  resolve(found: FoundRecord | undefined): void
  reject(error: Error): void
}

/** Offsets that are fetched together, in order. */
export interface WantedGroup {
  readonly offsets: readonly number[]
  /** What the fetch asks for at most: 1 is exactly one batch. */
  readonly maxBytes: number
}

/** Batches of one size differ by a few bytes: so much of one is allowed for each. */
const FIT_SLACK = 1 / 64

/** What is looked for in one partition. */
export class WantedOffsets {
  readonly at: TopicPartition
  readonly #waiters = new Map<number, Set<Waiter>>()
  /** Those that a fetch is under way for. */
  readonly #asked = new Set<number>()
  leader: PartitionLeader | undefined
  /** In line to be fetched, or on its way into it. */
  isQueued = false
  rest: Timer | undefined
  retries = 0
  /** Of the last batch that was fetched. */
  batchBytes = 0
  batchOffsets = 1

  constructor(at: TopicPartition) {
    this.at = at
  }

  /** Whether there are offsets that no fetch is under way for. */
  get hasMore(): boolean {
    return this.#waiters.size > this.#asked.size
  }

  get isEmpty(): boolean {
    return this.#waiters.size === 0
  }

  add(offset: number, waiter: Waiter): void {
    const waiters = this.#waiters.get(offset)
    if (waiters === undefined) this.#waiters.set(offset, new Set([waiter]))
    else waiters.add(waiter)
  }

  /** Nobody needs to tell it any more. */
  remove(offset: number, waiter: Waiter): void {
    const waiters = this.#waiters.get(offset)
    if (waiters?.delete(waiter) === true && waiters.size === 0 && !this.#asked.has(offset)) {
      this.#waiters.delete(offset)
    }
  }

  /** The lowest offset that no fetch is under way for, with as many that follow it as fit into `mostBytes`. */
  nextGroup(mostBytes: number): WantedGroup {
    const waiting = [...this.#waiters.keys()].filter((one) => !this.#asked.has(one))
    waiting.sort((a, b) => a - b)
    const [first = 0] = waiting
    const batch = Math.ceil(this.batchBytes * (1 + FIT_SLACK))
    const batches = Math.max(1, Math.floor(mostBytes / Math.max(1, batch)))
    if (batch === 0) {
      // Nothing is known of its batches yet: whatever the first one answers for is answered.
      for (const offset of waiting) this.#asked.add(offset)
      return { offsets: waiting, maxBytes: 1 }
    }
    // Beyond a gap of whole batches it is cheaper to ask twice.
    const end = first + batches * this.batchOffsets
    const offsets: number[] = []
    let next = first
    for (const offset of waiting) {
      if (offset >= end || offset - next > this.batchOffsets) break
      offsets.push(offset)
      next = offset
      this.#asked.add(offset)
    }
    const needed = Math.ceil((next - first + 1) / this.batchOffsets)
    return { offsets, maxBytes: needed === 1 ? 1 : needed * batch }
  }

  /** Tells those who wait for an offset that was asked for. */
  settle(offset: number, tell: (waiter: Waiter) => void): void {
    const waiters = this.#waiters.get(offset)
    this.#asked.delete(offset)
    this.#waiters.delete(offset)
    for (const waiter of waiters ?? []) tell(waiter)
  }

  /** The fetch told nothing of these: they are looked for again, except where `tell` says that it had an answer for a waiter. */
  giveBack(offsets: readonly number[], tell: (waiter: Waiter) => boolean = () => false): void {
    for (const offset of offsets) {
      this.#asked.delete(offset)
      const waiters = this.#waiters.get(offset)
      for (const waiter of waiters ?? []) if (tell(waiter)) waiters?.delete(waiter)
      if (waiters?.size === 0) this.#waiters.delete(offset)
    }
  }

  /** Ends every wait. */
  fail(error: Error): void {
    this.rest?.cancel()
    for (const offset of this.#waiters.keys()) {
      this.settle(offset, (waiter) => waiter.reject(error))
    }
  }
}
