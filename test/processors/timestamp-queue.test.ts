import { describe, expect, test } from 'vitest'
import { TimestampQueue } from '../../processors/timestamp-queue.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'

describe('a timestamp queue', () => {
  test('gives ids oldest first, equal timestamps in the order they were added', () => {
    const queue = new TimestampQueue<string>()
    queue.add('c', 3)
    queue.add('a1', 1)
    queue.add('a2', 1)
    queue.add('b', 2)
    const taken = [1, 2, 3, 4].map(() => queue.takeBefore(10))
    expect(taken).toEqual(['a1', 'a2', 'b', 'c'])
    expect(queue.takeBefore(10)).toBeUndefined()
  })

  test('takes nothing at or above the limit', () => {
    const queue = new TimestampQueue<string>()
    queue.add('a', 5)
    expect(queue.takeBefore(5)).toBeUndefined()
    expect(queue.takeBefore(6)).toBe('a')
  })

  test('moves an id that is added again', () => {
    const queue = new TimestampQueue<string>()
    queue.add('a', 1)
    queue.add('b', 2)
    queue.add('a', 3)
    expect(queue.oldest).toBe(2)
    expect(queue.size).toBe(2)
  })

  test('agrees with a sorted list over random adds and removes', () => {
    const seed = 20_261
    const random = new SeededRandom(seed)
    const queue = new TimestampQueue<number>()
    const model = new Map<number, number>()
    for (let step = 0; step < 5_000; step += 1) {
      const id = random.below(200)
      if (random.chance(0.6)) {
        const timestamp = random.below(1_000)
        queue.add(id, timestamp)
        model.set(id, timestamp)
      } else {
        queue.remove(id)
        model.delete(id)
      }
      const oldest = model.size === 0 ? undefined : Math.min(...model.values())
      expect(queue.oldest, `seed ${seed}, step ${step}`).toBe(oldest)
      expect(queue.size).toBe(model.size)
    }
  })

  test('keeps nothing of what came and went behind one that stays', () => {
    const queue = new TimestampQueue<number>()
    queue.add(-1, 0)
    for (let id = 0; id < 100_000; id += 1) {
      queue.add(id, id + 1)
      queue.remove(id)
    }
    expect(queue.size).toBe(1)
    expect(queue.heapSize).toBeLessThan(100)
    expect(queue.takeBefore(1)).toBe(-1)
  })

  test('hands out equal timestamps by their ids where it is told how', () => {
    const queue = new TimestampQueue<string>((a, b) => a.localeCompare(b))
    for (const id of ['c', 'a', 'b']) queue.add(id, 5)
    queue.add('z', 4)
    const out = [1, 2, 3, 4].map(() => queue.takeBefore(10))
    expect(out).toEqual(['z', 'a', 'b', 'c'])
  })
})
