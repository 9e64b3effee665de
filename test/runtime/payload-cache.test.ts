import { describe, expect, test } from 'vitest'
import { crc32c } from '../../model/crc32c.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import type { Reference } from '../../processors/payloads.ts'
import { PayloadCache } from '../../runtime/payload-cache.ts'
import type { Reader } from '../../transport/transport.ts'
import { MemoryBench } from './memory-bench.ts'

/** A cache over a topic that holds these values, and the references to them. */
async function cacheOver(values: readonly string[], maxBytes: number) {
  const bench = await MemoryBench.with(['in'])
  await bench.produce(
    'in',
    values.map((value) => ({ key: 'k', value })),
  )
  const [described] = await bench.settle(bench.log.admin.describeTopics([asTopic('in')]))
  const topicId = described?.topicId ?? ''
  const reader = bench.log.openReader({ isolation: 'read_uncommitted', prefetchBytes: 1 })
  const counts = { reads: 0, delayMs: 0 }
  const counted: Reader = {
    open: (at) => reader.open(at),
    get bufferedBytes() {
      return reader.bufferedBytes
    },
    ready: async (signal) => await reader.ready(signal),
    readAt: async (at, signal) => {
      counts.reads += 1
      await bench.pass(counts.delayMs)
      return await reader.readAt(at, signal)
    },
    [Symbol.asyncDispose]: async () => await reader[Symbol.asyncDispose](),
  }
  const cache = new PayloadCache(counted, { maxBytes })
  cache.addTopic(topicId, asTopic('in'))
  const references = bench.records('in').map(({ offset, timestamp, value }): Reference => ({
    topicId,
    partition: asPartition(0),
    offset,
    leaderEpoch: 0,
    timestamp,
    sizeBytes: value?.length ?? 0,
    crc32c: crc32c(value ?? Buffer.alloc(0)),
  }))
  const at = (index: number): Reference => references[index] as Reference
  return { bench, cache, at, counts }
}

const never = new AbortController().signal

describe('the payload cache', () => {
  test('reads a value once, also for several who ask at the same time', async () => {
    const { cache, at, counts } = await cacheOver(['one'], 100)
    const reads = [cache.read(at(0), never), cache.read(at(0), never)]
    expect((await Promise.all(reads)).map(String)).toEqual(['one', 'one'])
    expect(String(await cache.read(at(0), never))).toBe('one')
    expect(counts.reads).toBe(1)
  })

  test('goes on reading for the others when one stops waiting', async () => {
    const { cache, at, counts } = await cacheOver(['one'], 100)
    const controller = new AbortController()
    const first = cache.read(at(0), controller.signal)
    const second = cache.read(at(0), never)
    controller.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    expect(String(await second)).toBe('one')
    expect(counts.reads).toBe(1)
  })

  test('keeps so many bytes, and gives up the value that was used longest ago', async () => {
    const { cache, at } = await cacheOver(['aaaa', 'bbbb', 'cccc'], 8)
    for (const index of [0, 1]) await cache.read(at(index), never)
    expect(String(cache.peek(at(0)))).toBe('aaaa')
    await cache.read(at(2), never)
    expect([0, 1, 2].map((index) => cache.peek(at(index)) !== undefined)).toEqual([
      true,
      false,
      true,
    ])
  })

  test('does not keep a value that is larger than all its room', async () => {
    const { cache, at } = await cacheOver(['aaaa', 'much too long'], 8)
    await cache.read(at(0), never)
    expect(String(await cache.read(at(1), never))).toBe('much too long')
    expect(cache.peek(at(1))).toBeUndefined()
    expect(String(cache.peek(at(0)))).toBe('aaaa')
  })

  test.each<[string, Partial<Reference>]>([
    ['topic', { topicId: 'ffffffff-0000-0000-0000-000000000000' }],
    ['timestamp', { timestamp: 1 }],
    ['size', { sizeBytes: 4 }],
    ['checksum', { crc32c: 1 }],
    ['offset', { offset: 99 }],
  ])('does not answer with a record whose %s is another', async (_name, other) => {
    const { cache, at } = await cacheOver(['one'], 100)
    await expect(cache.read({ ...at(0), ...other }, never)).rejects.toMatchObject({
      code: 'MILLRACE_REFERENCE_GONE',
    })
  })
})
