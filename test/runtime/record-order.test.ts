import { describe, expect, test } from 'vitest'
import { NO_HEADERS } from '../../model/record.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { MemoryBench } from './memory-bench.ts'

const merged = () =>
  topology('app', ({ stream }) => {
    const left = stream('left', { key: text, value: text })
    left.merge(stream('right', { key: text, value: text })).to('out')
  })

describe('a task with two inputs', () => {
  test('takes the record with the smallest timestamp, however they were written', async () => {
    const bench = await MemoryBench.with(['left', 'right', 'out'])
    await bench.produce(
      'left',
      [10, 40, 50, 55].map((timestamp) => ({ key: 'l', value: `${timestamp}`, timestamp })),
    )
    await bench.produce(
      'right',
      [5, 20, 45, 60].map((timestamp) => ({ key: 'r', value: `${timestamp}`, timestamp })),
    )
    const life = await bench.start(merged(), { limits: { prefetchBytes: 1, sliceRecords: 1 } })
    await life.caughtUp()
    expect(bench.texts('out').map((line) => line.split('=')[1])).toEqual([
      '5',
      '10',
      '20',
      '40',
      '45',
      '50',
      '55',
      '60',
    ])
    await life.close()
  })

  test('takes the first input where timestamps are equal, and keeps the order within each', async () => {
    const bench = await MemoryBench.with(['left', 'right', 'out'])
    for (const topic of ['right', 'left']) {
      await bench.produce(topic, [
        { key: topic, value: '1', timestamp: 7 },
        { key: topic, value: '2', timestamp: 7 },
      ])
    }
    const life = await bench.start(merged())
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['left=1', 'left=2', 'right=1', 'right=2'])
    await life.close()
  })

  test('waits for an input whose records were not fetched yet, and not for one that is read to its end', async () => {
    const bench = new MemoryBench({
      decide: ({ kind, at }) =>
        kind === 'fetch' && at?.topic === 'right' ? { requestDelayMs: 5_000 } : undefined,
    })
    await bench.createTopics(['left', 'right', 'out'])
    await bench.produce('left', [{ key: 'l', value: '20', timestamp: 20 }])
    await bench.produce('right', [{ key: 'r', value: '10', timestamp: 10 }])
    const life = await bench.start(merged())
    await bench.pass(2_000)
    expect(bench.texts('out')).toEqual([])
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['r=10', 'l=20'])
    await bench.produce('left', [{ key: 'l', value: '30', timestamp: 30 }])
    await bench.pass(1_000)
    expect(bench.texts('out')).toEqual(['r=10', 'l=20', 'l=30'])
    await life.close()
  })

  test('is not held up by a transaction that is open in one of them', async () => {
    const bench = await MemoryBench.with(['left', 'right', 'out'])
    await using producer = bench.log.openProducer({ transactionalId: 'elsewhere' })
    await bench.settle(producer.init())
    producer.send({
      topic: asTopic('right'),
      partition: asPartition(0),
      key: Buffer.from('r'),
      value: Buffer.from('1'),
      timestamp: 1,
      headers: NO_HEADERS,
    })
    await bench.settle(producer.flush())
    await bench.produce('left', [{ key: 'l', value: '2', timestamp: 2 }])
    const life = await bench.start(merged())
    await bench.pass(1_000)
    expect(bench.texts('out')).toEqual(['l=2'])
    await bench.settle(producer.commit())
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['l=2', 'r=1'])
    await life.close()
  })
})

describe('a chain', () => {
  test('of filter, map and flatMap runs depth first, and keeps headers', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const headers = [{ key: 'h', value: null }]
    await bench.produce('in', [
      { key: 'a', value: 'x y', headers },
      { key: 'b', value: '' },
      { key: 'c', value: 'z' },
    ])
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text })
          .filter(({ value }) => value !== '')
          .flatMapValues((value) => value.split(' '), { value: text })
          .map(({ key, value }) => [value, key] as const, { key: text, value: text })
          .to('out')
      }),
    )
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['x=a', 'y=a', 'z=c'])
    expect(bench.records('out')[0]?.headers).toEqual(headers)
    await life.close()
  })

  test('through a topic goes on in the partition of its new key, in a sub-topology of its own', async () => {
    const bench = await MemoryBench.with(['in', 'by-value', 'out'], 3)
    await bench.produce(
      'in',
      Array.from({ length: 30 }, (_, i) => ({
        key: `k${i}`,
        value: `v${i % 5}`,
        partition: i % 3,
      })),
    )
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text })
          .selectKey(({ value }) => value, { key: text })
          .through('by-value')
          .groupByKey()
          .count({ store: 'counts' })
          .toStream()
          .mapValues(String)
          .to('out', { value: text })
      }),
    )
    await life.caughtUp()
    const last = new Map(
      [0, 1, 2]
        .flatMap((p) => bench.texts('out', p))
        .map((line) => {
          const [key, value] = line.split('=')
          return [key as string, value]
        }),
    )
    expect(Object.fromEntries(last)).toEqual({ v0: '6', v1: '6', v2: '6', v3: '6', v4: '6' })
    await life.close()
  })

  test('forwards a record whose key is unchanged in its partition, whatever partitioner its writer had', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 3)
    await bench.produce(
      'in',
      [0, 1, 2].map((partition) => ({ key: 'same', value: `${partition}`, partition })),
    )
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text })
          .mapValues((v) => v, { value: text })
          .to('out')
      }),
    )
    await life.caughtUp()
    expect([0, 1, 2].map((p) => bench.texts('out', p))).toEqual([
      ['same=0'],
      ['same=1'],
      ['same=2'],
    ])
    await life.close()
  })
})
