import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { TransportError } from '../../transport/errors.ts'
import { MemoryBench, type LifeOptions } from './memory-bench.ts'
import { gated } from './wrapped-transport.ts'

const counting = (onRecord: () => void = () => {}) =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: text })
      .peek(onRecord)
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String)
      .to('out', { value: text })
  })

/** An app whose commits are held up while `isShut`. */
async function held(options: LifeOptions = {}) {
  const bench = await MemoryBench.with(['in', 'out'])
  const gate = {
    isShut: false,
    commits: 0,
    sent: [] as string[],
    processed: 0,
    open: () => {},
  }
  const life = await bench.start(
    counting(() => void (gate.processed += 1)),
    {
      ...options,
      wrap: (transport) =>
        gated(transport, {
          onSend: (topic) => void gate.sent.push(topic),
          beforeCommit: async () => {
            gate.commits += 1
            if (gate.isShut) await new Promise<void>((resolve) => (gate.open = resolve))
          },
        }),
    },
  )
  gate.sent = []
  return { bench, life, gate }
}

/** A hundred records come while the commit of one is held up: how many were processed by then, and what came out in the end. */
async function hundredMeanwhile(limits: NonNullable<LifeOptions['limits']>) {
  const { bench, life, gate } = await held({ limits })
  gate.isShut = true
  await bench.produce('in', [{ key: 'a', value: '0' }])
  await bench.pass(150)
  await bench.produce(
    'in',
    Array.from({ length: 100 }, (_, i) => ({ key: `key${i}`, value: '1' })),
  )
  await bench.pass(500)
  const { processed } = gate
  gate.isShut = false
  gate.open()
  await life.caughtUp()
  const outputs = bench.texts('out')
  await life.close()
  return { processed, outputs }
}

describe('while a commit is on its way', () => {
  test('the loop goes on, and nothing of the next commit reaches the producer', async () => {
    const { bench, life, gate } = await held()
    gate.isShut = true
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(150)
    expect(gate.sent).toEqual(['out', 'app-counts-changelog'])
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await bench.pass(500)
    expect(gate.sent).toEqual(['out', 'app-counts-changelog'])
    expect(bench.texts('out')).toEqual([])
    gate.isShut = false
    gate.open()
    await bench.pass(1)
    // The next commit is due at once.
    expect(gate.sent.slice(2)).toEqual(['out', 'app-counts-changelog'])
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'a=2'])
    await life.close()
  })

  test('held outputs are bounded in bytes, record by record, and the loop waits at the bound', async () => {
    const { processed, outputs } = await hundredMeanwhile({ heldBytes: 10 })
    // Each output has at least five bytes: the second reaches the bound.
    expect(processed).toBe(1 + 2)
    expect(outputs).toHaveLength(101)
  })

  test('state that is written meanwhile is bounded in bytes, slice by slice', async () => {
    const { processed, outputs } = await hundredMeanwhile({ heldBytes: 1_000, sliceRecords: 1 })
    // A row costs two to three hundred bytes in the layers.
    expect(processed).toBeGreaterThan(1 + 2)
    expect(processed).toBeLessThan(1 + 8)
    expect(outputs).toHaveLength(101)
  })

  test('its failure takes back what was done meanwhile, in the stores too', async () => {
    const { bench, life, gate } = await held()
    gate.isShut = true
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(150)
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await bench.pass(150)
    life.kill()
    const next = await bench.start(counting())
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'a=2'])
    await next.close()
  })

  test('a clean stop waits for it and commits the rest', async () => {
    const { bench, life, gate } = await held()
    gate.isShut = true
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(150)
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await bench.pass(150)
    const closed = life.app.close()
    gate.isShut = false
    gate.open()
    await bench.settle(closed)
    expect(bench.texts('out')).toEqual(['a=1', 'a=2'])
  })
})

describe('a commit', () => {
  test('comes early where many bytes wait for it', async () => {
    const { bench, life } = await held({
      limits: { commitBytes: 10_000, commitIntervalMs: 60_000 },
    })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(1000)
    expect(bench.texts('out')).toEqual([])
    await bench.produce(
      'in',
      Array.from({ length: 50 }, (_, i) => ({ key: `${'k'.repeat(500)}${i}`, value: '1' })),
    )
    await bench.pass(1000)
    expect(bench.texts('out').length).toBeGreaterThan(0)
    await life.close()
  })

  test('is not made where nothing happened, but once in a while so that offsets do not expire', async () => {
    const { bench, life, gate } = await held({ limits: { recommitMs: 10_000 } })
    const before = gate.commits
    await bench.pass(9_000)
    expect(gate.commits).toBe(before)
    await bench.pass(25_000)
    expect(gate.commits).toBe(before + 3)
    await life.close()
  })

  test('whose outcome is not known is asked for again until it is', async () => {
    let lost = 0
    const bench = new MemoryBench({
      decide: ({ kind, connection }) => {
        if (kind !== 'commit' || connection !== 'life-1' || lost >= 6) return undefined
        lost += 1
        return { outcome: lost % 2 === 0 ? 'lost' : 'refused' }
      },
    })
    await bench.createTopics(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value: '1' }])
    const life = await bench.start(counting())
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1'])
    expect(lost).toBe(6)
    expect(life.events.some(({ kind }) => kind === 'rewound')).toBe(false)
    await life.close()
  })

  test('whose outcome stays unknown sends the unit the way of a crash, with nothing twice', async () => {
    let answers = false
    const bench = new MemoryBench({
      decide: ({ kind, connection }) =>
        kind === 'commit' && connection === 'life-1' && !answers ? { outcome: 'lost' } : undefined,
    })
    await bench.createTopics(['in', 'out'])
    answers = true
    const life = await bench.start(counting(), { limits: { commitRetryMs: 200 } })
    answers = false
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await bench.pass(1000)
    answers = true
    await life.caughtUp()
    expect(life.events.some(({ kind }) => kind === 'restarting')).toBe(true)
    expect(bench.texts('out')).toEqual(['a=1'])
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'a=2'])
    await life.close()
  })

  test('under at-least-once shows outputs at once, and loses nothing when the process dies', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value: '1' }])
    const life = await bench.start(counting(), { guarantee: 'at-least-once' })
    await bench.pass(50)
    expect(bench.texts('out')).toEqual(['a=1'])
    life.kill()
    const next = await bench.start(counting(), {
      guarantee: 'at-least-once',
      limits: { commitIntervalMs: 100 },
    })
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'a=1'])
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'a=1', 'a=2'])
    await next.close()
  })

  test('under at-least-once that fails starts the unit over', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    let fails = true
    const life = await bench.start(counting(), {
      guarantee: 'at-least-once',
      limits: { commitIntervalMs: 50 },
      wrap: (transport) => ({
        admin: {
          describeTopics: async (topics) => await transport.admin.describeTopics(topics),
          createTopics: async (topics) => await transport.admin.createTopics(topics),
          deleteTopics: async (topics) => await transport.admin.deleteTopics(topics),
          deleteRecords: async (before) => await transport.admin.deleteRecords(before),
          offsets: async (partitions, end, isolation) =>
            await transport.admin.offsets(partitions, end, isolation),
          committedOffsets: async (group, partitions) =>
            await transport.admin.committedOffsets(group, partitions),
          commitOffsets: async (group, offsets) => {
            if (fails && offsets.some(({ offset }) => offset > 0)) {
              fails = false
              throw new TransportError('MILLRACE_X', 'abortable', { message: 'no' })
            }
            await transport.admin.commitOffsets(group, offsets)
          },
          deleteGroup: async (group) => await transport.admin.deleteGroup(group),
          describeGroup: async (group) => await transport.admin.describeGroup(group),
        },
        openReader: (options) => transport.openReader(options),
        openMembership: (options) => transport.openMembership(options),
        openProducer: (options) => transport.openProducer(options),
        [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
      }),
    })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await life.caughtUp()
    expect(life.events.some(({ kind }) => kind === 'restarting')).toBe(true)
    expect(bench.texts('out').at(-1)).toMatch(/^a=[12]$/)
    expect(await bench.committed('app', 'in')).toBe(1)
    await life.close()
  })
})
