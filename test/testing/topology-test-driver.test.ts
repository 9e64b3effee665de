import { describe, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { hours, seconds } from '../../model/duration.ts'
import type { FunctionEnricher } from '../../processors/enricher.ts'
import { avro } from '../../serdes/avro.ts'
import { json } from '../../serdes/json.ts'
import { bytes, int64, text } from '../../serdes/primitives.ts'
import type { Serde } from '../../serdes/serde.ts'
import { handClock } from '../../testing/hand-clock.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'

const TEXTS = { key: text, value: text }

const words = () =>
  topology('words', ({ stream }) => {
    const lines = stream('lines', TEXTS)
    lines
      .flatMap(({ value }) => value.split(' ').map((word) => [word, word] as const), TEXTS)
      .through('by-word')
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .to('totals', { value: int64 })
  })

const enriching = (call: FunctionEnricher<string, string, string>['call'], options = {}) =>
  topology('enriching', ({ stream }) => {
    stream('in', TEXTS).enrich('ask', { kind: 'function', value: text, call }, options).to('out')
  })

describe('a driver', () => {
  test('has processed and committed all that follows from a record when pipe resolves', async () => {
    await using driver = await topologyTestDriver(words())
    const lines = driver.input('lines', TEXTS)
    const totals = driver.output('totals', { key: text, value: int64 })
    expect(totals.isEmpty).toBe(true)
    await lines.pipe('1', 'to be or not to be')
    expect(await totals.read()).toMatchObject({ key: 'to', value: 1n, partition: 0 })
    expect(totals.size).toBe(5)
    expect(new Map(await totals.readKeyValues())).toEqual(
      new Map([
        ['to', 2n],
        ['be', 2n],
        ['or', 1n],
        ['not', 1n],
      ]),
    )
    expect(totals.isEmpty).toBe(true)
    await expect(totals.read()).rejects.toThrow('no record is left on totals; 6 were read')
    await lines.pipe('2', 'be')
    expect(await totals.readKeyValues()).toEqual([['be', 3n]])
  })

  test('reads stores, by key and in ranges', async () => {
    await using driver = await topologyTestDriver(words())
    const lines = driver.input('lines', TEXTS)
    await lines.pipe('1', 'c a b a', { timestampMs: 70 })
    const counts = driver.store<string, bigint>('counts')
    expect(await counts.get('a')).toBe(2n)
    expect(await counts.get('z')).toBeUndefined()
    expect(await counts.getWithTimestamp('b')).toEqual({ value: 1n, timestamp: 70 })
    expect((await Array.fromAsync(counts.all())).map(([key]) => key)).toEqual(['a', 'b', 'c'])
    expect((await Array.fromAsync(counts.range('b'))).map(([key]) => key)).toEqual(['b', 'c'])
    expect(() => driver.store('count')).toThrow('words has no store count; it has counts')
  })

  test('tells what is committed from what is not, where commits wait for their interval', async () => {
    const limits = { commitIntervalMs: seconds(10) }
    await using driver = await topologyTestDriver(words(), { limits })
    const totals = driver.output('totals', { key: text, value: int64 })
    await driver.input('by-word', TEXTS).pipe('a', 'a')
    const committed = driver.store<string, bigint>('counts')
    const live = driver.store<string, bigint>('counts', { isolation: 'read_uncommitted' })
    expect([await live.get('a'), await committed.get('a')]).toEqual([1n, undefined])
    expect(await Array.fromAsync(committed.all())).toEqual([])
    expect(totals.isEmpty).toBe(true)
    await driver.advanceWallClock(seconds(10))
    expect([await live.get('a'), await committed.get('a')]).toEqual([1n, 1n])
    expect(await totals.readKeyValues()).toEqual([['a', 1n]])
  })

  test('gives timestamps by the wall clock, by a step, or as told', async () => {
    const passing = topology('passing', ({ stream }) => stream('in', TEXTS).to('out'))
    await using driver = await topologyTestDriver(passing, { wallClockMs: 1_000 })
    const out = driver.output('out', TEXTS)
    const times = async () => (await out.readAll()).map(({ timestampMs }) => timestampMs)

    const byClock = driver.input('in', TEXTS)
    await byClock.pipe('k', 'v')
    await driver.advanceWallClock(500)
    await byClock.pipe('k', 'v')
    await byClock.pipe('k', 'v', { timestampMs: 7 })
    expect(await times()).toEqual([1_000, 1_500, 7])
    expect(() => byClock.advanceTime(1)).toThrow('take the wall clock')

    const byStep = driver.input('in', { ...TEXTS, timestampMs: 10, advanceMs: 5 })
    await byStep.pipeAll([
      { key: 'k', value: 'v' },
      { key: 'k', value: 'v', timestampMs: 99 },
      { key: 'k', value: 'v' },
    ])
    byStep.advanceTime(100)
    await byStep.pipe('k', 'v')
    expect(await times()).toEqual([10, 99, 15, 120])
  })

  test('carries headers and nulls through', async () => {
    const passing = topology('passing', ({ stream }) => stream('in', TEXTS).to('out'))
    await using driver = await topologyTestDriver(passing)
    const headers = [{ key: 'trace', value: Buffer.of(1, 2) }]
    await driver.input('in', TEXTS).pipe('k', null, { headers })
    const out = driver.output('out', TEXTS)
    expect(await out.read()).toMatchObject({ key: 'k', value: null, headers })
    await driver.input('in', { key: text, value: bytes }).pipe(null, Buffer.from('raw'))
    expect(await out.readKeyValues()).toEqual([[null, 'raw']])
  })

  test('runs a task for each partition, and writes where the producers of a topic would', async () => {
    const counting = topology('counting', ({ stream }) => {
      const partitionBy = (key: string) => key.slice(0, 1)
      stream('in', { ...TEXTS, partitionBy })
        .groupByKey()
        .count({ store: 'counts' })
    })
    await using driver = await topologyTestDriver(counting, { partitions: { in: 4 } })
    const input = driver.input('in', TEXTS)
    for (const key of ['a1', 'a2', 'a3', 'b1', 'c1', 'd1']) await input.pipe(key, 'x')
    const counts = driver.store<string, bigint>('counts')
    expect(await counts.get('c1')).toBe(1n)
    expect(await Array.fromAsync(counts.all())).toHaveLength(6)
    const changelog = driver.output('counting-counts-changelog', { key: text, value: int64 })
    const partitionOf = new Map((await changelog.readAll()).map((one) => [one.key, one.partition]))
    const ofA = ['a1', 'a2', 'a3'].map((key) => partitionOf.get(key))
    expect(new Set(ofA).size).toBe(1)
    expect(new Set(partitionOf.values()).size).toBeGreaterThan(1)
    await input.pipe('a1', 'x', { partition: (Number(ofA[0]) + 1) % 4 })
    expect(await Array.fromAsync(counts.all())).toHaveLength(7)
  })

  test('finds schemas in its registry, of a topic and of a store', async () => {
    const Word = avro({
      type: 'record',
      name: 'Word',
      fields: [{ name: 'letters', type: 'string' }],
    })
    const latest = topology('latest', ({ table }) => {
      table('words', { key: text, value: Word, store: 'latest' })
        .mapValues(({ letters }) => letters.length, { value: json<number>() })
        .toStream()
        .to('lengths')
    })
    await using driver = await topologyTestDriver(latest)
    await driver.input('words', { key: text, value: Word }).pipe('a', { letters: 'four' })
    expect(await driver.store('latest').get('a')).toEqual({ letters: 'four' })
    const lengths = driver.output('lengths', { key: text, value: json<number>() })
    expect(await lengths.readKeyValues()).toEqual([['a', 4]])
  })

  test('counts what its steps count', async () => {
    const topo = enriching(async ({ value }) => value.toUpperCase())
    await using driver = await topologyTestDriver(topo)
    await driver.input('in', TEXTS).pipe('a', 'x')
    expect(driver.counters()).toContainEqual({
      task: '0_0',
      processor: 'ask',
      name: 'calls',
      value: 1,
    })
  })

  test('takes calls in the order they were made, also where nobody waits between', async () => {
    await using driver = await topologyTestDriver(words())
    const lines = driver.input('by-word', TEXTS)
    const totals = driver.output('totals', { key: text, value: int64 })
    await Promise.all(['a', 'b', 'c'].map((word) => lines.pipe(word, word)))
    expect((await totals.readKeyValues()).map(([key]) => key)).toEqual(['a', 'b', 'c'])
  })

  test.each(['exactly-once', 'at-least-once'] as const)('runs under %s', async (guarantee) => {
    await using driver = await topologyTestDriver(words(), { guarantee })
    await driver.input('lines', TEXTS).pipe('1', 'a a')
    expect(await driver.store<string, bigint>('counts').get('a')).toBe(2n)
  })

  test('says which topics there are where a name is wrong', async () => {
    await using driver = await topologyTestDriver(words())
    expect(() => driver.input('totals', TEXTS)).toThrow(
      'words reads no topic totals; it reads lines, by-word',
    )
    expect(() => driver.output('total', TEXTS)).toThrow('there is no topic total; there are')
  })
})

describe('asynchronous steps of a driver', () => {
  test('are done with pipe where they need no time', async () => {
    const topo = enriching(async ({ value }) => value.toUpperCase())
    await using driver = await topologyTestDriver(topo)
    await driver.input('in', TEXTS).pipe('a', 'x')
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['a', 'X']])
  })

  test('take the time of the clock, which settle moves', async () => {
    const clock = handClock()
    const topo = enriching(async ({ value }, { signal }) => {
      await sleep(clock, 30_000, signal)
      return value.toUpperCase()
    })
    await using driver = await topologyTestDriver(topo, { clock })
    const out = driver.output('out', TEXTS)
    await driver.input('in', TEXTS).pipe('a', 'x')
    expect(out.isEmpty).toBe(true)
    const before = driver.clock.now()
    await driver.settle()
    expect(await out.readKeyValues()).toEqual([['a', 'X']])
    expect(driver.clock.now() - before).toBe(30_000)
  })

  test('come to their end when the wall clock is moved by hand', async () => {
    const clock = handClock()
    const topo = enriching(async ({ value }, { signal }) => {
      await sleep(clock, 1_000, signal)
      return value
    })
    await using driver = await topologyTestDriver(topo, { clock })
    const out = driver.output('out', TEXTS)
    await driver.input('in', TEXTS).pipe('a', 'x')
    await driver.advanceWallClock(999)
    expect(out.isEmpty).toBe(true)
    await driver.advanceWallClock(1)
    expect(out.size).toBe(1)
  })

  test('are tried again without waiting for it', async () => {
    let calls = 0
    const topo = enriching(async ({ value }) => {
      calls += 1
      if (calls < 5) throw new Error('not now')
      return value
    })
    await using driver = await topologyTestDriver(topo)
    await driver.input('in', TEXTS).pipe('a', 'x')
    await driver.settle()
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['a', 'x']])
    expect(calls).toBe(5)
  })

  test('may be answered from outside, while the clock stands', async () => {
    const topo = enriching(async ({ value }) => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      return value
    })
    await using driver = await topologyTestDriver(topo)
    const before = driver.clock.now()
    await driver.input('in', TEXTS).pipe('a', 'x')
    await driver.settle({ clock: 'stands' })
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['a', 'x']])
    expect(driver.clock.now()).toBe(before)
  })

  test('that never answer are reported, and do not keep the driver from closing', async () => {
    const topo = enriching(() => new Promise(() => {}))
    await using driver = await topologyTestDriver(topo)
    await driver.input('in', TEXTS).pipe('a', 'x')
    await expect(driver.settle()).rejects.toMatchObject({
      code: 'MILLRACE_TEST_NOT_SETTLED',
      message: expect.stringContaining('ask still waits for an answer'),
    })
  })

  test('meet their deadline when the test gives it time', async () => {
    const options = { attempts: 1, onFailure: { fallback: () => 'late' } }
    const topo = enriching(() => new Promise(() => {}), options)
    await using driver = await topologyTestDriver(topo)
    await driver.input('in', TEXTS).pipe('a', 'x')
    await driver.settle({ withinMs: hours(1) })
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['a', 'late']])
  })
})

describe('failures of a driven app', () => {
  const refusing = () =>
    topology('refusing', ({ stream }) => {
      stream('in', TEXTS)
        .peek(({ value }) => {
          if (value === 'bad') throw new Error('not this one')
        })
        .to('out')
    })

  test('reach the caller of pipe with the message of the runtime, and every later one', async () => {
    await using driver = await topologyTestDriver(refusing())
    const input = driver.input('in', TEXTS)
    await input.pipe('a', 'good')
    const failed = { code: 'MILLRACE_PROCESSING_FAILED', message: /in\[0\]@1: not this one/ }
    await expect(input.pipe('a', 'bad')).rejects.toMatchObject({ code: failed.code })
    await expect(input.pipe('a', 'good')).rejects.toThrow(failed.message)
    await expect(driver.settle()).rejects.toThrow(failed.message)
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['a', 'good']])
  })

  test('go by the policies that production has', async () => {
    const events: string[] = []
    await using driver = await topologyTestDriver(refusing(), {
      failures: { processing: 'dead-letter' },
      deadLetterTopic: 'dead',
      onEvent: ({ kind }) => events.push(kind),
    })
    await driver.input('in', TEXTS).pipeAll([
      { key: 'a', value: 'bad' },
      { key: 'b', value: 'good' },
    ])
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['b', 'good']])
    expect(await driver.output('dead', TEXTS).readKeyValues()).toEqual([['a', 'bad']])
    expect(events).toContain('skipped')
  })

  test('of a service reach the caller of settle', async () => {
    const topo = enriching(async () => await Promise.reject(new Error('no')), { attempts: 2 })
    await using driver = await topologyTestDriver(topo)
    await driver.input('in', TEXTS).pipe('a', 'x')
    await expect(driver.settle()).rejects.toMatchObject({ code: 'MILLRACE_ENRICH_FAILED' })
  })

  test('that nobody was told of are told at the end', async () => {
    const driver = await topologyTestDriver(refusing())
    const piped = driver.input('in', TEXTS).pipe('a', 'bad')
    const closed = driver[Symbol.asyncDispose]()
    await expect(piped).rejects.toMatchObject({ code: 'MILLRACE_PROCESSING_FAILED' })
    await closed
    await expect(driver.settle()).rejects.toThrow('the driver is closed')
  })

  test('to start are those of the app', async () => {
    const unopenable: Serde<string> = { name: 'broken', open: () => Promise.reject(new Error('x')) }
    const broken = topology('broken', ({ stream }) => {
      stream('in', { key: text, value: unopenable }).to('out')
    })
    await expect(topologyTestDriver(broken)).rejects.toThrow('x')
  })

  test('to end what was started are found when the driver closes', async () => {
    const leaking = topology('leaking', ({ stream }) => {
      stream('in', TEXTS).process({
        create: ({ clock }) => {
          clock.timer(hours(1), () => {})
          return () => {}
        },
      })
    })
    const driver = await topologyTestDriver(leaking)
    await expect(driver[Symbol.asyncDispose]()).rejects.toMatchObject({
      code: 'MILLRACE_TEST_LEFTOVERS',
    })
  })
})

describe('a driver that starts its app again', () => {
  test.each(['stop', 'crash'] as const)('goes on where it was after a %s', async (after) => {
    await using driver = await topologyTestDriver(words(), { partitions: 2 })
    const lines = driver.input('lines', TEXTS)
    const totals = driver.output('totals', { key: text, value: int64 })
    await lines.pipe('1', 'a b a')
    await driver.restart(after)
    await lines.pipe('2', 'a')
    expect((await totals.readKeyValues()).filter(([key]) => key === 'a')).toEqual([
      ['a', 1n],
      ['a', 2n],
      ['a', 3n],
    ])
    expect(await driver.store<string, bigint>('counts').get('b')).toBe(1n)
  })

  test('forgets what was not committed before a crash, and does it again once', async () => {
    const limits = { commitIntervalMs: seconds(10) }
    await using driver = await topologyTestDriver(words(), { limits })
    const totals = driver.output('totals', { key: text, value: int64 })
    await driver.input('by-word', TEXTS).pipe('a', 'a')
    await driver.restart('crash')
    expect(totals.isEmpty).toBe(true)
    await driver.advanceWallClock(seconds(10))
    expect(await totals.readKeyValues()).toEqual([['a', 1n]])
  })

  test('asks a service again for what it had not answered, and gives one answer', async () => {
    const clock = handClock()
    const asked: string[] = []
    const topo = enriching(async ({ value }, { idempotencyKey }) => {
      asked.push(idempotencyKey)
      await sleep(clock, 1_000)
      return value
    })
    await using driver = await topologyTestDriver(topo, { clock })
    await driver.input('in', TEXTS).pipe('a', 'x')
    await driver.restart('crash')
    await driver.settle()
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['a', 'x']])
    expect(asked).toEqual([
      expect.stringMatching(/^enriching\/in\/[-0-9a-f]{36}\/0\/0\/0$/),
      asked[0],
    ])
  })

  test('starts one that has failed, which then meets the record again', async () => {
    let isMended = false
    const mending = topology('mending', ({ stream }) => {
      stream('in', TEXTS)
        .peek(() => {
          if (!isMended) throw new Error('a bug')
        })
        .to('out')
    })
    await using driver = await topologyTestDriver(mending)
    const input = driver.input('in', TEXTS)
    await expect(input.pipe('a', 'x')).rejects.toThrow('a bug')
    await expect(driver.restart()).rejects.toThrow('a bug')
    isMended = true
    await driver.restart()
    expect(await driver.output('out', TEXTS).readKeyValues()).toEqual([['a', 'x']])
  })
})

describe('a driven test', () => {
  /** Everything that can be seen of a run in which chance and time have a say. */
  async function trace(seed: number): Promise<unknown> {
    const clock = handClock({ seed })
    const topo = topology('traced', ({ stream }) => {
      const call = async ({ value }: { readonly value: string }): Promise<string> => {
        await sleep(clock, clock.random() * 1_000)
        if (clock.random() < 0.3) throw new Error('not now')
        return `${value} at ${clock.now()}`
      }
      stream('in', TEXTS)
        .enrich('ask', { kind: 'function', value: text, call }, { orderBy: 'none', attempts: 50 })
        .to('out')
    })
    await using driver = await topologyTestDriver(topo, { clock, partitions: 2 })
    const events: unknown[] = []
    const input = driver.input('in', TEXTS)
    for (let i = 0; i < 20; i += 1) {
      await input.pipe(`k${i}`, `v${i}`)
      if (i % 7 === 0) await driver.advanceWallClock(100)
    }
    await driver.settle()
    events.push(await driver.output('out', TEXTS).readAll(), driver.counters(), clock.now())
    return events
  }

  test('gives the same at every run, byte for byte', async () => {
    expect(await trace(3)).toEqual(await trace(3))
    expect(await trace(3)).not.toEqual(await trace(4))
  })

  test('is quick: hundreds of drivers and thousands of records take no noticeable time', async () => {
    const started = performance.now()
    for (let i = 0; i < 100; i += 1) {
      const driver = await topologyTestDriver(words())
      await driver[Symbol.asyncDispose]()
    }
    const opened = performance.now()
    await using driver = await topologyTestDriver(words())
    const input = driver.input('by-word', TEXTS)
    for (let i = 0; i < 1_000; i += 1) await input.pipe(`${i % 10}`, 'x')
    const perDriverMs = (opened - started) / 100
    const perPipeMs = (performance.now() - opened) / 1_000
    expect(perDriverMs).toBeLessThan(20)
    expect(perPipeMs).toBeLessThan(2)
  })
})
