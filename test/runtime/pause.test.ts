import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { HandService } from '../processors/hand-services.ts'
import { MemoryBench, type Life } from './memory-bench.ts'

const passing = () =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: text }).to('out')
  })

const kinds = ({ events }: Life): readonly string[] =>
  events.map(({ kind }) => kind).filter((kind) => kind === 'paused' || kind === 'resumed')

describe('a paused app', () => {
  test('processes nothing until it is resumed, and stays running', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(passing())
    life.app.pause()
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(60_000)
    expect(bench.texts('out')).toEqual([])
    expect([life.app.isPaused, life.app.state]).toEqual([true, 'running'])
    life.app.resume()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1'])
    expect(life.app.isPaused).toBe(false)
    await life.close()
  })

  test('commits what was done before', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(passing(), { limits: { commitIntervalMs: 5_000 } })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(1_000)
    life.app.pause()
    expect(bench.texts('out')).toEqual([])
    await bench.pass(5_000)
    expect(bench.texts('out')).toEqual(['a=1'])
    expect(await bench.committed('app', 'in')).toBe(1)
    await life.close()
  })

  test('may begin paused, and says each change once', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value: '1' }])
    const life = bench.life(passing())
    life.app.pause()
    life.app.pause()
    await bench.settle(life.app.start())
    await bench.pass(1_000)
    expect(bench.texts('out')).toEqual([])
    life.app.resume()
    life.app.resume()
    await life.caughtUp()
    expect(kinds(life)).toEqual(['paused', 'resumed'])
    await life.close()
  })

  test('makes no calls by time, and one when it goes on, however many were due', async () => {
    const bench = await MemoryBench.with(['in'])
    const calls: number[] = []
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text }).process<string, string>({
          create: ({ schedule }) => {
            schedule(1_000, 'wall-clock', (timestampMs) => void calls.push(timestampMs))
            return () => {}
          },
        })
      }),
    )
    await bench.pass(1_500)
    expect(calls).toHaveLength(1)
    life.app.pause()
    await bench.pass(10_000)
    expect(calls).toHaveLength(1)
    life.app.resume()
    await bench.pass(10)
    expect(calls).toHaveLength(2)
    await life.close()
  })

  test('takes in the answer of a service when it goes on', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const service = new HandService()
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text }).enrich('ask', service.enricher).to('out')
      }),
    )
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(500)
    life.app.pause()
    service.answerAll()
    await bench.pass(5_000)
    expect(bench.texts('out')).toEqual([])
    life.app.resume()
    await life.caughtUp()
    expect(bench.texts('out')).toHaveLength(1)
    await life.close()
  })

  test('can be closed', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(passing())
    life.app.pause()
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(100)
    await life.close()
    expect(life.app.state).toBe('stopped')
    const next = await bench.start(passing())
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1'])
    await next.close()
  })

  test('stays in its group with its tasks, and goes on with them', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    const group = { assignment: { kind: 'group' } } as const
    const one = await bench.start(passing(), { ...group, machine: 'one/' })
    const two = await bench.start(passing(), { ...group, machine: 'two/' })
    const shares = async (): Promise<readonly number[]> => {
      const members = await bench.settle(bench.log.admin.describeGroup('app'))
      return members.map(({ partitions }) => partitions.length)
    }
    await bench.pass(10_000)
    expect(await shares()).toEqual([1, 1])
    one.app.pause()
    await bench.produce(
      'in',
      [0, 1].map((partition) => ({ key: 'a', value: `${partition}`, partition })),
    )
    await bench.pass(5 * 60_000)
    const sent = (): number => bench.texts('out', 0).length + bench.texts('out', 1).length
    expect([sent(), ...(await shares())]).toEqual([1, 1, 1])
    one.app.resume()
    await bench.pass(1_000)
    expect(sent()).toBe(2)
    await one.close()
    await two.close()
  })
})
