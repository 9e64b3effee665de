/** Times of an mp4's samples: `stts` (durations), `ctts` (when shown, against when decoded) and `stss` (keyframes). */
import { corrupt, type Box, type BoxBytes } from './mp4-boxes.ts'
import { tableBox } from './mp4-table-box.ts'

/** The columns that are filled in. */
interface TimeColumns {
  readonly times: Float64Array
  readonly durations: Uint32Array
  readonly sync: Uint8Array
}

/** Fills in when each sample is shown, how long it lasts and whether decoding may begin with it. */
export function fillTimes(moov: BoxBytes, stbl: Box, columns: TimeColumns): void {
  fillDecodeTimes(moov, stbl, columns)
  addCompositionOffsets(moov, stbl, columns.times)
  fillSync(moov, stbl, columns.sync)
}

function fillDecodeTimes(
  moov: BoxBytes,
  stbl: Box,
  { times, durations }: Pick<TimeColumns, 'times' | 'durations'>,
): void {
  const runs = tableBox(moov, stbl, { type: 'stts', entryBytes: 8 })
  if (runs === undefined || runs.count === 0) throw corrupt(moov.place, 'its frames have no times')
  let sample = 0
  let time = 0
  let duration = 0
  for (let run = 0; run < runs.count; run += 1) {
    const at = runs.at + run * 8
    const length = moov.bytes.readUInt32BE(at)
    duration = moov.bytes.readUInt32BE(at + 4)
    for (let i = 0; i < length && sample < times.length; i += 1, sample += 1, time += duration) {
      times[sample] = time
      durations[sample] = duration
    }
  }
  // A table that ends early goes on as it ended: so does ffmpeg.
  for (; sample < times.length; sample += 1, time += duration) {
    times[sample] = time
    durations[sample] = duration
  }
}

/** Version 0 is unsigned by the standard, but files with negative offsets in it exist, and ffmpeg reads both as signed. */
function addCompositionOffsets(moov: BoxBytes, stbl: Box, times: Float64Array): void {
  const runs = tableBox(moov, stbl, { type: 'ctts', entryBytes: 8 })
  if (runs === undefined) return
  let sample = 0
  for (let run = 0; run < runs.count; run += 1) {
    const at = runs.at + run * 8
    const length = moov.bytes.readUInt32BE(at)
    const offset = moov.bytes.readInt32BE(at + 4)
    for (let i = 0; i < length && sample < times.length; i += 1, sample += 1) {
      times[sample] = (times[sample] ?? 0) + offset
    }
  }
}

/** Without `stss` every sample is a keyframe. */
function fillSync(moov: BoxBytes, stbl: Box, sync: Uint8Array): void {
  const keyframes = tableBox(moov, stbl, { type: 'stss', entryBytes: 4 })
  if (keyframes === undefined) {
    sync.fill(1)
    return
  }
  for (let i = 0; i < keyframes.count; i += 1) {
    const number = moov.bytes.readUInt32BE(keyframes.at + i * 4)
    if (number >= 1 && number <= sync.length) sync[number - 1] = 1
  }
}
