/**
 * Where one shot ends and the next begins: a detector of hard cuts, frame in, finished shots out.
 *
 * A frame is a cut if it differs from the one before several times more than its neighbours do from
 * theirs (the adaptive rule of PySceneDetect, over four frames on each side), so that a pan does not
 * count and a cut between two dark pictures does. The colours, which motion hardly changes, decide
 * where the picture moves so much that the neighbours drown the cut. A flash, a hit of light or a
 * broken frame looks like two cuts, but the picture comes back: those are not counted. Shots are at
 * least 0.4 s long. Dissolves are not found.
 *
 * It is a pure function of the frames: no clock, no chance, no state besides the last frames.
 * Rejected: ffmpeg's scdet and scene filters, which report every flash and differ between versions.
 */
import type { Shot } from '../schemas.ts'
import { difference, signatureOf, type FrameSignature } from './frame-signature.ts'
import type { Frame } from './frames.ts'

/** Finds the shots of one video. */
export class ShotDetector {
  /** Up to eight decided frames, the one to decide next, and up to four after it. */
  #window: FrameSignature[] = []
  /** Where in the window the next frame to decide is. */
  #next = 0
  /** When the shot began that has not ended; undefined before the first frame. */
  #shotStartUs: number | undefined

  /** Takes the next frame; gives the shots that have ended since the last call. */
  push(frame: Frame): readonly Shot[] {
    this.#window.push(signatureOf(frame, this.#window.at(-1)))
    return this.#next + LOOK_AHEAD_FRAMES < this.#window.length ? this.#decideNext() : []
  }

  /** Says that no frame follows; gives the shots that are left. */
  finish(): readonly Shot[] {
    const shots: Shot[] = []
    while (this.#next < this.#window.length) shots.push(...this.#decideNext())
    const last = this.#window.at(-1)
    if (this.#shotStartUs !== undefined && last !== undefined) {
      shots.push({ startUs: this.#shotStartUs, endUs: last.timeUs })
    }
    this.#window = []
    this.#next = 0
    this.#shotStartUs = undefined
    return shots
  }

  /** When the shot began that has not ended: everything before is final. */
  get openShotUs(): number {
    return this.#shotStartUs ?? 0
  }

  #decideNext(): readonly Shot[] {
    const frame = this.#window[this.#next]
    const before = this.#window[this.#next - 1]
    const startUs = this.#shotStartUs
    let ended: readonly Shot[] = []
    if (frame !== undefined && (before === undefined || startUs === undefined)) {
      this.#shotStartUs = frame.timeUs
    } else if (
      frame !== undefined &&
      before !== undefined &&
      startUs !== undefined &&
      frame.timeUs - startUs >= SHORTEST_SHOT_US &&
      isCut(this.#window, this.#next)
    ) {
      ended = [{ startUs, endUs: before.timeUs }]
      this.#shotStartUs = frame.timeUs
    }
    this.#next += 1
    if (this.#next > KEPT_FRAMES) {
      this.#window.shift()
      this.#next -= 1
    }
    return ended
  }
}

/** Frames after the one in question that are looked at. */
const LOOK_AHEAD_FRAMES = 4
/** Frames before it; at the end of a video, where some after it are missing, twice as many. */
const LOOK_BACK_FRAMES = 4
const KEPT_FRAMES = 2 * LOOK_BACK_FRAMES
/** No shot is shorter, the last of a video aside. */
const SHORTEST_SHOT_US = 400_000
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

function isCut(window: readonly FrameSignature[], at: number): boolean {
  const frame = window[at]
  if (frame === undefined) return false
  const still = frame.colourChange < STILL_COLOURS
  if (frame.change < (still ? LEAST_CHANGE_IN_COLOUR : LEAST_CHANGE)) return false
  const { mean, secondLargest } = changesAround(window, at)
  if (frame.change < secondLargest * OVER_NEIGHBOURS) return false
  const needed = frame.colourChange >= COLOUR_CUT ? CUT_RATIO / 2 : CUT_RATIO
  return frame.change >= needed * Math.max(mean, QUIET_CHANGE) && !isFlash(window, at)
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

/** Whether the picture before comes back after up to three frames, or this one was there up to four frames ago. */
function isFlash(window: readonly FrameSignature[], at: number): boolean {
  const frame = window[at]
  const before = window[at - 1]
  if (frame === undefined || before === undefined) return false
  const same = frame.change * COMES_BACK
  for (const after of window.slice(at + 1, at + 4))
    if (difference(before, after) < same) return true
  for (const earlier of window.slice(Math.max(0, at - 4), Math.max(0, at - 1))) {
    if (difference(earlier, frame) < same) return true
  }
  return false
}
