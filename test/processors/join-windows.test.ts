import { describe, expect, test } from 'vitest'
import { joinWindows, retentionMs, widthMs } from '../../processors/join-windows.ts'

describe('the window of a join', () => {
  test('is as wide before as after, and has no grace, unless it is told', () => {
    expect(joinWindows(5)).toEqual({ beforeMs: 5, afterMs: 5, graceMs: 0 })
    expect(joinWindows(5, { beforeMs: -2, graceMs: 7 })).toEqual({
      beforeMs: -2,
      afterMs: 5,
      graceMs: 7,
    })
  })

  test.each([
    ['a fraction', () => joinWindows(0.5)],
    ['nothing', () => joinWindows(NaN)],
    ['a window that ends before it begins', () => joinWindows(5, { beforeMs: -6 })],
    ['a negative window', () => joinWindows(-1)],
    ['a negative grace', () => joinWindows(5, { graceMs: -1 })],
  ])('cannot be %s', (_what, make) => {
    expect(make).toThrow(RangeError)
  })

  test.each([
    { windows: joinWindows(100, { graceMs: 5 }), width: 200, retention: 205 },
    { windows: joinWindows(100, { beforeMs: 0 }), width: 100, retention: 101 },
    { windows: joinWindows(0), width: 0, retention: 1 },
    { windows: joinWindows(100, { beforeMs: -50 }), width: 50, retention: 101 },
  ])('keeps records for its width and its far border: $windows', (each) => {
    expect(widthMs(each.windows)).toBe(each.width)
    expect(retentionMs(each.windows)).toBe(each.retention)
  })
})
