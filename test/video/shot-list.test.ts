import { describe, expect, test } from 'vitest'
import { cutsOf, listShots, toWebVtt, vttTime } from '../../video/shot-list.ts'

const annotation = (offset: number, shots: readonly [number, number][]) => ({
  videoId: 'v',
  offset,
  index: 0,
  last: false,
  startUs: null,
  endUs: null,
  container: 'mp4',
  shots: shots.map(([startUs, endUs]) => ({ startUs, endUs })),
  status: 'complete' as const,
  annotator: 'local',
})

describe('a shot list', () => {
  const shots = listShots([
    annotation(100, [
      [40, 99],
      [100, 150],
    ]),
    annotation(0, [
      [0, 39],
      [40, 99],
    ]),
  ])

  test('has a shot that straddles chunks once, with all its chunks', () => {
    expect(shots).toEqual([
      { startUs: 0, endUs: 39, chunkOffsets: [0] },
      { startUs: 40, endUs: 99, chunkOffsets: [0, 100] },
      { startUs: 100, endUs: 150, chunkOffsets: [100] },
    ])
  })

  test('cuts where every shot but the first begins', () => {
    expect(cutsOf(shots)).toEqual([40, 100])
  })

  test('is written as WebVTT', () => {
    expect(toWebVtt([{ startUs: 0, endUs: 1_500_000 }])).toBe(
      'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nShot 1\n',
    )
  })

  test.each([
    [0, '00:00:00.000'],
    [3_723_004_500, '01:02:03.005'],
    [59_999_999, '00:01:00.000'],
  ])('writes %i µs as %s', (us, text) => {
    expect(vttTime(us)).toBe(text)
  })
})
