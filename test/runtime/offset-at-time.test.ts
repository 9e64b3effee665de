import { describe, expect, test } from 'vitest'
import { NO_HEADERS } from '../../model/record.ts'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { offsetAtTime } from '../../runtime/offset-at-time.ts'
import { MemoryBench } from './memory-bench.ts'

const at = { topic: asTopic('in'), partition: asPartition(0) }

async function offsetOf(bench: MemoryBench, timestampMs: number): Promise<number> {
  const query = { at, timestampMs, signal: undefined }
  return await bench.settle(offsetAtTime(bench.log, query))
}

describe('the offset of a time', () => {
  test.each([
    { time: 0, offset: 0 },
    { time: 10, offset: 0 },
    { time: 11, offset: 1 },
    { time: 30, offset: 1 },
    { time: 31, offset: 3 },
    { time: 41, offset: 4 },
  ])('$time is $offset', async ({ time, offset }) => {
    const bench = await MemoryBench.with(['in'])
    const timestamps = [10, 30, 20, 40]
    await bench.produce(
      'in',
      timestamps.map((timestamp) => ({ key: 'k', value: 'v', timestamp })),
    )
    expect(await offsetOf(bench, time)).toBe(offset)
  })

  test('is the first that is kept, or the end of what is committed', async () => {
    const bench = await MemoryBench.with(['in'])
    expect(await offsetOf(bench, 5)).toBe(0)
    await bench.produce(
      'in',
      [10, 20, 30].map((timestamp) => ({ key: 'k', value: 'v', timestamp })),
    )
    await bench.settle(bench.log.admin.deleteRecords([{ ...at, offset: asOffset(2) }]))
    expect(await offsetOf(bench, 5)).toBe(2)
    await using producer = bench.log.openProducer({ transactionalId: 'open' })
    await bench.settle(producer.init())
    const record = { key: Buffer.from('k'), value: null, timestamp: 90, headers: NO_HEADERS }
    producer.send({ ...at, ...record })
    await bench.settle(producer.flush())
    expect(await offsetOf(bench, 90)).toBe(3)
    await bench.settle(producer.abort())
    expect(await offsetOf(bench, 90)).toBe(5)
  })
})
