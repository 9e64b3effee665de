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

  test('are waited for in turn, and are not lost by who stops waiting', async () => {
    const slots = new Slots(1)
    slots.take(() => {})
    const controller = new AbortController()
    const order: string[] = []
    const first = slots.wait(controller.signal).then(() => order.push('first'))
    const second = slots.wait(new AbortController().signal).then(() => order.push('second'))
    const greedy = (): void => {
      if (slots.take(greedy)) order.push('greedy')
    }
    slots.take(greedy)
    controller.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    slots.free()
    await second
    expect(order).toEqual(['second'])
    slots.free()
    expect(order).toEqual(['second', 'greedy'])
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

  test('lets no small taker overtake a large one', async () => {
    const budget = new ByteBudget(100)
    await budget.take(60, signal)
    const order: string[] = []
    const large = budget.take(80, signal).then(() => order.push('large'))
    const small = budget.take(10, signal).then(() => order.push('small'))
    await Promise.resolve()
    expect(budget.takenBytes).toBe(60)
    budget.free(60)
    await Promise.all([large, small])
    expect(order).toEqual(['large', 'small'])
    expect(budget.takenBytes).toBe(90)
  })

  test('goes on to the next when the first stops waiting', async () => {
    const budget = new ByteBudget(100)
    await budget.take(60, signal)
    const controller = new AbortController()
    const large = budget.take(80, controller.signal)
    const small = budget.take(10, signal)
    controller.abort(new Error('enough'))
    await expect(large).rejects.toThrow('enough')
    await small
    expect(budget.takenBytes).toBe(70)
  })
})
