/** From a video's annotated chunks to one list of its shots, and that list as JSON and WebVTT. */
import type { Annotation, Shot } from './schemas.ts'

/** A shot of a whole video, with the chunks it lies in. */
export interface ListedShot extends Shot {
  /** Byte offsets of the chunks, ascending. */
  readonly chunkOffsets: readonly number[]
}

/** The shots of one video in order of time. A shot that straddles chunks comes with each of them, and once here. */
export function listShots(annotations: readonly Annotation[]): readonly ListedShot[] {
  const shots = new Map<string, { shot: Shot; offsets: Set<number> }>()
  for (const { offset, shots: ofChunk } of annotations) {
    for (const shot of ofChunk) {
      const key = `${shot.startUs}-${shot.endUs}`
      const listed = shots.get(key) ?? { shot, offsets: new Set<number>() }
      listed.offsets.add(offset)
      shots.set(key, listed)
    }
  }
  return [...shots.values()]
    .map(({ shot, offsets }) => ({
      startUs: shot.startUs,
      endUs: shot.endUs,
      chunkOffsets: [...offsets].toSorted((a, b) => a - b),
    }))
    .toSorted((a, b) => a.startUs - b.startUs || a.endUs - b.endUs)
}

/** The times at which one shot ends and the next begins, in microseconds: the start of every shot but the first. */
export function cutsOf(shots: readonly Shot[]): readonly number[] {
  return shots.slice(1).map(({ startUs }) => startUs)
}

/** Shots as WebVTT cues (W3C WebVTT), one a shot, with the shot's number as its text. */
export function toWebVtt(shots: readonly Shot[]): string {
  const cues = shots.map(
    ({ startUs, endUs }, i) => `${vttTime(startUs)} --> ${vttTime(endUs)}\nShot ${i + 1}\n`,
  )
  return ['WEBVTT\n', ...cues].join('\n')
}

/** Microseconds as `HH:MM:SS.mmm`, rounded to the millisecond. */
export function vttTime(us: number): string {
  const ms = Math.round(us / 1000)
  const pad = (n: number, width: number): string => String(Math.floor(n)).padStart(width, '0')
  return `${pad(ms / 3_600_000, 2)}:${pad((ms / 60_000) % 60, 2)}:${pad((ms / 1000) % 60, 2)}.${pad(ms % 1000, 3)}`
}
