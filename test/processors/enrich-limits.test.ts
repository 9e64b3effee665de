import { describe, expect, test } from 'vitest'
import { ByteBudget, Slots } from '../../processors/enrich-limits.ts'

describe('slots', () => {
  test('call who waits when a place comes free, in the order they asked', () => {
    const slots = new Slots(1)
    const called: string[] = []
    expect(slots.take(() => {})).toBe(true)
    expect(slots.take(() => called.push('a'))).toBe(false)
    expect(slots.take(() => called.push('b'))).toBe(false)
    expect(slots.isContended).toBe(true)
    slots.free()
    expect(called).toEqual(['a', 'b'])
  })

  test('go on to the next waiter when the first has no use for the place', () => {
    const slots = new Slots(1)
    slots.take(() => {})
    let taken = ''
    slots.take(() => {})
    const second = (): void => {
      if (slots.take(second)) taken = 'second'
    }
    slots.take(second)
    slots.free()
    expect(taken).toBe('second')
  })

  test('do not call who has stopped waiting', () => {
    const slots = new Slots(1)
    slots.take(() => {})
    const onFree = (): void => expect.fail('called')
    slots.take(onFree)
    slots.forget(onFree)
    slots.free()
    expect(slots.isContended).toBe(false)
  })
})

describe('a byte budget', () => {
  const signal = new AbortController().signal

  test('lets one taker through however much it takes, and the next only when there is room', async () => {
    const budget = new ByteBudget(100)
    await budget.take(500, signal)
    let second = false
    const waiting = budget.take(1, signal).then(() => (second = true))
    await Promise.resolve()
    expect(second).toBe(false)
    budget.free(500)
    await waiting
    expect(budget.takenBytes).toBe(1)
  })

  test('takes nothing for who stops waiting', async () => {
    const budget = new ByteBudget(100)
    await budget.take(100, signal)
    const controller = new AbortController()
    const waiting = budget.take(10, controller.signal)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    budget.free(100)
    expect(budget.takenBytes).toBe(0)
  })
})
