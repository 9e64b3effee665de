import { describe, expect, test } from 'vitest'
import { NO_HEADERS, StreamRecord } from '../../model/record.ts'
import type { ProcessorContext, PunctuationType, Scheduled } from '../../processors/processor.ts'
import { Punctuations } from '../../runtime/punctuations.ts'
import { int64, text } from '../../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../../state/store.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { TransportError } from '../../transport/errors.ts'
import { MemoryBench } from './memory-bench.ts'
import { gated } from './wrapped-transport.ts'

const SERDES = { key: text, value: text }

/** Forwards `tick` with the time it is told, and records as they are. */
function ticking(
  everyMs: number,
  type: PunctuationType,
  onTick: (context: ProcessorContext<string, string>, time: number) => void = tell,
): Topology {
  return topology('ticking', ({ stream }) => {
    stream('in', SERDES)
      .process<string, string>({
        create: (context) => {
          context.schedule(everyMs, type, (time) => onTick(context, time))
          return context.forward
        },
      })
      .to('out', SERDES)
  })
}

function tell({ forward }: ProcessorContext<string, string>, time: number): void {
  forward(new StreamRecord('tick', String(time), time, NO_HEADERS))
}

describe('the schedules of a task', () => {
  const calls: string[] = []
  const schedules = (...intervals: number[]): Punctuations => {
    calls.length = 0
    const punctuations = new Punctuations()
    for (const intervalMs of intervals) {
      const call = (time: number): void => void calls.push(`${intervalMs}@${time}`)
      punctuations.add('stream-time', { intervalMs, firstMs: 0 }, call)
    }
    return punctuations
  }

  test('run what is due, the earliest first, each once however many intervals went by', () => {
    const punctuations = schedules(10, 7)
    expect(punctuations.nextStreamMs).toBe(0)
    punctuations.run('stream-time', 0)
    expect(punctuations.run('stream-time', 6)).toBe(0)
    expect(punctuations.run('stream-time', 35)).toBe(2)
    expect(calls.slice(2)).toEqual(['7@35', '10@35'])
    expect(punctuations.nextStreamMs).toBe(40)
  })

  test('keep the two clocks apart', () => {
    const punctuations = schedules(10)
    punctuations.add('wall-clock', { intervalMs: 5, firstMs: 1005 }, () => calls.push('wall'))
    expect(punctuations.nextWallMs).toBe(1005)
    punctuations.run('stream-time', 5000)
    expect(calls).toEqual(['10@5000'])
    punctuations.run('wall-clock', 1005)
    expect(calls).toEqual(['10@5000', 'wall'])
    expect(punctuations.nextWallMs).toBe(1010)
  })

  test('end where they are cancelled, also from within', () => {
    const punctuations = new Punctuations()
    let count = 0
    const schedule: Scheduled = punctuations.add(
      'stream-time',
      { intervalMs: 1, firstMs: 0 },
      () => {
        count += 1
        if (count === 2) schedule.cancel()
      },
    )
    for (let now = 0; now < 5; now += 1) punctuations.run('stream-time', now)
    schedule.cancel()
    expect(count).toBe(2)
    expect(punctuations.nextStreamMs).toBe(Infinity)
  })
})

describe('a punctuation by the wall clock', () => {
  test('comes one interval after the start, without any record, and is told the time', async () => {
    await using driver = await topologyTestDriver(ticking(100, 'wall-clock'), {
      wallClockMs: 5000,
    })
    const out = driver.output('out', SERDES)
    await driver.advanceWallClock(99)
    expect(out.size).toBe(0)
    await driver.advanceWallClock(1)
    expect(await out.readKeyValues()).toEqual([['tick', '5100']])
  })

  test('comes between records, and its outputs are committed without one', async () => {
    await using driver = await topologyTestDriver(ticking(10, 'wall-clock'), { wallClockMs: 0 })
    const input = driver.input('in', SERDES)
    await input.pipe('a', 'x', { timestampMs: 1 })
    await driver.advanceWallClock(10)
    await input.pipe('a', 'y', { timestampMs: 2 })
    expect(await driver.output('out', SERDES).readKeyValues()).toEqual([
      ['a', 'x'],
      ['tick', '10'],
      ['a', 'y'],
    ])
  })

  test('sees -1 as the stream time before the first record, and no source', async () => {
    const seen: unknown[] = []
    const value = ticking(10, 'wall-clock', (context) => {
      seen.push(context.streamTime(), context.source())
    })
    await using driver = await topologyTestDriver(value, { wallClockMs: 0 })
    await driver.advanceWallClock(10)
    expect(seen).toEqual([-1, undefined])
  })

  test('asserts an interval of at least a millisecond', async () => {
    await expect(topologyTestDriver(ticking(0, 'wall-clock'))).rejects.toThrow(/at least 1/)
  })
})

describe('a punctuation that throws', () => {
  const failing = ticking(10, 'stream-time', (context, time) => {
    tell(context, time)
    if (time >= 10) throw new Error('broken')
  })

  test('fails the app with the step’s name, and nothing of its unit is committed', async () => {
    await using driver = await topologyTestDriver(failing)
    const input = driver.input('in', SERDES)
    await input.pipe('a', 'x', { timestampMs: 1 })
    await expect(input.pipe('a', 'y', { timestampMs: 10 })).rejects.toThrow(
      /KSTREAM-PROCESSOR-0000000001 failed on a punctuation: broken/,
    )
    const out = driver.output('out', SERDES)
    expect(await out.readKeyValues()).toEqual([
      ['a', 'x'],
      ['tick', '1'],
    ])
  })

  test('is left out and counted where failures are skipped', async () => {
    await using driver = await topologyTestDriver(failing, { failures: { processing: 'skip' } })
    const input = driver.input('in', SERDES)
    for (const timestampMs of [1, 10, 20]) await input.pipe('a', 'x', { timestampMs })
    expect(await driver.output('out', SERDES).readKeyValues()).toContainEqual(['tick', '20'])
    const dropped = driver.counters().find(({ name }) => name === 'dropped-records')
    expect(dropped?.value).toBe(2)
  })
})

describe('a punctuation and its stores', () => {
  const totals: KeyValueStoreSpec<string, bigint> = {
    kind: 'key-value',
    name: 'totals',
    key: text,
    value: int64,
    persistent: true,
    logged: true,
  }
  const counting = topology('counting', ({ stream }) => {
    stream('in', SERDES)
      .process<string, string>({
        stores: [totals],
        create: (context) => {
          const { schedule, forward } = context
          const kept = context.store(totals)
          let pending = 0n
          schedule(10, 'stream-time', (time) => {
            const total = (kept.get('all') ?? 0n) + pending
            pending = 0n
            kept.put('all', total, time)
            forward(new StreamRecord('all', String(total), time, NO_HEADERS))
          })
          return () => void (pending += 1n)
        },
      })
      .to('out', SERDES)
  })

  test('are one unit with the records: a rewind undoes both, and schedules are made anew', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    let failures = 1
    const beforeCommit = async (): Promise<void> => {
      if (failures === 0 || bench.records('in').length === 0) return
      failures -= 1
      throw new TransportError('MILLRACE_TRANSACTION_ABORTED', 'abortable', {
        message: 'by the test',
      })
    }
    const life = await bench.start(counting, {
      limits: { commitIntervalMs: 50 },
      wrap: (transport) => gated(transport, { beforeCommit }),
    })
    await bench.produce(
      'in',
      [5, 12, 13, 25].map((timestamp) => ({ key: 'a', value: 'x', timestamp })),
    )
    await life.caughtUp()
    expect(life.events.map(({ kind }) => kind)).toContain('rewound')
    expect(bench.texts('out')).toEqual(['all=1', 'all=2', 'all=4'])
    await life.close()
  })
})
