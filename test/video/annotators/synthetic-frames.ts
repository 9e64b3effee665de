/** Frames that no decoder has made: textures that pan, with grain, from a seed. */
import {
  FRAME_BYTES,
  FRAME_HEIGHT,
  FRAME_WIDTH,
  PLANE_BYTES,
  type Frame,
} from '../../../video/annotators/frames.ts'

/** One stretch of pictures. */
export interface Scene {
  readonly frames: number
  /** Which texture. */
  readonly seed: number
  /** Mean brightness, 0 to 255. */
  readonly brightness?: number
  /** Pixels the picture moves a frame. */
  readonly speed?: number
  /** Each picture is shown so many times. */
  readonly repeat?: number
  /** How far the texture departs from the mean. */
  readonly contrast?: number
}

/** A small generator of numbers in [0, 1), the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** The pictures of these scenes, one after the other, 25 a second. */
export function film(scenes: readonly Scene[], { grain = 2, frameUs = 40_000 } = {}): Frame[] {
  const random = seeded(7)
  const frames: Frame[] = []
  for (const scene of scenes) {
    const texture = textureOf(scene)
    for (let i = 0; i < scene.frames; i += 1) {
      const step = Math.floor(i / (scene.repeat ?? 1))
      const pixels = new Uint8Array(FRAME_BYTES)
      const shift = step * (scene.speed ?? 0.3)
      for (let p = 0; p < FRAME_BYTES; p += 1) {
        const plane = Math.floor(p / PLANE_BYTES)
        const x = p % FRAME_WIDTH
        const y = Math.floor((p % PLANE_BYTES) / FRAME_WIDTH)
        pixels[p] = Math.max(
          0,
          Math.min(255, texture(plane, x + shift, y) + (random() - 0.5) * grain),
        )
      }
      frames.push({ timeUs: frames.length * frameUs, pixels })
    }
  }
  return frames
}

/** The same frames with one of them as bright as can be. */
export function withFlash(frames: readonly Frame[], at: number, length = 1): Frame[] {
  return frames.map((frame, i) =>
    i < at || i >= at + length
      ? frame
      : { timeUs: frame.timeUs, pixels: frame.pixels.map((p, k) => (k < PLANE_BYTES ? 250 : p)) },
  )
}

/** The same frames, `at` being half of the one before and half itself, as where a film was converted to another rate. */
export function withBlend(frames: readonly Frame[], at: number): Frame[] {
  const before = frames[at - 1]
  return frames.map((frame, i) =>
    i !== at || before === undefined
      ? frame
      : {
          timeUs: frame.timeUs,
          pixels: frame.pixels.map((p, k) => (p + (before.pixels[k] ?? 0)) / 2),
        },
  )
}

/** The last `length` frames of one film dissolving into the first of another. */
export function dissolved(a: readonly Frame[], b: readonly Frame[], length: number): Frame[] {
  const kept = a.length - length
  const mixed = b.slice(0, length).map(({ pixels }, i) => {
    const from = a[kept + i]?.pixels ?? pixels
    const share = (i + 1) / (length + 1)
    return pixels.map((p, k) => Math.round((from[k] ?? 0) * (1 - share) + p * share))
  })
  const rest = b.slice(length).map(({ pixels }) => pixels)
  const before = a.slice(0, kept).map(({ pixels }) => pixels)
  return numbered([...before, ...mixed, ...rest])
}

/** Plain frames: brightness of every pixel, and no colour. */
export function plainFilm(frames: number, brightness: number): Frame[] {
  const pixels = new Uint8Array(FRAME_BYTES).fill(128)
  pixels.fill(brightness, 0, PLANE_BYTES)
  return numbered(Array.from({ length: frames }, () => pixels))
}

/** Films one after the other. */
export function joined(...films: readonly (readonly Frame[])[]): Frame[] {
  return numbered(films.flat().map(({ pixels }) => pixels))
}

function numbered(pictures: readonly Uint8Array[], frameUs = 40_000): Frame[] {
  return pictures.map((pixels, i) => ({ timeUs: i * frameUs, pixels }))
}

function textureOf({ seed, brightness = 120, contrast = 50 }: Scene) {
  const random = seeded(seed)
  const waves = Array.from({ length: 3 }, () => ({
    mean: 128 + (random() - 0.5) * 80,
    fx: 0.05 + random() * 0.3,
    fy: (0.05 + random() * 0.3) * (FRAME_HEIGHT / FRAME_WIDTH),
    phase: random() * 6,
  }))
  return (plane: number, x: number, y: number): number => {
    const wave = waves[plane]
    if (wave === undefined) return 128
    const mean = plane === 0 ? brightness : wave.mean
    return mean + contrast * Math.sin(wave.fx * x + wave.phase) * Math.cos(wave.fy * y + wave.phase)
  }
}
