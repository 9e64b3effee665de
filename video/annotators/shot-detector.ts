/**
 * Where one shot ends and the next begins: frames in, finished shots out. A shot ends with a hard cut
 * (hard-cuts.ts), or in the middle of a gradual transition (gradual-transitions.ts).
 *
 * Hard cuts come first: each is decided by the frames right around it, and a gradual transition so
 * near to one that a shot of less than 0.4 s would come between is none. So a transition that has
 * ended waits for 0.4 s more of video before it counts, and a hard cut waits for nothing. Frames of
 * a flash are shown to nobody: the picture goes on as if they were not there.
 *
 * It is a pure function of the frames: no clock, no chance, no state besides the last frames.
 * Rejected: ffmpeg's scdet and scene filters, which report every flash, find no gradual transition
 * and differ between versions.
 */
import type { Shot } from '../schemas.ts'
import { signatureOf, type FrameSignature } from './frame-signature.ts'
import type { Frame } from './frames.ts'
import { TransitionFinder } from './gradual-transitions.ts'
import {
  FLASH_FRAMES,
  KEPT_FRAMES,
  LOOK_AHEAD_FRAMES,
  stepAt,
  type FrameStep,
} from './hard-cuts.ts'
import type { Transition } from './sample.ts'

/** No shot is shorter, the last of a video aside. */
const SHORTEST_SHOT_US = 400_000

/** Finds the shots of one video. */
export class ShotDetector {
  /** Up to eight decided frames, the one to decide next, and up to four after it. */
  #window: FrameSignature[] = []
  /** Where in the window the next frame to decide is. */
  #next = 0
  /** When the shot began that has not ended; undefined before the first frame. */
  #shotStartUs: number | undefined
  #transitions = new TransitionFinder()
  /** Transitions that no hard cut has come near to yet, in the order of time. */
  #waiting: Transition[] = []
  /** Frames of the flash that is on the screen. */
  #flashFrames = 0

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
    this.#waiting.push(...this.#transitions.cut())
    if (last !== undefined) shots.push(...this.#endAtTransitions(last.timeUs))
    if (this.#shotStartUs !== undefined && last !== undefined) {
      shots.push({ startUs: this.#shotStartUs, endUs: last.timeUs })
    }
    this.#window = []
    this.#next = 0
    this.#shotStartUs = undefined
    this.#transitions = new TransitionFinder()
    this.#waiting = []
    return shots
  }

  /** When the shot began that has not ended: everything before is final. */
  get openShotUs(): number {
    return this.#shotStartUs ?? 0
  }

  #decideNext(): readonly Shot[] {
    const frame = this.#window[this.#next]
    const before = this.#window[this.#next - 1]
    const ended = frame === undefined ? [] : this.#decide(frame, before)
    this.#next += 1
    if (this.#next > KEPT_FRAMES) {
      this.#window.shift()
      this.#next -= 1
    }
    return ended
  }

  #decide(frame: FrameSignature, before: FrameSignature | undefined): readonly Shot[] {
    if (before === undefined) {
      this.#shotStartUs = frame.timeUs
      this.#transitions.push(frame, frame.timeUs)
      return []
    }
    const step = stepAt(this.#window, this.#next)
    if (step === 'cut') return this.#decideCut(frame, before)
    if (this.#isFlash(step)) return []
    this.#waiting.push(...this.#transitions.push(frame, before.timeUs))
    return this.#endAtTransitions(frame.timeUs)
  }

  #decideCut(frame: FrameSignature, before: FrameSignature): readonly Shot[] {
    this.#waiting.push(...this.#transitions.cut())
    const shots = [...this.#endAtTransitions(frame.timeUs)]
    this.#waiting = []
    this.#flashFrames = 0
    this.#transitions.push(frame, before.timeUs)
    const startUs = this.#shotStartUs ?? 0
    if (frame.timeUs - startUs < SHORTEST_SHOT_US) return shots
    this.#shotStartUs = frame.timeUs
    return [...shots, { startUs, endUs: before.timeUs }]
  }

  /** The shots that end with transitions which lie far enough before `nowUs`. */
  #endAtTransitions(nowUs: number): readonly Shot[] {
    const shots: Shot[] = []
    for (
      let [transition] = this.#waiting;
      transition !== undefined && nowUs - transition.startUs >= SHORTEST_SHOT_US;
      [transition] = this.#waiting
    ) {
      this.#waiting.shift()
      const startUs = this.#shotStartUs ?? 0
      if (transition.startUs - startUs < SHORTEST_SHOT_US) continue
      shots.push({ startUs, endUs: transition.beforeUs })
      this.#shotStartUs = transition.startUs
    }
    return shots
  }

  /** Whether a frame is one of a flash. */
  #isFlash(step: Exclude<FrameStep, 'cut'>): boolean {
    const goesOn = this.#flashFrames > 0 && this.#flashFrames < FLASH_FRAMES && step === 'same'
    this.#flashFrames = step === 'flash' || goesOn ? this.#flashFrames + 1 : 0
    return this.#flashFrames > 0
  }
}
