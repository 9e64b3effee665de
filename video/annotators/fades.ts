/**
 * Fades: a picture that loses its contrast until it is plain, black or white, and the next that wins
 * its own. Out and in are one transition if the plain picture stays for at most two seconds; where it
 * stays longer, it is a shot of its own and each fade a transition.
 *
 * A hard cut on one side is the transition itself, and the fade on the other side belongs to it. A
 * fade-in at the beginning of a video and a fade-out at its end lead from or to no shot; and where
 * the picture that comes is the one that went, there was none.
 */
import { likeness } from './frame-signature.ts'
import type { Sample, Transition } from './sample.ts'

/** A picture whose brightness departs less from its mean is plain. */
const PLAIN_SPREAD = 5
/** A fade takes at least so many samples. */
const LEAST_FADE_SAMPLES = 3
/** And at most so many count. */
const MAX_FADE_SAMPLES = 100
/** In a fade the contrast passes what it was by at least this part... */
const LEAST_SLOPE = 0.005
/** ...within so many samples: what moves under it makes it uneven. */
const LEVEL_SAMPLES = 5
/** A plain picture that stays longer is a shot. */
const LONGEST_HOLD_US = 2_000_000
/** A picture that comes back is so much like the one that went. */
const COMES_BACK = 0.7

/** How the plain picture came about. */
type Entry = 'start' | 'cut' | 'fade'

interface Plain {
  readonly entry: Entry
  /** The samples of the fade that led to it, the first one with full contrast. */
  readonly out: readonly Sample[]
  /** The plain samples. */
  readonly held: Sample[]
  /** Whether it has stayed so long that it is a shot. */
  isShot: boolean
  /** The samples after it, while they win contrast. */
  readonly rising: Sample[]
}

/** Finds fades. */
export class FadeFinder {
  #plain: Plain | undefined
  /** The last samples before the one that comes. */
  #recent: Sample[] = []
  #atStart = true

  /** Whether the picture is plain, or wins its contrast. */
  get underWay(): boolean {
    return this.#plain !== undefined
  }

  /** Takes the next sample; gives the transitions that have ended with it. */
  push(sample: Sample): readonly Transition[] {
    const isPlain = sample.spread < PLAIN_SPREAD
    let found: readonly Transition[] = []
    if (this.#plain === undefined) {
      if (isPlain) this.#plain = this.#begin(sample)
    } else if (isPlain && this.#plain.rising.length === 0) found = this.#hold(this.#plain, sample)
    else found = this.#rise(this.#plain, sample)
    this.#recent.push(sample)
    if (this.#recent.length > MAX_FADE_SAMPLES) this.#recent.shift()
    return found
  }

  /** The next frame is a hard cut, or none follows. */
  cut(): readonly Transition[] {
    const plain = this.#plain
    const found = plain !== undefined && plain.rising.length > 0 ? this.#conclude(plain) : []
    this.#plain = undefined
    this.#recent = []
    this.#atStart = false
    return found
  }

  #begin(sample: Sample): Plain {
    const out = climb(sample, this.#recent.toReversed()).toReversed()
    let entry: Entry = out.length >= LEAST_FADE_SAMPLES ? 'fade' : 'cut'
    if (this.#recent.length === 0 && this.#atStart) entry = 'start'
    return { entry, out, held: [sample], isShot: false, rising: [] }
  }

  #hold(plain: Plain, sample: Sample): readonly Transition[] {
    if (plain.isShot) return []
    plain.held.push(sample)
    if (sample.timeUs - (plain.held[0]?.timeUs ?? 0) <= LONGEST_HOLD_US) return []
    plain.isShot = true
    return plain.entry === 'fade' ? [middleOf(plain.out)] : []
  }

  #rise(plain: Plain, sample: Sample): readonly Transition[] {
    plain.rising.push(sample)
    const climbed = climb(plain.held.at(-1) ?? sample, plain.rising)
    const level = plain.rising.length - climbed.length
    if (level < LEVEL_SAMPLES && climbed.length < MAX_FADE_SAMPLES) return []
    this.#plain = undefined
    this.#atStart = false
    this.#recent = []
    return this.#conclude(plain)
  }

  /** The plain picture has gone over into another one. */
  #conclude({ entry, out, held, isShot, rising: after }: Plain): readonly Transition[] {
    const rising = climb(held.at(-1), after)
    if (isShot) return rising.length === 0 ? [] : [middleOf(rising)]
    if (entry !== 'fade') return []
    const [from] = out
    const to = rising.at(-1)
    if (from === undefined || to === undefined) return []
    if (likeness(from, to) > COMES_BACK) return []
    return [middleOf([...out, ...held, ...rising])]
  }
}

/** Samples from a plain one on, up to the last that has more contrast than all before it. */
function climb(plain: Sample | undefined, samples: readonly Sample[]): readonly Sample[] {
  let peak = plain?.spread ?? 0
  let length = 0
  for (const [i, { spread }] of samples.entries()) {
    if (i - length >= LEVEL_SAMPLES) break
    if (spread < peak * (1 + LEAST_SLOPE)) continue
    peak = spread
    length = i + 1
  }
  return samples.slice(0, length)
}

/** The frame in the middle of the time that samples take. */
function middleOf(samples: readonly Sample[]): Transition {
  const startUs = samples[0]?.timeUs ?? 0
  const middleUs = (startUs + (samples.at(-1)?.timeUs ?? 0)) / 2
  const middle = samples.find(({ timeUs }) => timeUs >= middleUs)
  return { startUs: middle?.timeUs ?? startUs, beforeUs: middle?.beforeUs ?? startUs }
}
