/** What gradual transitions are looked for in, and what is found. */
import type { FrameSignature } from './frame-signature.ts'

/** A frame that transitions are looked for in. */
export interface Sample extends FrameSignature {
  /** When the frame before it is shown, sample or not. */
  readonly beforeUs: number
  /** How far its brightness departs from its mean: none in a plain picture. */
  readonly spread: number
}

/** The middle of a transition: the frame that begins the next shot, and the frame before. */
export interface Transition {
  readonly startUs: number
  readonly beforeUs: number
}
