/** A range over a store's layers and its database at once, as a snapshot. */
import { endOfPrefix } from './keys.ts'
import type { Database, KeyRange } from './store.ts'
import type { Cell, Layer } from './store-layers.ts'

/** What lies below the layers. */
interface Below {
  readonly database: Database
  /** What the store's keys begin with in the database. */
  readonly prefix: Buffer
  /** Bounds on keys without the prefix. */
  readonly range: KeyRange
}

/**
 * Entries of `layers` (the oldest first) over those of the database, ascending, keys without the
 * prefix. Both snapshots are taken before this returns; only reading on is lazy.
 */
export function mergeRange(
  layers: readonly Layer[],
  below: Below,
): AsyncIterable<readonly [Buffer, Buffer]> {
  const { prefix, range } = below
  const lt = range.lt === undefined ? endOfPrefix(prefix) : Buffer.concat([prefix, range.lt])
  const gte = range.gte === undefined ? prefix : Buffer.concat([prefix, range.gte])
  const rows = below.database.range(lt === undefined ? { gte } : { gte, lt })
  return merge(overlay(layers, range), rows, prefix.length)
}

type Written = readonly [text: string, cell: Cell]

/** The newest cell of every key in range, ascending. */
function overlay(layers: readonly Layer[], range: KeyRange): readonly Written[] {
  const from = range.gte?.toString('latin1')
  const to = range.lt?.toString('latin1')
  const newest = new Map<string, Cell>()
  for (const layer of layers) {
    for (const [text, cell] of layer) {
      if ((from === undefined || text >= from) && (to === undefined || text < to))
        newest.set(text, cell)
    }
  }
  return [...newest].sort(([a], [b]) => (a < b ? -1 : 1))
}

async function* merge(
  written: readonly Written[],
  rows: AsyncIterable<readonly [Buffer, Buffer]>,
  prefixLength: number,
): AsyncGenerator<readonly [Buffer, Buffer]> {
  let next = 0
  for await (const [databaseKey, value] of rows) {
    const text = databaseKey.toString('latin1', prefixLength)
    let hidden = false
    for (
      let entry = written[next];
      entry !== undefined && entry[0] <= text;
      entry = written[++next]
    ) {
      hidden = entry[0] === text
      const [key, cell] = entry
      if (typeof cell !== 'number') yield [Buffer.from(key, 'latin1'), cell]
    }
    if (!hidden) yield [databaseKey.subarray(prefixLength), value]
  }
  for (const [key, cell] of written.slice(next)) {
    if (typeof cell !== 'number') yield [Buffer.from(key, 'latin1'), cell]
  }
}
