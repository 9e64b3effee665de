/**
 * Whether the picture changes at once from one frame to the next, as at a cut.
 *
 * A frame is a cut if it differs from the one before several times more than its neighbours do from
 * theirs (the adaptive rule of PySceneDetect, over four frames on each side), so that a pan does not
 * count and a cut between two dark pictures does. The colours, which motion hardly changes, decide
 * where the picture moves so much that the neighbours drown the cut. A flash, a hit of light or a
 * broken frame looks like two cuts, but the picture comes back: those are not counted.
 */
import { difference, type FrameSignature } from './frame-signature.ts'

/** What a frame is against the one before: nothing much, a cut, the first of a flash, or the first after one. */
export type FrameStep = 'same' | 'cut' | 'flash' | 'back'

/** Frames after the one in question that are looked at. */
export const LOOK_AHEAD_FRAMES = 4
/** Frames before it; at the end of a video, where some after it are missing, twice as many. */
const LOOK_BACK_FRAMES = 4
/** So many frames before the one in question are needed. */
export const KEPT_FRAMES = 2 * LOOK_BACK_FRAMES
/** A smaller change is noise, whatever the neighbours do. */
const LEAST_CHANGE = 4
/** Below this, colours stay as they are. */
const STILL_COLOURS = 0.05
/** With colours that stay, a smaller change than this is a jolt of the camera. */
const LEAST_CHANGE_IN_COLOUR = 15
/** How many times more than its neighbours a cut changes. */
const CUT_RATIO = 3
/** Neighbours count as changing at least so much: in still pictures any change would be many times none. */
const QUIET_CHANGE = 1
/** Colours that change so much are a cut at half the ratio. */
const COLOUR_CUT = 0.4
/**
 * And how many times more than the second largest of them: where a film shows each picture three
 * times, most neighbours do not change at all. The largest does not count, for a cut that was blended
 * into one frame in between has a neighbour as large as itself.
 */
const OVER_NEIGHBOURS = 1.5
/** A picture that comes back is one that differs less than this part of the change from what was before. */
const COMES_BACK = 0.5

/** Judges the frame at `at` of a window of frames that follow each other. */
export function stepAt(window: readonly FrameSignature[], at: number): FrameStep {
  const frame = window[at]
  if (frame === undefined) return 'same'
  const still = frame.colourChange < STILL_COLOURS
  if (frame.change < (still ? LEAST_CHANGE_IN_COLOUR : LEAST_CHANGE)) return 'same'
  const { mean, secondLargest } = changesAround(window, at)
  if (frame.change < secondLargest * OVER_NEIGHBOURS) return 'same'
  const needed = frame.colourChange >= COLOUR_CUT ? CUT_RATIO / 2 : CUT_RATIO
  if (frame.change < needed * Math.max(mean, QUIET_CHANGE)) return 'same'
  if (comesBack(window, at)) return 'flash'
  return wasThere(window, at) ? 'back' : 'cut'
}

/** How much the frames around the one in question change. */
function changesAround(
  window: readonly FrameSignature[],
  at: number,
): { readonly mean: number; readonly secondLargest: number } {
  const changes: number[] = []
  const end = Math.min(window.length, at + LOOK_AHEAD_FRAMES + 1)
  const back = end - at > LOOK_AHEAD_FRAMES ? LOOK_BACK_FRAMES : KEPT_FRAMES
  for (let i = Math.max(0, at - back); i < end; i += 1) {
    if (i !== at) changes.push(window[i]?.change ?? 0)
  }
  const sum = changes.reduce((total, change) => total + change, 0)
  const [, secondLargest = 0] = changes.toSorted((a, b) => b - a)
  return { mean: changes.length === 0 ? 0 : sum / changes.length, secondLargest }
}

/** How many frames a flash has at most. */
export const FLASH_FRAMES = 3

/** Whether the picture before this frame comes back after up to three frames. */
function comesBack(window: readonly FrameSignature[], at: number): boolean {
  const before = window[at - 1]
  const same = (window[at]?.change ?? 0) * COMES_BACK
  const after = window.slice(at + 1, at + 1 + FLASH_FRAMES)
  return before !== undefined && after.some((frame) => difference(before, frame) < same)
}

/** Whether the picture of this frame was there up to four frames ago. */
function wasThere(window: readonly FrameSignature[], at: number): boolean {
  const frame = window[at]
  const same = (frame?.change ?? 0) * COMES_BACK
  const earlier = window.slice(Math.max(0, at - 1 - FLASH_FRAMES), Math.max(0, at - 1))
  return frame !== undefined && earlier.some((before) => difference(before, frame) < same)
}
