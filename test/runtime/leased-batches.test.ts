/**
 * Buffers of batches whose values are taken by reference are used again. Here a buffer that is given
 * back is overwritten at once, so that whoever still reads it writes nonsense.
 */
import { describe, expect, test } from 'vitest'
import { referenceSerde } from '../../processors/reference-serde.ts'
import { bytes, text } from '../../serdes/primitives.ts'
import { topology, type TopologyBuilder } from '../../topology/builder.ts'
import { overwriting, type BatchCounts } from '../overwritten-batches.ts'
import { MemoryBench, type Given } from './memory-bench.ts'

const COUNT = 40
const KEYS = Array.from({ length: COUNT }, (_, index) => `key ${index}`)
const chunk = (key: string): string => `chunk of ${key}`

/** Runs a topology over chunks, each in a batch of its own, and gives what came out. */
async function run(
  declare: (builder: TopologyBuilder) => void,
  {
    payloadBytes,
    others = [],
    damaged = [],
  }: {
    readonly payloadBytes: number
    readonly others?: readonly Given[]
    readonly damaged?: readonly string[]
  },
) {
  const bench = await MemoryBench.with(['in', 'other', 'out', 'dead'])
  for (const key of KEYS) {
    const headers = [{ key: 'h', value: Buffer.from(`header of ${key}`) }]
    const timestamp = damaged.includes(key) ? -1 : KEYS.indexOf(key)
    await bench.produce('in', [{ key, value: chunk(key), headers, timestamp }])
  }
  await bench.produce('other', others)
  const counts: BatchCounts = { topic: 'in', taken: 0, released: 0 }
  const life = await bench.start(topology('app', declare), {
    // One batch at a time.
    limits: { payloadBytes, prefetchBytes: 1 },
    wrap: (transport) => overwriting(transport, counts),
    failures: { deserialization: 'dead-letter', processing: 'dead-letter' },
    deadLetterTopic: 'dead',
  })
  await life.caughtUp()
  await life.close()
  return { bench, counts }
}

describe('a batch whose values are taken by reference', () => {
  const RAW = { key: bytes, value: bytes }
  const meeting =
    (onValue: (value: Buffer) => void) =>
    (builder: TopologyBuilder): void => {
      const { stream } = builder
      const raw = stream('in', RAW).byReference()
      const other = stream('other', { key: bytes, value: text })
      raw
        .joinOnce('meet', other, (reference) => reference, {
          expireAfter: 1_000_000,
          value: referenceSerde<Buffer>(),
        })
        .dereference({
          from: raw,
          select: (reference) => reference,
          replace: (_reference, value: Buffer | null) => {
            if (value !== null) onValue(value)
            return value ?? Buffer.from('none')
          },
          value: bytes,
        })
        .to('out')
    }
  const others = KEYS.map((key, index) => ({ key, value: 'met', timestamp: COUNT + index }))
  const expected = KEYS.map((key) => `${key}=${chunk(key)}`)

  test.each([
    ['does not keep values', 0],
    ['keeps a few', 100],
  ])(
    'gives its buffers back where the cache %s, and nobody reads them after',
    async (_, payloadBytes) => {
      const { bench, counts } = await run(
        meeting(() => {}),
        { payloadBytes, others },
      )
      expect(bench.texts('out').toSorted()).toEqual(expected.toSorted())
      expect(counts.taken).toBe(COUNT)
      expect(counts.released).toBeGreaterThan(COUNT / 2)
    },
  )

  test('gives them back though keys and headers go on', async () => {
    const { bench, counts } = await run(
      ({ stream }) =>
        stream('in', RAW)
          .byReference()
          .mapValues(() => 'seen', { value: text })
          .to('out'),
      { payloadBytes: 0 },
    )
    expect(bench.texts('out')).toEqual(KEYS.map((key) => `${key}=seen`))
    const headers = bench.records('out').flatMap((record) => record.headers)
    expect(headers.map(({ value }) => String(value))).toEqual(KEYS.map((key) => `header of ${key}`))
    expect(counts).toMatchObject({ taken: COUNT, released: COUNT })
  })

  test('gives them back where an enrichment reads its value again', async () => {
    const { bench, counts } = await run(
      ({ stream }) =>
        stream('in', RAW)
          .byReference()
          .enrich('look', {
            kind: 'function',
            call: async ({ value }) => await Promise.resolve(`${String(value)} seen`),
            value: text,
          })
          .to('out'),
      { payloadBytes: 0 },
    )
    const seen = KEYS.map((key) => `${key}=${chunk(key)} seen`)
    expect(bench.texts('out').toSorted()).toEqual(seen.toSorted())
    expect(counts).toMatchObject({ taken: COUNT, released: COUNT })
  })

  test('keeps them where a value is handed out of the cache', async () => {
    const handed: Buffer[] = []
    const soon = KEYS.map((key, index) => ({ key, value: 'met', timestamp: index + 3 }))
    const { counts } = await run(
      meeting((value) => void handed.push(value)),
      {
        payloadBytes: 100,
        others: soon,
      },
    )
    // One that came too late for the cache is read again, and comes behind others.
    expect(handed.map(String).toSorted()).toEqual(KEYS.map(chunk).toSorted())
    expect(counts.taken).toBe(COUNT)
    expect(counts.released).toBeLessThan(COUNT)
  })

  test('keeps them where a step looks at the record of the log', async () => {
    const looked: (Buffer | null | undefined)[] = []
    const { counts } = await run(
      ({ stream }) => {
        stream('in', RAW)
          .byReference()
          .process<Buffer, string>({
            create: (context) => (record) => {
              looked.push(context.source()?.record.value)
              context.forward(record.withValue('seen'))
            },
          })
          .to('out', { key: bytes, value: text })
      },
      { payloadBytes: 0 },
    )
    expect(looked.map(String)).toEqual(KEYS.map(chunk))
    expect(counts).toMatchObject({ taken: COUNT, released: 0 })
  })

  test('keeps them for a dead letter', async () => {
    const damaged = KEYS.slice(0, 5)
    const refused = KEYS.slice(5, 10)
    const { bench, counts } = await run(
      ({ stream }) => {
        stream('in', RAW)
          .byReference()
          .filter(({ key }) => {
            if (refused.includes(String(key))) throw new Error('refused')
            return false
          })
          .mapValues(() => 'never', { value: text })
          .to('out', { key: bytes, value: text })
      },
      { payloadBytes: 0, damaged },
    )
    expect(bench.texts('dead')).toEqual(
      [...damaged, ...refused].map((key) => `${key}=${chunk(key)}`),
    )
    expect(counts).toMatchObject({ taken: COUNT, released: COUNT - 10 })
  })
})
