/** The edit list of an mp4's track (`elst`): which parts of the media are shown, in which order. */
import {
  childBox,
  corrupt,
  readTimescale,
  requiredBox,
  type Box,
  type BoxBytes,
} from './mp4-boxes.ts'
import { tableBox } from './mp4-table-box.ts'

/** One part of the presentation. Times are ticks of the media. */
export interface Edit {
  /** Where in the media the part begins; undefined for a pause in which nothing is shown. */
  readonly mediaTime: number | undefined
  /** How long it is; undefined: to the media's end. */
  readonly duration: number | undefined
}

/** Real edit lists have a handful of entries, edited QuickTime films some hundred. */
export const MAX_EDITS = 10_000

/** The track's edits, durations converted from the movie's ticks to the media's; empty where there are none. */
export function readEdits(
  moov: BoxBytes,
  { root, trak, timescale }: { root: Box; trak: Box; timescale: number },
): readonly Edit[] {
  const edts = childBox(moov, trak, 'edts')
  if (edts === undefined) return []
  const long = isLong(moov, edts)
  const entryBytes = long ? 20 : 12
  const list = tableBox(moov, edts, { type: 'elst', entryBytes })
  if (list === undefined) return []
  if (list.count > MAX_EDITS) throw corrupt(moov.place, `it has ${list.count} edits`)
  const movieTimescale = readTimescale(moov, requiredBox(moov, root, 'mvhd')) || 1
  const edits: Edit[] = []
  for (let i = 0; i < list.count; i += 1) {
    const at = list.at + i * entryBytes
    const { bytes } = moov
    const duration = long ? Number(bytes.readBigUInt64BE(at)) : bytes.readUInt32BE(at)
    const mediaTime = long ? Number(bytes.readBigInt64BE(at + 8)) : bytes.readInt32BE(at + 4)
    const ticks = Math.round((duration * timescale) / movieTimescale)
    edits.push({
      mediaTime: mediaTime < 0 ? undefined : mediaTime,
      duration: duration === 0 && mediaTime >= 0 ? undefined : ticks,
    })
  }
  return edits
}

function isLong(moov: BoxBytes, edts: Box): boolean {
  const elst = childBox(moov, edts, 'elst')
  return elst !== undefined && moov.bytes[elst.bodyStart] === 1
}
