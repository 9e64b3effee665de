/**
 * When each frame of an mp4 is on the screen, after its edit list, in ticks from the first frame that
 * is shown.
 *
 * A frame is shown by an edit if it begins inside the edit: one that begins before it is decoded and
 * dropped, although the standard would show its rest. That is ffmpeg's rule, and annotators decode
 * with ffmpeg; with another rule here a cut could be answered by a chunk that does not hold it. A
 * frame lasts until the next one of its edit is shown, not for its own duration: that counts decode
 * order, which with reordered frames of varying length is another one. A frame that several edits
 * show is known by its first showing.
 */
import type { Edit } from './mp4-edit-list.ts'
import type { SampleTable } from './mp4-sample-table.ts'

/** For each sample, in decode order, ticks from the first shown frame; NaN for samples that are never shown. */
export interface Presentation {
  readonly starts: Float64Array
  readonly ends: Float64Array
  /** How many samples are shown. */
  readonly shown: number
}

/** Applies a track's edit list to its frames. */
export function present(table: SampleTable): Presentation {
  const starts = new Float64Array(table.count).fill(Number.NaN)
  const ends = new Float64Array(table.count).fill(Number.NaN)
  const order = displayOrder(table)
  const edits: readonly Edit[] =
    table.edits.length > 0
      ? table.edits
      : [{ mediaTime: Number.NEGATIVE_INFINITY, duration: undefined }]
  let timeline = 0
  for (const edit of edits) {
    if (edit.mediaTime !== undefined) showEdit(table, { edit, order, timeline, starts, ends })
    timeline += edit.duration ?? 0
  }
  return { starts, ends, shown: shiftToFirst(starts, ends) }
}

interface EditShowing {
  readonly edit: Edit
  readonly order: Uint32Array
  /** Where on the presentation's time the edit begins. */
  readonly timeline: number
  readonly starts: Float64Array
  readonly ends: Float64Array
}

function showEdit(table: SampleTable, showing: EditShowing): void {
  const { edit, order, timeline, starts, ends } = showing
  const { times, durations } = table
  const from = edit.mediaTime ?? 0
  const until = edit.duration === undefined ? Number.POSITIVE_INFINITY : from + edit.duration
  // Where all of the media is shown there is no place to count from: its own time will do.
  const shift = Number.isFinite(from) ? timeline - from : timeline
  for (let k = firstAtOrAfter(times, order, from); k < order.length; k += 1) {
    const sample = order[k] ?? 0
    const time = times[sample] ?? 0
    if (time >= until) break
    if (!Number.isNaN(starts[sample])) continue
    const next = k + 1 < order.length ? times[order[k + 1] ?? 0] : undefined
    starts[sample] = time + shift
    ends[sample] = Math.min(next ?? time + (durations[sample] ?? 0), until) + shift
  }
}

/** Samples by the time they are shown; equal times stay in decode order. */
function displayOrder({ times, count }: SampleTable): Uint32Array {
  const order = new Uint32Array(count)
  let sorted = true
  for (let i = 0; i < count; i += 1) {
    order[i] = i
    if (i > 0 && (times[i] ?? 0) < (times[i - 1] ?? 0)) sorted = false
  }
  return sorted ? order : order.sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b)
}

/** The first place in `order` whose sample is shown at `time` or later. */
function firstAtOrAfter(times: Float64Array, order: Uint32Array, time: number): number {
  let low = 0
  let high = order.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[order[middle] ?? 0] ?? 0) < time) low = middle + 1
    else high = middle
  }
  return low
}

/** Lets the first shown frame begin at 0; gives the number of shown frames. */
function shiftToFirst(starts: Float64Array, ends: Float64Array): number {
  let first = Number.POSITIVE_INFINITY
  let shown = 0
  for (const start of starts) {
    if (Number.isNaN(start)) continue
    shown += 1
    if (start < first) first = start
  }
  for (let i = 0; i < starts.length; i += 1) {
    starts[i] = (starts[i] ?? 0) - first
    ends[i] = (ends[i] ?? 0) - first
  }
  return shown
}
