/** The one shape that all tables of an mp4 header share: version and flags, a count, then entries of one size. */
import { childBox, corrupt, type Box, type BoxBytes } from './mp4-boxes.ts'

/** A table whose entries are all there. */
export interface TableBox {
  readonly version: number
  readonly count: number
  /** Where the first entry begins. */
  readonly at: number
}

/**
 * The table `type` inside `parent`; undefined where there is none. Throws MILLRACE_VIDEO_CORRUPT
 * where it claims more entries of `entryBytes` than it has bytes for.
 */
export function tableBox(
  file: BoxBytes,
  parent: Box,
  { type, entryBytes }: { type: string; entryBytes: number },
): TableBox | undefined {
  const box = childBox(file, parent, type)
  if (box === undefined) return undefined
  if (box.end - box.bodyStart < 8) throw corrupt(file.place, `its table ${type} is too short`)
  const count = file.bytes.readUInt32BE(box.bodyStart + 4)
  const at = box.bodyStart + 8
  if (count * entryBytes > box.end - at) {
    throw corrupt(file.place, `its table ${type} claims ${count} entries and has fewer`)
  }
  return { version: file.bytes[box.bodyStart] ?? 0, count, at }
}
