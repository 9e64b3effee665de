import { describe, expect, test } from 'vitest'
import { asPartition, asTopic } from '../../model/position.ts'
import { text } from '../../serdes/primitives.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import { repartitionCounts } from '../../topology/repartition-counts.ts'
import { MemoryBench } from './memory-bench.ts'

const SERDES = { key: text, value: text }
const COUNTS = { in: 3, out: 3 }

const byValue = topology('app', ({ stream }) => {
  stream('in', SERDES)
    .groupBy(({ value }) => value, { key: text, name: 'by-value' })
    .count({ store: 'counts' })
    .toStream()
    .mapValues(String, { value: text })
    .to('out', SERDES)
})

describe('a repartition topic', () => {
  test('brings records of one key from all partitions into one task', async () => {
    await using driver = await topologyTestDriver(byValue, { partitions: COUNTS })
    const input = driver.input('in', SERDES)
    for (let at = 0; at < 30; at += 1) {
      await input.pipe(`key ${at}`, `value ${at % 4}`, { partition: at % 3 })
    }
    const last = new Map(await driver.output('out', SERDES).readKeyValues())
    expect(Object.fromEntries(last)).toEqual({
      'value 0': '8',
      'value 1': '8',
      'value 2': '7',
      'value 3': '7',
    })
  })

  test('is named after the application, with as many partitions as its source, and never expires', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 3)
    const life = await bench.start(byValue, { application: 'shop' })
    const [topic] = await bench.log.admin.describeTopics([asTopic('shop-by-value-repartition')])
    expect(topic).toMatchObject({
      partitions: 3,
      config: { 'cleanup.policy': 'delete', 'retention.ms': '-1' },
    })
    expect(await bench.log.admin.describeTopics([asTopic('by-value-repartition')])).toEqual([])
    await life.close()
  })

  test('that is there with another number of partitions is refused', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 3)
    await bench.createTopics(['app-by-value-repartition'], 2)
    const life = bench.life(byValue)
    await expect(bench.settle(life.app.start())).rejects.toMatchObject({
      code: 'MILLRACE_PARTITIONS_DIFFER',
      place: 'app-by-value-repartition',
    })
  })

  test('is emptied of what was read and committed, and of nothing else', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(byValue, { limits: { repartitionPurgeMs: 1000 } })
    const at = { topic: asTopic('app-by-value-repartition'), partition: asPartition(0) }
    const earliest = async (): Promise<number | undefined> => {
      const [offset] = await bench.settle(
        bench.log.admin.offsets([at], 'earliest', 'read_committed'),
      )
      return offset
    }
    await bench.produce('in', [{ key: 'a', value: 'x' }])
    await life.caughtUp()
    expect(await earliest()).toBe(0)
    await bench.pass(1000)
    await bench.produce('in', [{ key: 'a', value: 'y' }])
    await life.caughtUp()
    await bench.pass(10)
    const [committed] = await bench.settle(bench.log.admin.committedOffsets('app', [at]))
    expect(await earliest()).toBeGreaterThan(0)
    expect(await earliest()).toBeLessThanOrEqual(committed?.offset ?? 0)
    expect(life.events.filter(({ kind }) => kind === 'notice')).toEqual([])
    await life.close()
  })

  test('goes on after a kill where the application was', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    const first = await bench.start(byValue)
    await bench.produce('in', [
      { key: 'a', value: 'x', partition: 0 },
      { key: 'b', value: 'x', partition: 1 },
    ])
    await bench.pass(40)
    first.kill()
    const second = await bench.start(byValue)
    await bench.produce('in', [{ key: 'c', value: 'x', partition: 1 }])
    await second.caughtUp()
    const counts = [0, 1].flatMap((partition) => bench.texts('out', partition))
    expect(counts).toEqual(['x=1', 'x=2', 'x=3'])
    await second.close()
  })
})

describe('the partitions of repartition topics', () => {
  const counts = (declare: Parameters<typeof topology>[1], topics: Record<string, number>) =>
    Object.fromEntries(repartitionCounts(topology('t', declare), new Map(Object.entries(topics))))

  test('are those of the largest source of the sub-topology that writes, along a chain too', () => {
    const found = counts(
      ({ stream }) => {
        const merged = stream('a', SERDES).merge(stream('b', SERDES))
        merged
          .selectKey(({ value }) => value, SERDES)
          .repartition({ ...SERDES, name: 'first' })
          .selectKey(({ value }) => value, { key: text })
          .repartition({ name: 'second' })
          .to('c')
      },
      { a: 2, b: 5, c: 1 },
    )
    expect(found).toEqual({ 'first-repartition': 5, 'second-repartition': 5 })
  })

  test('are the author’s number, which those behind it take too', () => {
    const found = counts(
      ({ stream }) =>
        stream('a', SERDES)
          .repartition({ name: 'first', partitions: 7 })
          .selectKey(({ value }) => value, { key: text })
          .repartition({ name: 'second' })
          .to('c'),
      { a: 2, c: 1 },
    )
    expect(found).toEqual({ 'first-repartition': 7, 'second-repartition': 7 })
  })

  test('are those of the table that a step joins', () => {
    const found = counts(
      ({ stream, table }) =>
        stream('a', SERDES)
          .selectKey(({ value }) => value, { key: text })
          .join(table('t', SERDES), (left, right) => left + right, { name: 'j', value: text })
          .to('c'),
      { a: 2, t: 6, c: 1 },
    )
    expect(found).toEqual({ 'j-repartition': 6 })
  })

  test('are the larger number where two repartition topics meet', () => {
    const found = counts(
      ({ stream }) => {
        const a = stream('a', SERDES).selectKey(({ value }) => value, { key: text })
        const b = stream('b', SERDES).selectKey(({ value }) => value, { key: text })
        a.joinOnce('j', b, (left) => left, { expireAfter: 1, value: text }).to('c')
      },
      { a: 2, b: 6, c: 1 },
    )
    expect(found).toEqual({ 'j-left-repartition': 6, 'j-right-repartition': 6 })
  })

  test('are left open where a source does not exist', () => {
    const found = counts(({ stream }) => stream('a', SERDES).repartition({ name: 'r' }).to('c'), {
      c: 1,
    })
    expect(found).toEqual({})
  })
})
