import { describe, expect, it } from 'vitest'
import { openDecoder, FrameStream, type Frame } from '../../../video/annotators/frames.ts'
import { ShotDetector } from '../../../video/annotators/shot-detector.ts'
import { findFfmpeg } from '../../../video/ffmpeg.ts'
import { dissolved, film, joined, plainFilm, withFlash } from './synthetic-frames.ts'
import { makeTransitionClip, type KnownTransition } from './transition-clips.ts'

const FRAME_US = 40_000
const BLACK = 16
const WHITE = 235

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

function scene(seed: number, frames = 60): Frame[] {
  return film([{ frames, seed, speed: 0.2, brightness: 90 + ((seed * 37) % 80) }])
}

/** A scene that fades to a plain picture and another that comes out of it. */
function fadedThrough(brightness: number, { fade = 12, hold = 5, second = 2 } = {}): Frame[] {
  const out = dissolved(scene(1), plainFilm(fade + hold, brightness), fade)
  return dissolved(joined(out, plainFilm(fade, brightness)), scene(second), fade)
}

describe('a dissolve', () => {
  it.each([4, 8, 12, 25, 40])('of %i frames is one cut in its middle', (length) => {
    const frames = dissolved(scene(1, 90), scene(2, 90), length)
    const cuts = cutsOf(frames)
    expect(cuts.length).toBe(1)
    expect(Math.abs((cuts[0] ?? 0) - (90 - length / 2))).toBeLessThanOrEqual(2 + length / 10)
  })

  it('ends one shot with the frame before the next, like a cut', () => {
    const [first, second] = shotsOf(dissolved(scene(1), scene(2), 10))
    expect(second?.startUs).toBe((first?.endUs ?? 0) + FRAME_US)
  })

  it('is found at 50 frames a second as it is at 25', () => {
    const frames = dissolved(scene(1, 120), scene(2, 120), 30)
    const faster = frames.map(({ pixels }, i) => ({ timeUs: i * 20_000, pixels }))
    const [, second, ...others] = shotsOf(faster)
    expect(others).toEqual([])
    expect(Math.abs((second?.startUs ?? 0) / 20_000 - 105)).toBeLessThanOrEqual(3)
  })

  it('leaves the hard cuts around it where they are', () => {
    const frames = joined(scene(3, 40), dissolved(scene(1), scene(2), 12), scene(4, 40))
    const [first, middle, last, ...others] = cutsOf(frames)
    expect([first, last, ...others]).toEqual([40, 148])
    expect(Math.abs((middle ?? 0) - 94)).toBeLessThanOrEqual(3)
  })

  it('gives way to a hard cut that is nearer than the shortest shot', () => {
    const short = dissolved(scene(1), scene(2, 14), 12)
    expect(cutsOf(joined(short, scene(3)))).toEqual([62])
  })

  it('is found with a flash beside it', () => {
    const frames = withFlash(dissolved(scene(1), scene(2), 12), 40, 2)
    expect(cutsOf(frames).length).toBe(1)
  })
})

describe('a fade', () => {
  it.each([
    ['black', BLACK],
    ['white', WHITE],
    ['grey', 128],
  ])('to %s and from it is one cut in its middle', (_, brightness) => {
    const cuts = cutsOf(fadedThrough(brightness))
    expect(cuts.length).toBe(1)
    expect(Math.abs((cuts[0] ?? 0) - 62)).toBeLessThanOrEqual(4)
  })

  it('is two cuts where black stays long enough to be a shot', () => {
    const cuts = cutsOf(fadedThrough(BLACK, { hold: 70 }))
    expect(cuts.length).toBe(2)
    expect(Math.abs((cuts[0] ?? 0) - 54)).toBeLessThanOrEqual(4)
    expect(Math.abs((cuts[1] ?? 0) - 136)).toBeLessThanOrEqual(4)
  })

  it('belongs to the hard cut that follows it', () => {
    const out = dissolved(scene(1), plainFilm(20, BLACK), 12)
    expect(cutsOf(joined(out, scene(2)))).toEqual([68])
  })

  it('belongs to the hard cut before it', () => {
    const into = dissolved(plainFilm(20, BLACK), scene(2), 12)
    expect(cutsOf(joined(scene(1), into))).toEqual([60])
  })

  it('is no cut at the beginning of a video and at its end', () => {
    const into = dissolved(plainFilm(30, BLACK), scene(1), 25)
    expect(cutsOf(dissolved(into, plainFilm(40, BLACK), 25))).toEqual([])
  })

  it('is no cut where the same picture comes back', () => {
    const still = { seed: 1, speed: 0, frames: 60 }
    const out = dissolved(film([still]), plainFilm(16, BLACK), 12)
    expect(cutsOf(dissolved(out, film([still]), 12))).toEqual([])
  })
})

describe('a gradual change that is no transition', () => {
  it('is a slow change of light', () => {
    const frames = scene(1, 90).map(({ timeUs, pixels }, i) => {
      const light = 0.4 + 0.6 * Math.min(1, Math.max(0, (i - 30) / 20))
      return { timeUs, pixels: pixels.map((p, k) => (k < 2304 ? p * light : p)) }
    })
    expect(cutsOf(frames)).toEqual([])
  })

  it.each([0.5, 1, 2, 4])('is a pan of %f pixels a frame', (speed) => {
    expect(cutsOf(film([{ frames: 150, seed: 5, speed }]))).toEqual([])
  })
})

describe('the detector', () => {
  it('tells a transition within a bounded time after its end', () => {
    const detector = new ShotDetector()
    const frames = dissolved(scene(1, 90), scene(2, 150), 12)
    const told = frames.findIndex((frame) => detector.push(frame).length > 0)
    expect(told).toBeGreaterThan(90)
    expect(told).toBeLessThan(120)
  })

  it('gives the same shots for the same frames', () => {
    const frames = joined(fadedThrough(BLACK), dissolved(scene(7), scene(8), 15))
    expect(shotsOf(frames)).toEqual(shotsOf(frames))
  })

  it('finds the transitions of films that ffmpeg has made, hard cuts at their very frames', async () => {
    const seed = 1001
    const kinds = ['cut', 'dissolve', 'black', 'white', 'fade-then-cut'] as const
    const clip = await makeTransitionClip({ seed, kinds, shots: 9 })
    const times: number[] = []
    const detector = new ShotDetector()
    const starts: number[] = []
    const take = (shots: ReturnType<ShotDetector['push']>) =>
      starts.push(...shots.map(({ startUs }) => times.indexOf(startUs)))
    const stream = new FrameStream({
      decoder: await openDecoder(await findFfmpeg()),
      videoId: 'v',
      onFrame: (frame) => {
        times.push(frame.timeUs)
        take(detector.push(frame))
      },
    })
    await stream.write(clip.bytes)
    stream.end()
    await stream.done
    take(detector.finish())
    expect(times.length).toBe(clip.frames)
    const { missed, extra } = compared(clip.transitions, starts.slice(1))
    const message = JSON.stringify({ seed, missed, extra })
    expect(
      missed.filter(({ from, to }) => from === to),
      message,
    ).toEqual([])
    expect(missed.length + extra.length, message).toBeLessThanOrEqual(2)
  })
})

/** A hard cut is found at its frame, a gradual transition anywhere in it. */
function compared(transitions: readonly KnownTransition[], cuts: readonly number[]) {
  const left = new Set(cuts)
  const missed = transitions.filter(({ from, to }) => {
    const hit = [...left].find((cut) => cut >= from && cut <= to)
    if (hit !== undefined) left.delete(hit)
    return hit === undefined
  })
  return { missed, extra: [...left] }
}
