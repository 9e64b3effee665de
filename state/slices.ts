/**
 * Many writes as a few batches. A batch of ten thousand puts blocks the main thread for many
 * milliseconds while LevelDB copies them, so none is larger than a slice; and two batches in flight
 * may be reordered, so the next one waits for the one before.
 */
import type { DatabaseWrite } from './store.ts'

/** Bounds of one batch. */
export interface SliceLimits {
  /** Writes in one batch. Default 1,000: some 2 ms of the main thread. */
  readonly sliceWrites: number
  /** Bytes in one batch; one larger write is let through alone. Default 1 MiB. */
  readonly sliceBytes: number
}

/** The default bounds of one batch. */
export const SLICE_LIMITS: SliceLimits = { sliceWrites: 1_000, sliceBytes: 1024 * 1024 }

/** `writes` in slices, in order; the last one, which may be the only one, ends with `closing`. */
export function* slices(
  writes: Iterable<DatabaseWrite>,
  closing: readonly DatabaseWrite[],
  limits: SliceLimits,
): Generator<readonly DatabaseWrite[]> {
  let slice: DatabaseWrite[] = []
  let bytes = 0
  for (const write of writes) {
    const size = write.key.length + (write.value?.length ?? 0)
    if (
      slice.length >= limits.sliceWrites ||
      (slice.length > 0 && bytes + size > limits.sliceBytes)
    ) {
      yield slice
      slice = []
      bytes = 0
    }
    slice.push(write)
    bytes += size
  }
  slice.push(...closing)
  if (slice.length > 0) yield slice
}
