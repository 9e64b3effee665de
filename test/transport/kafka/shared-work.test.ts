import { describe, expect, test } from 'vitest'
import { SharedWork } from '../../../transport/kafka/cluster/shared-work.ts'

/** Work that a test settles by hand. */
function work() {
  const outcome = Promise.withResolvers<string>()
  const ends: AbortSignal[] = []
  const shared = new SharedWork((end) => {
    ends.push(end)
    return outcome.promise
  })
  return { shared, outcome, isTold: () => ends.some(({ aborted }) => aborted) }
}

describe('shared work', () => {
  test('is done once, for all who wait', async () => {
    const { shared, outcome } = work()
    const both = [shared.wait(undefined), shared.wait(undefined)]
    outcome.resolve('done')
    expect(await Promise.all(both)).toEqual(['done', 'done'])
    expect(await shared.wait(undefined)).toBe('done')
    expect(shared).toMatchObject({ value: 'done', isOver: true, isLost: false })
  })

  test('goes on while anybody waits, and is told to end with the last one', async () => {
    const { shared, isTold } = work()
    const [first, second] = [new AbortController(), new AbortController()]
    const waits = [shared.wait(first.signal), shared.wait(second.signal)]
    first.abort(new Error('the first leaves'))
    await expect(waits[0]).rejects.toThrow('the first leaves')
    expect([isTold(), shared.isLost]).toEqual([false, false])
    second.abort(new Error('the second leaves'))
    await expect(waits[1]).rejects.toThrow('the second leaves')
    expect([isTold(), shared.isLost]).toEqual([true, true])
  })

  test('that has failed is lost, and one that is done is not told to end', async () => {
    const failing = work()
    const waits = failing.shared.wait(undefined)
    failing.outcome.reject(new Error('no'))
    await expect(waits).rejects.toThrow('no')
    expect(failing.shared.isLost).toBe(true)
    const done = work()
    done.outcome.resolve('done')
    await done.shared.wait(undefined)
    done.shared.end(new Error('too late'))
    expect([done.isTold(), done.shared.isLost]).toEqual([false, false])
  })
})
