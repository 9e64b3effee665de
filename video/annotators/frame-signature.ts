/**
 * What two frames of one shot have in common, as numbers: how far their pixels differ, and how far
 * their colours do. Motion changes the first more than the second, a change of light the reverse; a
 * cut changes both.
 */
import { FRAME_BYTES, PLANE_BYTES, type Frame } from './frames.ts'

/** A frame and how it differs from the one before. */
export interface FrameSignature {
  readonly timeUs: number
  readonly pixels: Uint8Array
  readonly histogram: Uint16Array
  /** Mean absolute difference of the pixels to the frame before, 0 to 255. */
  readonly change: number
  /** Distance of the histograms to the frame before, 0 (same colours) to 1 (none in common). */
  readonly colourChange: number
}

/** The signature of `frame`; without a frame before it nothing has changed. */
export function signatureOf(frame: Frame, before: FrameSignature | undefined): FrameSignature {
  const histogram = histogramOf(frame.pixels)
  return {
    timeUs: frame.timeUs,
    pixels: frame.pixels,
    histogram,
    change: before === undefined ? 0 : difference(before, frame),
    colourChange: before === undefined ? 0 : histogramDistance(before.histogram, histogram),
  }
}

/** Mean absolute difference of two frames' pixels over all three planes, 0 to 255. */
export function difference(
  a: { readonly pixels: Uint8Array },
  b: { readonly pixels: Uint8Array },
): number {
  const left = a.pixels
  const right = b.pixels
  let sum = 0
  for (let i = 0; i < FRAME_BYTES; i += 1) {
    const d = (left[i] ?? 0) - (right[i] ?? 0)
    sum += d < 0 ? -d : d
  }
  return sum / FRAME_BYTES
}

/** Mean absolute difference of a frame's pixels to the means of two others', 0 to 255. */
export function mixtureError(
  middle: { readonly pixels: Uint8Array },
  a: { readonly pixels: Uint8Array },
  b: { readonly pixels: Uint8Array },
): number {
  let sum = 0
  for (let i = 0; i < FRAME_BYTES; i += 1) {
    const mean = ((a.pixels[i] ?? 0) + (b.pixels[i] ?? 0)) / 2
    sum += Math.abs((middle.pixels[i] ?? 0) - mean)
  }
  return sum / FRAME_BYTES
}

/** How alike the shapes of two frames are, whatever their light and contrast: the correlation of their brightness, -1 to 1. */
export function likeness(
  a: { readonly pixels: Uint8Array },
  b: { readonly pixels: Uint8Array },
): number {
  let [sumA, sumB, squaresA, squaresB, products] = [0, 0, 0, 0, 0]
  for (let i = 0; i < PLANE_BYTES; i += 1) {
    const x = a.pixels[i] ?? 0
    const y = b.pixels[i] ?? 0
    sumA += x
    sumB += y
    squaresA += x * x
    squaresB += y * y
    products += x * y
  }
  const spreadA = squaresA - (sumA * sumA) / PLANE_BYTES
  const spreadB = squaresB - (sumB * sumB) / PLANE_BYTES
  const both = Math.sqrt(spreadA * spreadB)
  return both === 0 ? 0 : (products - (sumA * sumB) / PLANE_BYTES) / both
}

/** Standard deviation of a frame's brightness, 0 for a plain picture. */
export function spreadOf({ pixels }: { readonly pixels: Uint8Array }): number {
  let sum = 0
  let squares = 0
  for (let i = 0; i < PLANE_BYTES; i += 1) {
    const level = pixels[i] ?? 0
    sum += level
    squares += level * level
  }
  const mean = sum / PLANE_BYTES
  return Math.sqrt(Math.max(0, squares / PLANE_BYTES - mean * mean))
}

/** 32 levels of brightness and 32 of each colour difference. */
const LEVELS = 32
const LEVEL_SHIFT = 3

function histogramOf(pixels: Uint8Array): Uint16Array {
  const counts = new Uint16Array(3 * LEVELS)
  for (let plane = 0; plane < 3; plane += 1) {
    const end = (plane + 1) * PLANE_BYTES
    for (let i = plane * PLANE_BYTES; i < end; i += 1) {
      const level = plane * LEVELS + ((pixels[i] ?? 0) >> LEVEL_SHIFT)
      counts[level] = (counts[level] ?? 0) + 1
    }
  }
  return counts
}

/** Distance of two histograms, 0 (same colours) to 1 (none in common). */
export function histogramDistance(a: Uint16Array, b: Uint16Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i += 1) sum += Math.abs((a[i] ?? 0) - (b[i] ?? 0))
  return sum / (2 * 3 * PLANE_BYTES)
}
