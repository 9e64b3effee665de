/** The bounds of a task's state: how far it may run ahead of its database, and what it reads from memory. */
import { SLICE_LIMITS, type SliceLimits } from './slices.ts'

/** Bounds of a task's state. */
export interface StateLimits extends SliceLimits {
  /** Committed bytes that start a flush. Default 16 MiB. */
  readonly flushBytes: number
  /** Longest time a committed write waits for a flush. Default 2 s. */
  readonly flushIntervalMs: number
  /** Committed bytes not yet in the database that make the task wait for it (`isCongested`). Default 32 MiB: one generation on its way and one behind it. */
  readonly unflushedBytes: number
  /** Bytes that a replay may leave in the layers, beside those above; a longer one goes to the database first. Default 64 MiB: more than a killed process leaves behind. */
  readonly replayBytes: number
  /** Bytes of the read cache. Default 16 MiB. */
  readonly cacheBytes: number
  /** Age at which checkpoints are written again although nothing changed, to show that they still hold. Default 1 hour. */
  readonly restampMs: number
}

const MIB = 1024 * 1024

/** The default bounds of a task's state. */
export const STATE_LIMITS: StateLimits = {
  ...SLICE_LIMITS,
  flushBytes: 16 * MIB,
  flushIntervalMs: 2_000,
  unflushedBytes: 32 * MIB,
  replayBytes: 64 * MIB,
  cacheBytes: 16 * MIB,
  restampMs: 3_600_000,
}
