/** Starts over what disks and logs kept. */
import { describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { MemoryBench, type Life } from './memory-bench.ts'

const counting = (persistent = true) =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: text })
      .groupByKey()
      .count({ store: 'counts', persistent })
      .toStream()
      .mapValues(String)
      .to('out', { value: text })
  })

/** Of each row, what it was and what it is. */
const table = () =>
  topology('app', ({ table: tableOf }) => {
    tableOf('in', { key: text, value: text, store: 'rows' })
      .mapValues((value) => value.toUpperCase(), { value: text })
      .toStream()
      .to('out')
  })

const notices = ({ events }: Life): readonly string[] =>
  events.flatMap((event) => (event.kind === 'notice' ? [event.message] : []))

const restored = ({ events }: Life): number =>
  events.reduce(
    (sum, event) => (event.kind === 'restoring' ? Math.max(sum, event.restored) : sum),
    0,
  )

const at = (topic: string) => ({ topic: asTopic(topic), partition: asPartition(0) })

const keys = (...names: readonly string[]) => names.map((key) => ({ key, value: '1' }))

describe('counts', () => {
  test.each(['closed', 'killed'])('go on where they were after the app was %s', async (how) => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a', 'b', 'a'))
    const first = await bench.start(counting())
    await first.caughtUp()
    if (how === 'closed') await first.close()
    else first.kill()
    await bench.produce('in', keys('a', 'b'))
    const second = await bench.start(counting())
    await second.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'b=1', 'a=2', 'a=3', 'b=2'])
    if (how === 'closed') expect(restored(second)).toBe(0)
    await second.close()
  })

  test('come back from their changelog when the disk is gone', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a', 'b', 'a'))
    const first = await bench.start(counting())
    await first.caughtUp()
    await first.close()
    bench.disks.clear()
    await bench.produce('in', keys('a'))
    const second = await bench.start(counting())
    await second.caughtUp()
    expect(bench.texts('out').at(-1)).toBe('a=3')
    expect(restored(second)).toBe(2)
    expect(notices(second).join()).toContain('counts')
    await second.close()
  })

  test('in memory come back at every start', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a'))
    for (const expected of [1, 2, 3]) {
      const life = await bench.start(counting(false))
      await life.caughtUp()
      expect(bench.texts('out').at(-1)).toBe(`a=${expected}`)
      await life.close()
      await bench.produce('in', keys('a'))
    }
  })

  test('that went beyond what an election left of their changelog come back from what it left', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a', 'a', 'b'))
    const first = await bench.start(counting())
    await first.caughtUp()
    await first.close()
    // Its start reads up to the end, and learns of which epoch that is.
    await (await bench.start(counting())).close()
    const changelog = 'app-counts-changelog'
    const state = bench.records(changelog)
    const [end] = await bench.settle(
      bench.log.admin.offsets([at(changelog)], 'latest', 'read_committed'),
    )
    bench.log.truncate({ ...at(changelog), offset: asOffset(0) })
    // Another process went on behind the records that are lost, and past where this one was.
    const again = state.slice(0, 1).map(({ key, value }) => ({ key: String(key), value }))
    for (let i = 0; i <= Number(end); i += 1) await bench.produce(changelog, again)
    await bench.produce('in', keys('a', 'b'))
    const second = await bench.start(counting())
    await second.caughtUp()
    expect(notices(second).join()).toContain('the log lost records')
    expect(bench.texts('out').slice(-2)).toEqual(['a=3', 'b=1'])
    await second.close()
  })

  test('whose changelog was deleted and created again are lost, and that is said', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a', 'a'))
    const first = await bench.start(counting())
    await first.caughtUp()
    await first.close()
    await bench.settle(bench.log.admin.deleteTopics([asTopic('app-counts-changelog')]))
    const second = await bench.start(counting())
    expect(notices(second).join()).toContain('deleted and created again')
    await second.close()
  })
})

describe('a table', () => {
  test('is restored from its topic, only as far as it was processed, with the same outputs', async () => {
    const run = async (loses: boolean): Promise<readonly string[]> => {
      const bench = await MemoryBench.with(['in', 'out'])
      await bench.produce('in', [
        { key: 'a', value: 'x' },
        { key: 'b', value: 'y' },
        { key: 'a', value: null },
      ])
      const first = await bench.start(table())
      await first.caughtUp()
      await first.close()
      await bench.produce('in', [
        { key: 'a', value: 'z' },
        { key: 'b', value: null },
      ])
      if (loses) bench.disks.clear()
      const second = await bench.start(table())
      await second.caughtUp()
      if (loses) expect(restored(second)).toBe(3)
      await second.close()
      expect(await bench.settle(bench.log.admin.describeTopics())).toHaveLength(2)
      return bench.texts('out')
    }
    const kept = await run(false)
    expect(kept).toEqual(['a=X', 'b=Y', 'a=null', 'a=Z', 'b=null'])
    expect(await run(true)).toEqual(kept)
  })
})

describe('offsets that are gone', () => {
  test.each([
    ['the changelog', (bench: MemoryBench) => bench.disks.clear()],
    ['the state folder', (bench: MemoryBench) => bench],
  ])('while %s holds state are an error and no silent new beginning', async (_name, lose) => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a'))
    const first = await bench.start(counting())
    await first.caughtUp()
    await first.close()
    lose(bench)
    // Deleting a topic takes its committed offsets with it.
    await bench.settle(bench.log.admin.deleteTopics([asTopic('in')]))
    await bench.createTopics(['in'])
    const second = bench.life(counting())
    await expect(bench.settle(second.app.start())).rejects.toMatchObject({
      code: 'MILLRACE_OFFSETS_LOST',
    })
    expect(second.app.state).toBe('failed')
  })

  test('without any state are a first start, from the beginning of the log', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a', 'b'))
    const life = await bench.start(counting())
    expect(await bench.committed('app', 'in')).toBe(0)
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'b=1'])
    await life.close()
  })
})

describe('a log that was purged past the committed offset', () => {
  test('stops the app before it starts, with the range, and resets nothing', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', keys('a'))
    const first = await bench.start(counting())
    await first.caughtUp()
    await first.close()
    await bench.produce('in', keys('b', 'c', 'd'))
    const [topic] = [asTopic('in')]
    bench.log.purgeBefore({ topic, partition: asPartition(0), offset: asOffset(3) })
    const second = bench.life(counting())
    await expect(bench.settle(second.app.start())).rejects.toMatchObject({
      code: 'MILLRACE_OFFSET_OUT_OF_RANGE',
    })
  })
})

describe('topics that do not fit', () => {
  test('are named all together, before anything starts', async () => {
    const bench = await MemoryBench.with(['other'])
    const life = bench.life(counting())
    await expect(bench.settle(life.app.start())).rejects.toThrow(/in[\s\S]*out/)
    await expect(bench.settle(life.app.closed)).rejects.toMatchObject({
      code: 'MILLRACE_TOPOLOGY_INVALID',
    })
    expect(life.app.state).toBe('failed')
    expect(await bench.settle(bench.log.admin.describeTopics())).toHaveLength(1)
  })

  test('because the sides of a join have different partitions are refused', async () => {
    const bench = await MemoryBench.with(['left', 'out'], 2)
    await bench.createTopics(['right'], 3)
    const life = bench.life(
      topology('app', ({ stream }) => {
        stream('left', { key: text, value: text })
          .joinOnce('meet', stream('right', { key: text, value: text }), (l, r) => l + r, {
            expireAfter: 1,
            value: text,
          })
          .to('out')
      }),
    )
    await expect(bench.settle(life.app.start())).rejects.toMatchObject({
      code: 'MILLRACE_TOPOLOGY_INVALID',
    })
  })

  test('because the changelog has another number of partitions are refused, with the reason', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    await bench.createTopics(['app-counts-changelog'], 1)
    const life = bench.life(counting())
    await expect(bench.settle(life.app.start())).rejects.toMatchObject({
      code: 'MILLRACE_PARTITIONS_DIFFER',
      place: 'app-counts-changelog',
    })
  })
})

describe('units of one application', () => {
  test('share the partitions of two processes, with the outputs of one', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    const records = Array.from({ length: 40 }, (_, i) => ({
      key: `k${i % 7}`,
      value: '1',
      partition: (i % 7) % 2,
    }))
    await bench.produce('in', records.slice(0, 20))
    const lives = [0, 1].map((unit) =>
      bench.life(counting(), { assignment: { kind: 'static', units: [unit] } }),
    )
    for (const life of lives) await bench.settle(life.app.start())
    for (const life of lives) await life.caughtUp()
    lives[0]?.kill()
    await bench.produce('in', records.slice(20))
    await lives[1]?.caughtUp()
    expect(bench.texts('out', 1).length).toBe(
      records.filter(({ partition }) => partition === 1).length,
    )
    const again = await bench.start(counting(), { assignment: { kind: 'static', units: [0] } })
    await again.caughtUp()
    const last = new Map(
      [0, 1]
        .flatMap((p) => bench.texts('out', p))
        .map((line) => line.split('=') as [string, string]),
    )
    for (let k = 0; k < 7; k += 1) {
      expect(last.get(`k${k}`)).toBe(String(records.filter(({ key }) => key === `k${k}`).length))
    }
    expect(bench.texts('out', 0).length + bench.texts('out', 1).length).toBe(40)
    await again.close()
    await lives[1]?.close()
  })

  test('that the topology does not have are refused', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    const life = bench.life(counting(), { assignment: { kind: 'static', units: [2] } })
    await expect(bench.settle(life.app.start())).rejects.toMatchObject({
      code: 'MILLRACE_NO_SUCH_PARTITION',
    })
  })

  test('may be put together otherwise at the next start: the new writer fences the old ids', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    await bench.produce('in', [
      { key: 'a', value: '1', partition: 0 },
      { key: 'b', value: '1', partition: 1 },
    ])
    const two = await bench.start(counting())
    await two.caughtUp()
    const one = await bench.start(counting(), { assignment: { kind: 'static', of: 1 } })
    await bench.produce('in', [{ key: 'b', value: '1', partition: 1 }])
    expect(await two.failure()).toMatchObject({ code: 'MILLRACE_PRODUCER_FENCED' })
    await one.caughtUp()
    expect(bench.texts('out', 1)).toEqual(['b=1', 'b=2'])
    await one.close()
  })
})
