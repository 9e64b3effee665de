import { describe, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { handClock } from '../../testing/hand-clock.ts'

describe('a hand-moved clock', () => {
  test('stands until it is moved, wall clock and monotonic time alike', async () => {
    const clock = handClock({ startMs: 5_000 })
    await clock.rest()
    expect([clock.now(), clock.monotonic()]).toEqual([5_000, 0])
    await clock.advance(250)
    expect([clock.now(), clock.monotonic()]).toEqual([5_250, 250])
  })

  test('fires what is due at its time and in order, and what that makes due with it', async () => {
    const clock = handClock()
    const fired: string[] = []
    const note = (what: string) => () => fired.push(`${what} at ${clock.monotonic()}`)
    clock.timer(20, note('second'))
    clock.timer(10, () => {
      note('first')()
      clock.timer(5, note('between'))
    })
    clock.timer(20, note('third'))
    clock.timer(31, note('too late'))
    const cancelled = clock.timer(1, note('cancelled'))
    cancelled.cancel()
    await clock.advance(30)
    expect(fired).toEqual(['first at 10', 'between at 15', 'second at 20', 'third at 20'])
    expect(clock.untilTimerMs).toBe(1)
  })

  test('lets promises settle between two timers', async () => {
    const clock = handClock()
    const woken: number[] = []
    const sleeper = async (): Promise<void> => {
      for (let i = 0; i < 3; i += 1) {
        await sleep(clock, 10)
        woken.push(clock.monotonic())
      }
    }
    const asleep = sleeper()
    await clock.advance(25)
    expect(woken).toEqual([10, 20])
    await clock.advance(5)
    await asleep
    expect(woken).toEqual([10, 20, 30])
  })

  test('gives the same random numbers and UUIDs for the same seed', () => {
    const draw = (seed: number) => {
      const clock = handClock({ seed })
      return [clock.random(), clock.uuid(), clock.random()]
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    expect(draw(7)[1]).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  })

  test('says so where there is no rest, and refuses to go back', async () => {
    const clock = handClock()
    const again = (): void => void clock.timer(0, again)
    again()
    await expect(clock.rest()).rejects.toThrow('does not come to rest')
    await expect(clock.advance(-1)).rejects.toThrow('cannot be moved by -1 ms')
  })
})
