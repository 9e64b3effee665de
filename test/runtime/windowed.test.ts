/** Windows in a running app: over crashes, lost disks and slow steps. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { partitionForKey } from '../../model/murmur2.ts'
import { asPartition } from '../../model/position.ts'
import type { FunctionEnricher } from '../../processors/enricher.ts'
import { sessions } from '../../processors/session-windows.ts'
import { hopping, tumbling } from '../../processors/time-windows.ts'
import { int64, text } from '../../serdes/primitives.ts'
import { describeWindowed, sessionWindowed, timeWindowed } from '../../serdes/windowed.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import { Bench } from './fixtures.ts'

const SERDES = { key: text, value: text }
const WINDOWED = { key: timeWindowed(text, 10), value: int64 }

const counting = () =>
  topology('windows', ({ stream }) => {
    stream('in', SERDES)
      .filter(({ value }) => value !== 'skip')
      .groupByKey()
      .windowedBy(tumbling(10, { graceMs: 5 }))
      .count({ store: 'counts' })
      .toStream()
      .to('out')
  })

/** `[key@start/end]=count` of what came out since the last call. */
async function counts(output: {
  readKeyValues(): Promise<
    readonly (readonly [Parameters<typeof describeWindowed>[0] | null, bigint | null])[]
  >
}): Promise<readonly string[]> {
  const pairs = await output.readKeyValues()
  return pairs.map(([key, count]) => `${key === null ? '' : describeWindowed(key)}=${count}`)
}

describe('a windowed count', () => {
  test.each(['stop', 'crash'] as const)('finds the same records late after a %s', async (how) => {
    await using driver = await topologyTestDriver(counting())
    const input = driver.input('in', SERDES)
    const output = driver.output('out', WINDOWED)
    await input.pipe('a', 'x', { timestampMs: 3 })
    await input.pipe('b', 'x', { timestampMs: 14 })
    // The task's time goes on by what a step before leaves out; that of the windows does not.
    await input.pipe('b', 'skip', { timestampMs: 100 })
    await driver.restart(how)
    await input.pipe('a', 'x', { timestampMs: 4 })
    await input.pipe('b', 'x', { timestampMs: 15 })
    await driver.restart(how)
    await input.pipe('a', 'x', { timestampMs: 9 })
    await input.pipe('a', 'x', { timestampMs: 16 })
    expect(await counts(output)).toEqual([
      '[a@0/10]=1',
      '[b@10/20]=1',
      '[a@0/10]=2',
      '[b@10/20]=2',
      '[a@10/20]=1',
    ])
  })

  test('goes on from its changelog where the disk was lost, with the same records late', async () => {
    await using bench = await Bench.open()
    await bench.createTopics(['in', 'out'])
    const run = async (...timestamps: readonly number[]): Promise<void> => {
      const app = bench.app(counting())
      await app.start()
      const records = timestamps.map((timestamp) => ({ key: 'a', value: 'x', timestamp }))
      await bench.produce('in', records)
      await app.caughtUp()
      await app.close()
      await rm(join(bench.folder, 'state'), { recursive: true })
    }
    await run(3, 12, 14)
    // Still within its grace, then not.
    await run(4, 15)
    await run(5, 16)
    const outputs = (await bench.read('out')).map(({ key, value }) => [
      Number(key?.readBigInt64BE(key.length - 8)),
      Number(value?.readBigInt64BE()),
    ])
    expect(outputs).toEqual([
      [0, 1],
      [10, 1],
      [10, 2],
      [0, 2],
      [10, 3],
      [10, 4],
    ])
  })

  test('takes what a slow step before it hands on late', async () => {
    const answers = new Map<string, () => void>()
    const slow: FunctionEnricher<string, string, string> = {
      kind: 'function',
      value: text,
      call: async ({ value }) => {
        if (value === 'slow') await new Promise<void>((answer) => answers.set(value, answer))
        return value
      },
    }
    const pipeline = topology('late', ({ stream }) => {
      stream('in', SERDES)
        .enrich('slow', slow, { orderBy: 'none' })
        .groupByKey()
        .windowedBy(tumbling(10))
        .count()
        .toStream()
        .to('out')
    })
    await using driver = await topologyTestDriver(pipeline)
    const input = driver.input('in', SERDES)
    const output = driver.output('out', WINDOWED)
    await input.pipe('a', 'slow', { timestampMs: 5 })
    await input.pipe('a', 'fast', { timestampMs: 500 })
    expect(await counts(output)).toEqual(['[a@500/510]=1'])
    answers.get('slow')?.()
    await driver.settle({ clock: 'stands' })
    expect(await counts(output)).toEqual(['[a@0/10]=1'])
    // Nothing holds time any more once the next record comes: from then on it is late.
    await input.pipe('a', 'fast', { timestampMs: 501 })
    await input.pipe('a', 'fast', { timestampMs: 6 })
    expect(await counts(output)).toEqual(['[a@500/510]=2'])
  })

  test('writes all windows of a key to the partition that the key alone chooses', async () => {
    const partitions = { in: 1, out: 3 }
    await using driver = await topologyTestDriver(counting(), { partitions })
    const input = driver.input('in', SERDES)
    const output = driver.output('out', WINDOWED)
    for (const key of ['a', 'b', 'c', 'd']) {
      for (const timestampMs of [100, 110]) await input.pipe(key, 'x', { timestampMs })
    }
    const records = await output.readAll()
    expect(records).toHaveLength(8)
    for (const { key, partition } of records) {
      const bytes = Buffer.from(key?.key ?? '')
      expect(partition).toBe(asPartition(partitionForKey(bytes, 3)))
    }
  })

  test('is a table whose rows a stream of windowed keys can join', async () => {
    const pipeline = topology('ratio', ({ stream }) => {
      const records = stream('in', SERDES).groupByKey()
      const all = records.windowedBy(hopping(10, 5)).count()
      records
        .windowedBy(hopping(10, 5))
        .reduce((_, value) => value)
        .toStream()
        .join(all, (last, count) => `${last} of ${count}`, { value: text })
        .to('out')
    })
    await using driver = await topologyTestDriver(pipeline)
    const input = driver.input('in', SERDES)
    const output = driver.output('out', { key: timeWindowed(text, 10), value: text })
    await input.pipe('a', 'x', { timestampMs: 7 })
    await input.pipe('a', 'y', { timestampMs: 8 })
    const values = (await output.readAll()).map(({ value }) => value)
    expect(values).toEqual(['x of 1', 'x of 1', 'y of 2', 'y of 2'])
  })
})

describe('a count of sessions', () => {
  const pipeline = topology('sessions', ({ stream }) => {
    stream('in', SERDES)
      .groupByKey()
      .windowedBy(sessions(10, { graceMs: 5 }))
      .count({ store: 'counts' })
      .toStream()
      .to('out')
  })

  test.each(['stop', 'crash'] as const)(
    'joins the same records, and finds the same ones late, after a %s',
    async (how) => {
      await using driver = await topologyTestDriver(pipeline)
      const input = driver.input('in', SERDES)
      const output = driver.output('out', { key: sessionWindowed(text), value: int64 })
      await input.pipe('a', 'x', { timestampMs: 10 })
      await driver.restart(how)
      await input.pipe('a', 'x', { timestampMs: 20 })
      await input.pipe('b', 'x', { timestampMs: 35 })
      await driver.restart(how)
      await input.pipe('c', 'x', { timestampMs: 20 })
      await input.pipe('c', 'x', { timestampMs: 19 })
      await input.pipe('a', 'x', { timestampMs: 28 })
      expect(await counts(output)).toEqual([
        '[a@10/10]=1',
        '[a@10/10]=null',
        '[a@10/20]=2',
        '[b@35/35]=1',
        '[c@20/20]=1',
        '[a@28/28]=1',
      ])
    },
  )
})
