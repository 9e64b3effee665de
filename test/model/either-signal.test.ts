import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { eitherSignal } from '../../model/either-signal.ts'

describe('a signal that follows others', () => {
  test('aborts with the reason of the first one that aborts', () => {
    const [first, second] = [new AbortController(), new AbortController()]
    using either = eitherSignal(first.signal, second.signal)
    expect(either.signal.aborted).toBe(false)
    second.abort(new Error('second'))
    first.abort(new Error('first'))
    expect(either.signal.reason).toEqual(new Error('second'))
  })

  test('is aborted from the start where one of them was', () => {
    const reason = new Error('before')
    using either = eitherSignal(new AbortController().signal, AbortSignal.abort(reason))
    expect(either.signal.reason).toBe(reason)
  })

  test('takes no part of those that are not there', () => {
    const only = new AbortController()
    using either = eitherSignal(undefined, only.signal)
    only.abort(new Error('only'))
    expect(either.signal.reason).toEqual(new Error('only'))
    using none = eitherSignal(undefined)
    expect(none.signal.aborted).toBe(false)
  })

  test('leaves nothing on a source that outlives its scope, and follows it no more', () => {
    const longLived = new AbortController()
    const followed = scopeOf(longLived.signal)
    expect(getEventListeners(longLived.signal, 'abort')).toEqual([])
    longLived.abort(new Error('later'))
    expect(followed.aborted).toBe(false)
  })
})

function scopeOf(source: AbortSignal): AbortSignal {
  using either = eitherSignal(source, new AbortController().signal)
  expect(getEventListeners(source, 'abort')).toHaveLength(1)
  return either.signal
}
