/** Removes all entries of a range, in slices, so that the loops of the process have their turn between. */
import type { Clock } from '../model/clock.ts'
import type { SliceLimits } from './slices.ts'
import type { Database, DatabaseWrite, KeyRange } from './store.ts'

/** How a range is removed. */
export interface Removal {
  readonly limits: SliceLimits
  readonly clock: Clock
  /** Asked between slices: true stops it. */
  readonly isClosed: () => boolean
}

/** Removes what `range` holds as of the call. No other write of the database may be in flight. */
export async function removeRange(
  database: Database,
  range: KeyRange,
  { limits, clock, isClosed }: Removal,
): Promise<void> {
  let slice: DatabaseWrite[] = []
  for await (const key of database.keys(range)) {
    slice.push({ key, value: null })
    if (slice.length < limits.sliceWrites) continue
    await database.write(slice)
    slice = []
    await clock.yield()
    if (isClosed()) return
  }
  if (slice.length > 0) await database.write(slice)
}
