import { describe, expect, it } from 'vitest'
import { ChunkAnswers, type ChunkTime } from '../../../video/annotators/chunk-answers.ts'
import { drawnSeed } from '../../seed.ts'
import { seeded } from './synthetic-frames.ts'

const FRAME_US = 40_000
const frame = (n: number): number => n * FRAME_US
const shot = (first: number, last: number) => ({ startUs: frame(first), endUs: frame(last) })
/** A chunk of the frames from `first` up to, not with, `end`. */
const chunk = (first: number, end: number, last = false): ChunkTime => ({
  startUs: frame(first),
  endUs: frame(end),
  last,
})
const untimed = (last = false): ChunkTime => ({ startUs: null, endUs: null, last })

function takeAll(answers: ChunkAnswers) {
  const taken = []
  for (let shots = answers.take(); shots !== undefined; shots = answers.take()) taken.push(shots)
  return taken
}

function answersFor(chunks: readonly ChunkTime[]): ChunkAnswers {
  const answers = new ChunkAnswers()
  for (const one of chunks) answers.add(one)
  return answers
}

describe('the answers of chunks', () => {
  it('gives a shot that straddles chunks to each of them with its full extent', () => {
    const answers = answersFor([chunk(0, 10), chunk(10, 20), chunk(20, 30, true)])
    answers.report({
      shots: [shot(0, 4), shot(5, 24), shot(25, 29)],
      finalUs: Number.POSITIVE_INFINITY,
    })
    answers.end()
    expect(takeAll(answers)).toEqual([
      [shot(0, 4), shot(5, 24)],
      [shot(5, 24)],
      [shot(5, 24), shot(25, 29)],
    ])
  })

  it('keeps a cut at the boundary of two chunks apart, to the frame', () => {
    const answers = answersFor([chunk(0, 10), chunk(10, 20, true)])
    answers.report({ shots: [shot(0, 9), shot(10, 19)], finalUs: Number.POSITIVE_INFINITY })
    answers.end()
    expect(takeAll(answers)).toEqual([[shot(0, 9)], [shot(10, 19)]])
  })

  it('gives a chunk both shots when the cut is one frame before or after its boundary', () => {
    const answers = answersFor([chunk(0, 10), chunk(10, 20), chunk(20, 30, true)])
    answers.report({
      shots: [shot(0, 8), shot(9, 20), shot(21, 29)],
      finalUs: Number.POSITIVE_INFINITY,
    })
    answers.end()
    expect(takeAll(answers)).toEqual([
      [shot(0, 8), shot(9, 20)],
      [shot(9, 20)],
      [shot(9, 20), shot(21, 29)],
    ])
  })

  it('does not complete a chunk while a shot may still begin in it', () => {
    const answers = answersFor([chunk(0, 10), chunk(10, 20)])
    // The shot ends one frame before the chunk does: the chunk's last frame may be a shot of its own.
    answers.report({ shots: [shot(0, 8)], finalUs: frame(8) + 1 })
    expect(takeAll(answers)).toEqual([])
    // And after a shot that ends with the chunk's last frame nothing says that it was the last.
    answers.report({ shots: [shot(9, 9)], finalUs: frame(9) + 1 })
    expect(takeAll(answers)).toEqual([])
    answers.report({ shots: [shot(10, 15)], finalUs: frame(15) + 1 })
    expect(takeAll(answers)).toEqual([[shot(0, 8), shot(9, 9)]])
  })

  it('completes a chunk as soon as the next shot is known to begin at its end', () => {
    const answers = answersFor([chunk(0, 10), chunk(10, 20)])
    answers.report({ shots: [shot(0, 9)], finalUs: frame(10) })
    expect(takeAll(answers)).toEqual([[shot(0, 9)]])
  })

  it('is not misled by times that were rounded differently', () => {
    const answers = answersFor([
      { startUs: 0, endUs: 333_334, last: false },
      { startUs: 333_334, endUs: 666_667, last: false },
    ])
    const first = { startUs: 0, endUs: 300_000 }
    answers.report({ shots: [first], finalUs: 333_333 })
    answers.report({ shots: [{ startUs: 333_333, endUs: 900_000 }], finalUs: 900_001 })
    expect(takeAll(answers)).toEqual([[first], [{ startUs: 333_333, endUs: 900_000 }]])
  })

  it('completes a chunk without a time with its next neighbour that has one', () => {
    const answers = answersFor([untimed(), untimed(), chunk(0, 10), untimed()])
    expect(takeAll(answers)).toEqual([])
    answers.report({ shots: [shot(0, 12)], finalUs: frame(13) })
    expect(takeAll(answers)).toEqual([[], [], [shot(0, 12)]])
    answers.end()
    expect(takeAll(answers)).toEqual([[]])
  })

  it('completes the last chunk at the end and not before', () => {
    const answers = answersFor([chunk(0, 10, true)])
    answers.report({ shots: [shot(0, 9)], finalUs: Number.POSITIVE_INFINITY })
    expect(takeAll(answers)).toEqual([])
    answers.end()
    expect(takeAll(answers)).toEqual([[shot(0, 9)]])
  })

  it('loses no shot where no chunk has a time: the last one carries all', () => {
    const answers = answersFor([untimed(), untimed(), untimed(true)])
    answers.report({ shots: [shot(0, 9), shot(10, 19)], finalUs: Number.POSITIVE_INFINITY })
    answers.end()
    expect(takeAll(answers)).toEqual([[], [], [shot(0, 9), shot(10, 19)]])
  })

  it('gives the last chunk what no time covers, beside its own', () => {
    const answers = answersFor([chunk(0, 10), chunk(20, 30, true)])
    answers.report({
      shots: [shot(0, 9), shot(12, 15), shot(16, 29), shot(31, 40)],
      finalUs: Number.POSITIVE_INFINITY,
    })
    answers.end()
    expect(takeAll(answers)).toEqual([[shot(0, 9)], [shot(12, 15), shot(16, 29), shot(31, 40)]])
  })

  it('answers the same however the reports are spread over time', () => {
    const seed = drawnSeed(1e6)
    const random = seeded(seed)
    for (let round = 0; round < 200; round += 1) {
      const shots = randomRanges(random, 300).map(([first, end]) => shot(first, end - 1))
      const ranges = randomRanges(random, 300)
      const chunks = ranges.map(([first, end], i) =>
        random() < 0.1
          ? untimed(i === ranges.length - 1)
          : chunk(first, end, i === ranges.length - 1),
      )
      const late = answersFor(chunks)
      late.report({ shots, finalUs: Number.POSITIVE_INFINITY })
      late.end()
      const expected = takeAll(late)
      const early = new ChunkAnswers()
      const found = []
      const toAdd = [...chunks]
      const toReport = [...shots]
      while (toAdd.length + toReport.length > 0) {
        const next = random() < 0.5 ? toAdd.shift() : undefined
        if (next !== undefined) early.add(next)
        else {
          const reported = toReport.splice(0, Math.floor(random() * 4))
          const last = reported.at(-1)
          if (last !== undefined) {
            const exact = random() < 0.5
            early.report({
              shots: reported,
              finalUs: exact ? last.endUs + FRAME_US : last.endUs + 1,
            })
          }
        }
        found.push(...takeAll(early))
      }
      early.end()
      found.push(...takeAll(early))
      expect(found, `seed ${seed}, round ${round}`).toEqual(expected)
      expect(expected.length).toBe(chunks.length)
      const listed = new Set(expected.flat().map(({ startUs }) => startUs))
      expect(listed.size, `seed ${seed}, round ${round}: every shot is in some answer`).toBe(
        shots.length,
      )
    }
  })
})

/** [0, end) in ranges of 1 to 40. */
function randomRanges(random: () => number, end: number): [number, number][] {
  const ranges: [number, number][] = []
  for (let at = 0; at < end;) {
    const next = Math.min(end, at + 1 + Math.floor(random() * 40))
    ranges.push([at, next])
    at = next
  }
  return ranges
}
