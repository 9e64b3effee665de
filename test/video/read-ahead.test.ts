import { describe, expect, test } from 'vitest'
import { readAhead } from '../../video/read-ahead.ts'

describe('readAhead', () => {
  test('asks for one item while the consumer is busy with the one before, and for no more', async () => {
    const asked: number[] = []
    async function* source(): AsyncGenerator<number> {
      for (let i = 0; i < 5; i += 1) {
        asked.push(i)
        yield i
      }
    }
    const seen: number[] = []
    for await (const item of readAhead(source())) {
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
      seen.push(item)
      expect(asked.length).toBe(Math.min(item + 2, 5))
    }
    expect(seen).toEqual([0, 1, 2, 3, 4])
  })

  test('throws an error of the source after the items before it', async () => {
    async function* source(): AsyncGenerator<number> {
      yield 1
      throw new Error('no more')
    }
    const seen: number[] = []
    const reading = (async () => {
      for await (const item of readAhead(source())) {
        await Promise.resolve()
        seen.push(item)
      }
    })()
    await expect(reading).rejects.toThrow('no more')
    expect(seen).toEqual([1])
  })

  test('ends the source when the consumer leaves', async () => {
    let ended = false
    async function* source(): AsyncGenerator<number> {
      try {
        for (let i = 0; ; i += 1) yield i
      } finally {
        ended = true
      }
    }
    for await (const item of readAhead(source())) if (item === 2) break
    expect(ended).toBe(true)
  })
})
