/**
 * Runs retention and compaction beside everything else. Every few seconds it looks over all
 * partitions: what retention lets go is removed, and of those to compact the one with the largest
 * part of new bytes is taken. A round goes on over several runs, and each run reads a bounded number
 * of bytes in small steps, with the event loop free between them, then rests for three times as long
 * as it took: cleaning never has more than a quarter of the process.
 */
import type { Clock, Timer } from '../../model/clock.ts'
import { asError } from '../../model/errors.ts'
import type { TopicPartition } from '../../model/position.ts'
import type { EmbeddedLogLimits } from './limits.ts'
import type { PartitionLog } from './partition-log.ts'

/** Rest after a run that left something to do, in times of its length. */
const REST_RATIO = 3
const SHORTEST_REST_MS = 10
/** Partitions that are looked over in one go. */
const LOOKS_AT_ONCE = 100

/** What a cleaner is made of. */
export interface CleanerOptions {
  readonly clock: Clock
  readonly limits: EmbeddedLogLimits
  readonly partitions: () => Iterable<PartitionLog>
  readonly onFailed: ((error: Error, of: TopicPartition) => void) | undefined
}

interface Round {
  readonly partition: PartitionLog
  readonly steps: AsyncGenerator<number, void>
}

/** Cleans the partitions of one log. */
export class Cleaner {
  readonly #options: CleanerOptions
  #round: Round | undefined
  #timer: Timer | undefined
  #isStopped = false
  #turn: Promise<unknown> = Promise.resolve()
  /** When a partition that could not be cleaned is tried again. */
  readonly #heldUntil = new WeakMap<PartitionLog, number>()

  constructor(options: CleanerOptions) {
    this.#options = options
  }

  /** Runs for the first time one interval from now. */
  start(): void {
    this.#runIn(this.#options.limits.cleanIntervalMs)
  }

  /** Compacts all that is stable of a partition, whatever its topic's policy says. */
  async compact(partition: PartitionLog): Promise<void> {
    await this.#inTurn(async () => {
      await this.#endRound(partition)
      const { clock, limits } = this.#options
      const steps = partition.cleaning.compactAll(limits.cleanKeyBytes)
      while (!this.#isStopped && (await steps.next()).done !== true) await clock.yield()
      await steps.return()
    })
  }

  /** Has nothing more to do with a partition, which is about to be deleted. */
  async leave(partition: PartitionLog): Promise<void> {
    await this.#inTurn(() => this.#endRound(partition))
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#inTurn(() => this.#endRound(this.#round?.partition))
  }

  #runIn(delayMs: number): void {
    if (this.#isStopped) return
    this.#timer = this.#options.clock.timer(delayMs, () => {
      void this.#inTurn(() => this.#run())
    })
  }

  /** Never rejects: what goes wrong is told and holds its partition back. */
  async #run(): Promise<void> {
    const { clock, limits } = this.#options
    const began = clock.monotonic()
    const hasMoreToRemove = await this.#retain()
    const hasMoreToCompact = await this.#compactSome()
    const restMs = Math.max(SHORTEST_REST_MS, REST_RATIO * (clock.monotonic() - began))
    this.#runIn(hasMoreToRemove || hasMoreToCompact ? restMs : limits.cleanIntervalMs)
  }

  async #retain(): Promise<boolean> {
    const { clock, limits } = this.#options
    let hasMore = false
    let looks = 0
    for (const partition of this.#usable()) {
      if (this.#isStopped) return false
      looks += 1
      if (looks % LOOKS_AT_ONCE === 0) await clock.yield()
      await this.#guarded(partition, async () => {
        const isMore = await partition.cleaning.retain(clock.now(), limits.cleanRunSegments)
        hasMore ||= isMore
      })
    }
    return hasMore
  }

  /** Compacts until the bytes of one run are spent; true where it was not finished. */
  async #compactSome(): Promise<boolean> {
    const { clock, limits } = this.#options
    let bytes = 0
    while (bytes < limits.cleanRunBytes) {
      this.#round ??= this.#nextRound()
      const round = this.#round
      if (round === undefined || this.#isStopped) return false
      const isOk = await this.#guarded(round.partition, async () => {
        const { done, value } = await round.steps.next()
        if (done === true) this.#round = undefined
        else bytes += value
      })
      if (!isOk) this.#round = undefined
      await clock.yield()
    }
    return true
  }

  #nextRound(): Round | undefined {
    const { clock, limits } = this.#options
    let best: { readonly partition: PartitionLog; readonly ratio: number } | undefined
    for (const partition of this.#usable()) {
      const ratio = partition.cleaning.dirtyRatio(clock.now())
      if (ratio !== undefined && ratio > (best?.ratio ?? 0)) best = { partition, ratio }
    }
    if (best === undefined) return undefined
    const steps = best.partition.cleaning.compact(limits.cleanKeyBytes)
    return { partition: best.partition, steps }
  }

  /** Partitions that are neither damaged nor held back. */
  *#usable(): Generator<PartitionLog> {
    const now = this.#options.clock.now()
    for (const partition of this.#options.partitions()) {
      const isHeld = (this.#heldUntil.get(partition) ?? 0) > now
      if (!isHeld && partition.isUsable) yield partition
    }
  }

  async #guarded(partition: PartitionLog, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      // A partition that was deleted meanwhile, or whose log is closed, is no failure.
      if (!partition.isUsable || this.#isStopped) return false
      const { clock, limits, onFailed } = this.#options
      this.#heldUntil.set(partition, clock.now() + limits.cleanRetryMs)
      onFailed?.(asError(error), { topic: partition.topic, partition: partition.partition })
      return false
    }
  }

  async #endRound(partition: PartitionLog | undefined): Promise<void> {
    const round = this.#round
    if (round === undefined || round.partition !== partition) return
    this.#round = undefined
    await round.steps.return()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
