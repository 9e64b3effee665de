/**
 * Where one shot passes into the next over several frames: dissolves, and fades to and from black,
 * white or any other plain picture. One transition is one place, its middle.
 *
 * Frames come one by one, in the order of time, and a frame that is a hard cut ends every transition
 * that is under way: none lies across a cut. What is looked at are samples, frames at least 28 ms
 * apart, so that a video of 60 frames a second is seen as one of 30.
 */
import { DissolveFinder } from './dissolves.ts'
import { FadeFinder } from './fades.ts'
import { spreadOf, type FrameSignature } from './frame-signature.ts'
import type { Sample, Transition } from './sample.ts'

/** Frames that follow closer are passed over. */
const SAMPLE_US = 28_000
/** Dissolves whose middles are nearer than this are one. */
const ONE_DISSOLVE_US = 800_000
/** For dissolves of up to half a second, of up to one, and longer ones. */
const STRIDES = [1, 2, 3]

/** Finds the gradual transitions of one video. */
export class TransitionFinder {
  readonly #dissolves = STRIDES.map((stride) => new DissolveFinder(stride))
  readonly #fades = new FadeFinder()
  #lastSampleUs: number | undefined
  #lastDissolveUs = Number.NEGATIVE_INFINITY

  /** Takes the next frame; gives the transitions that have ended, in the order of time. */
  push(frame: FrameSignature, beforeUs: number): readonly Transition[] {
    const last = this.#lastSampleUs
    if (last !== undefined && frame.timeUs - last < SAMPLE_US) return []
    this.#lastSampleUs = frame.timeUs
    const sample: Sample = { ...frame, beforeUs, spread: spreadOf(frame) }
    const faded = this.#fades.push(sample)
    if (this.#fades.underWay) {
      for (const dissolves of this.#dissolves) dissolves.reset()
      return faded
    }
    return [...faded, ...this.#merged(this.#dissolves.flatMap((it) => it.push(sample)))]
  }

  /** Says that the next frame is a hard cut, or that none follows; gives the transitions before it. */
  cut(): readonly Transition[] {
    const faded = this.#fades.cut()
    const dissolved = this.#dissolves.flatMap((it) => it.end())
    return [...faded, ...this.#merged(dissolved)]
  }

  /** A dissolve that is found at two strides is one. */
  #merged(found: readonly Transition[]): readonly Transition[] {
    const merged: Transition[] = []
    for (const dissolve of found.toSorted((a, b) => a.startUs - b.startUs)) {
      if (dissolve.startUs - this.#lastDissolveUs < ONE_DISSOLVE_US) continue
      this.#lastDissolveUs = dissolve.startUs
      merged.push(dissolve)
    }
    return merged
  }
}
