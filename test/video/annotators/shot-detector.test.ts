import { describe, expect, it } from 'vitest'
import { difference } from '../../../video/annotators/frame-signature.ts'
import type { Frame } from '../../../video/annotators/frames.ts'
import { ShotDetector } from '../../../video/annotators/shot-detector.ts'
import { drawnSeed } from '../../seed.ts'
import { film, seeded, withBlend, withFlash, type Scene } from './synthetic-frames.ts'

const FRAME_US = 40_000

function shotsOf(frames: readonly Frame[]) {
  const detector = new ShotDetector()
  return [...frames.flatMap((frame) => [...detector.push(frame)]), ...detector.finish()]
}

/** The numbers of the frames that begin a shot, the first shot aside. */
function cutsOf(frames: readonly Frame[]): number[] {
  return shotsOf(frames)
    .slice(1)
    .map(({ startUs }) => Math.round(startUs / FRAME_US))
}

describe('the shot detector', () => {
  it('finds one shot in a film without a cut, from its first frame to its last', () => {
    expect(shotsOf(film([{ frames: 100, seed: 1 }]))).toEqual([
      { startUs: 0, endUs: 99 * FRAME_US },
    ])
  })

  it('ends a shot with its last frame and begins the next with the frame after it', () => {
    const frames = film([
      { frames: 30, seed: 1 },
      { frames: 40, seed: 2 },
    ])
    expect(shotsOf(frames)).toEqual([
      { startUs: 0, endUs: 29 * FRAME_US },
      { startUs: 30 * FRAME_US, endUs: 69 * FRAME_US },
    ])
  })

  it('finds nothing in no frames and one shot in one', () => {
    expect(shotsOf([])).toEqual([])
    expect(shotsOf(film([{ frames: 1, seed: 1 }]))).toEqual([{ startUs: 0, endUs: 0 }])
  })

  it('finds every cut of films of random scenes, and nothing else', () => {
    const seed = drawnSeed(1e6)
    const random = seeded(seed)
    const scenes: Scene[] = Array.from({ length: 40 }, (_, i) => ({
      frames: 11 + Math.floor(random() * 40),
      seed: i * 17 + seed,
      brightness: 50 + random() * 150,
      speed: random() * 0.8,
    }))
    let at = 0
    const wanted = scenes.slice(0, -1).map(({ frames }) => (at += frames))
    expect(cutsOf(film(scenes)), `seed ${seed}`).toEqual(wanted)
  })

  it('finds a cut between two dark pictures of the same colours', () => {
    const dark = { frames: 30, brightness: 22, contrast: 14, speed: 0.1 }
    const frames = film([
      { ...dark, seed: 3 },
      { ...dark, seed: 4 },
    ])
    expect(cutsOf(frames)).toEqual([30])
  })

  it('finds a cut into a scene that moves fast', () => {
    const frames = film([
      { frames: 30, seed: 5, speed: 0 },
      { frames: 30, seed: 6, speed: 3 },
    ])
    expect(cutsOf(frames)).toEqual([30])
  })

  it.each([1, 2, 3])('does not take a flash of %i frames for a cut', (length) => {
    expect(cutsOf(withFlash(film([{ frames: 60, seed: 1 }]), 30, length))).toEqual([])
  })

  it('finds a cut ten frames after a flash', () => {
    const frames = film([
      { frames: 40, seed: 1 },
      { frames: 40, seed: 2 },
    ])
    expect(cutsOf(withFlash(frames, 30))).toEqual([40])
  })

  it('finds a cut whose first frame is blended with the one before, within one frame', () => {
    const frames = film([
      { frames: 40, seed: 1 },
      { frames: 40, seed: 2 },
    ])
    const [cut, ...others] = cutsOf(withBlend(frames, 40))
    expect(others).toEqual([])
    expect([40, 41]).toContain(cut)
  })

  it.each([1, 2, 3, 4])(
    'does not take motion for cuts where each picture is shown %i times',
    (repeat) => {
      expect(cutsOf(film([{ frames: 120, seed: 9, speed: 4, repeat }], { grain: 0 }))).toEqual([])
    },
  )

  it('does not take a jolt of the camera for a cut, in an otherwise still picture', () => {
    const still = { seed: 4, speed: 0, contrast: 40 }
    const before = film([{ ...still, frames: 40 }])
    const after = film([{ ...still, frames: 41, speed: 1.5 }]).slice(1, 2)
    const frames = [...before, ...Array.from({ length: 40 }, () => after).flat()].map(
      ({ pixels }, i) => ({ timeUs: i * FRAME_US, pixels }),
    )
    expect(difference(before[39] as Frame, after[0] as Frame)).toBeGreaterThan(4)
    expect(cutsOf(frames)).toEqual([])
  })

  it('does not take a slow change of light for a cut', () => {
    const frames = film([{ frames: 80, seed: 1 }]).map(({ timeUs, pixels }, i) => ({
      timeUs,
      pixels: pixels.map((p, k) => (k < 2304 ? p * (0.3 + 0.7 * (i / 80)) : p)),
    }))
    expect(cutsOf(frames)).toEqual([])
  })

  it('makes no shot shorter than 0.4 seconds', () => {
    const frames = film([
      { frames: 6, seed: 1 },
      { frames: 20, seed: 2 },
      { frames: 6, seed: 3 },
      { frames: 30, seed: 4 },
    ])
    for (const { startUs, endUs } of shotsOf(frames))
      expect(endUs + FRAME_US - startUs).toBeGreaterThanOrEqual(400_000)
  })

  it('finds a cut in the last frames, where nothing is ahead to look at', () => {
    const frames = film([
      { frames: 40, seed: 1 },
      { frames: 2, seed: 2 },
    ])
    expect(cutsOf(frames)).toEqual([40])
  })

  it('tells a shot at most four frames after the next one began, and says how far it is sure', () => {
    const detector = new ShotDetector()
    const frames = film([
      { frames: 30, seed: 1 },
      { frames: 30, seed: 2 },
    ])
    for (const [i, frame] of frames.entries()) {
      const ended = detector.push(frame)
      expect(ended.length).toBe(i === 34 ? 1 : 0)
      expect(detector.openShotUs).toBe(i < 34 ? 0 : 30 * FRAME_US)
    }
  })
})
