/**
 * Dissolves: pictures that are a mixture of what was before and what comes after. A dissolve is
 * centred in a window of twelve steps if the window's ends differ much, in pixels and in colours; if
 * no single step is a large part of that and all steps together are hardly more, so that the picture
 * has gone straight from one end to the other; and if the picture in the middle is the mean of both
 * ends, pixel by pixel. Motion may pass the first tests, but not the last: what moves is somewhere
 * else in the middle, not in two places half as bright.
 */
import { difference, histogramDistance, likeness, mixtureError } from './frame-signature.ts'
import type { Sample, Transition } from './sample.ts'

/** Steps of the window. */
const WINDOW_STEPS = 12
/** How far its ends differ at least: pixels, 0 to 255, and colours, 0 to 1. */
const LEAST_CHANGE = 18
const LEAST_COLOUR_CHANGE = 0.22
/** No step is so large a part of that. */
const LARGEST_STEP = 0.35
/** All steps together are less than so many times that. */
const MOST_DETOUR = 1.7
/** How far the middle may be from the mean of both ends, as a part of their difference. */
const MIXTURE_ERROR = 0.3
/** Ends whose shapes are so much alike are one picture in another light. */
const CHANGE_OF_LIGHT = 0.7
/** Contrasts of the ends that are so near to each other are no fade. */
const SIMILAR_CONTRAST = 0.75
/** In a fade the middle has the mean contrast of the ends, or hardly less. */
const EVEN_CONTRAST = 0.9
/** A dissolve is over after so many windows, whatever they show. */
const MAX_MIDDLES = 100
/** So many windows in a row that show no dissolve end one. */
const GAP_SAMPLES = 4

/** Finds dissolves in samples that are `stride` apart. */
export class DissolveFinder {
  readonly #stride: number
  #count = 0
  /** Every stride-th sample, the newest last, with the change from the one before. */
  #samples: SteppedSample[] = []
  /** The middles of the windows that show the dissolve that is under way. */
  #middles: Sample[] = []
  #gap = 0

  constructor(stride: number) {
    this.#stride = stride
  }

  /** Takes the next sample; gives the dissolve that has ended with it. */
  push(sample: Sample): readonly Transition[] {
    this.#count += 1
    if (this.#count % this.#stride !== 0) return []
    const before = this.#samples.at(-1)
    const step = before === undefined ? 0 : difference(before.sample, sample)
    this.#samples.push({ sample, step })
    if (this.#samples.length > WINDOW_STEPS + 1) this.#samples.shift()
    const middle = this.#dissolvedMiddle()
    if (middle !== undefined) {
      this.#middles.push(middle)
      this.#gap = 0
      return this.#middles.length < MAX_MIDDLES ? [] : this.#close()
    }
    this.#gap += 1
    return this.#gap >= GAP_SAMPLES ? this.#close() : []
  }

  /** No sample follows, or the next one is of another shot. */
  end(): readonly Transition[] {
    const found = this.#close()
    this.reset()
    return found
  }

  /** Forgets everything: a dissolve that is under way is none. */
  reset(): void {
    this.#samples = []
    this.#middles = []
    this.#gap = 0
  }

  #close(): readonly Transition[] {
    const middle = this.#middles[this.#middles.length >> 1]
    this.#middles = []
    return middle === undefined ? [] : [{ startUs: middle.timeUs, beforeUs: middle.beforeUs }]
  }

  /** The sample in the middle of the window, if a dissolve is centred there. */
  #dissolvedMiddle(): Sample | undefined {
    const [first] = this.#samples
    const middle = this.#samples[WINDOW_STEPS / 2]?.sample
    const last = this.#samples[WINDOW_STEPS]?.sample
    if (first === undefined || middle === undefined || last === undefined) return undefined
    const change = difference(first.sample, last)
    if (change <= LEAST_CHANGE) return undefined
    let sum = 0
    for (const { step } of this.#samples.slice(1)) {
      if (step >= LARGEST_STEP * change) return undefined
      sum += step
    }
    if (sum >= MOST_DETOUR * change) return undefined
    if (histogramDistance(first.sample.histogram, last.histogram) <= LEAST_COLOUR_CHANGE) {
      return undefined
    }
    if (likeness(first.sample, last) > CHANGE_OF_LIGHT) return undefined
    if (isFading(first.sample, middle, last)) return undefined
    const error = mixtureError(middle, first.sample, last)
    return error < MIXTURE_ERROR * change ? middle : undefined
  }
}

/**
 * Whether contrast comes or goes evenly, as in a fade. A mixture of two pictures has less contrast
 * than they have on average, for their shapes are not the same.
 */
function isFading(first: Sample, middle: Sample, last: Sample): boolean {
  const most = Math.max(first.spread, last.spread)
  const least = Math.min(first.spread, last.spread)
  return least < SIMILAR_CONTRAST * most && middle.spread > (EVEN_CONTRAST * (most + least)) / 2
}

interface SteppedSample {
  readonly sample: Sample
  /** Mean absolute difference of the pixels to the sample before. */
  readonly step: number
}
