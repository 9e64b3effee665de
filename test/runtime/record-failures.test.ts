/** Records that cannot be read, processed or written, under each policy. */
import { describe, expect, test } from 'vitest'
import { NO_HEADERS } from '../../model/record.ts'
import type { Guarantee } from '../../runtime/config.ts'
import type { RecordPolicy } from '../../runtime/failure.ts'
import { avro } from '../../serdes/avro.ts'
import { json } from '../../serdes/json.ts'
import { float64, text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { HandService } from '../processors/hand-services.ts'
import { MemoryBench, type Given } from './memory-bench.ts'

const numbers = () =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: json<number>() })
      .mapValues((value) => {
        if (value === 13) throw new Error('an unlucky number')
        return value + 1
      })
      .to('out', { value: json<number>() })
  })

/** Bad records stand between two good ones. */
const around = (bad: Given): readonly Given[] => [
  { key: 'a', value: '1' },
  bad,
  { key: 'c', value: '3' },
]

interface BadRecord {
  readonly name: string
  readonly record: Given
  readonly code: string
  readonly kind: 'deserialization' | 'processing'
}

const BAD: readonly BadRecord[] = [
  {
    name: 'whose bytes the serde refuses',
    record: { key: 'b', value: '{oops', headers: [{ key: 'h', value: Buffer.from('x') }] },
    code: 'MILLRACE_RECORD_UNREADABLE',
    kind: 'deserialization',
  },
  {
    name: 'with a negative timestamp',
    record: { key: 'b', value: '2', timestamp: -1 },
    code: 'MILLRACE_RECORD_UNREADABLE',
    kind: 'deserialization',
  },
  {
    name: "that the author's function refuses",
    record: { key: 'b', value: '13' },
    code: 'MILLRACE_PROCESSING_FAILED',
    kind: 'processing',
  },
]

async function started(
  bad: Given,
  failures: Partial<Record<BadRecord['kind'], RecordPolicy>>,
  guarantee: Guarantee = 'exactly-once',
) {
  const bench = await MemoryBench.with(['in', 'out'])
  await bench.produce('in', around(bad))
  const life = await bench.start(numbers(), { failures, guarantee, deadLetterTopic: 'dead' })
  return { bench, life }
}

describe.each(BAD)('a record $name', ({ record, code, kind }) => {
  test('stops the app, which says where it is and what to do; the offset stays before it', async () => {
    const { bench, life } = await started(record, {})
    const error = await life.failure()
    expect(error).toMatchObject({ code })
    expect(error.message).toContain('in[0]@1')
    expect(error.message).toContain(`failures.${kind}`)
    expect(await bench.committed('app', 'in')).toBeLessThanOrEqual(1)
    const next = await bench.start(numbers(), { failures: { [kind]: 'skip' } })
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=2', 'c=4'])
    await next.close()
  })

  test('is left out and counted by the policy skip', async () => {
    const { bench, life } = await started(record, { [kind]: 'skip' })
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=2', 'c=4'])
    expect(life.count('dropped-records')).toBe(1)
    expect(life.events).toContainEqual(
      expect.objectContaining({ kind: 'skipped', place: 'in[0]@1' }),
    )
    expect(await bench.committed('app', 'in')).toBe(3)
    await life.close()
  })

  test.each<Guarantee>(['exactly-once', 'at-least-once'])(
    'goes to the dead-letter topic as it was, with what happened: %s',
    async (guarantee) => {
      const { bench, life } = await started(record, { [kind]: 'dead-letter' }, guarantee)
      await life.caughtUp()
      await life.close()
      expect(bench.texts('out')).toEqual(['a=2', 'c=4'])
      const [letter, ...others] = bench.records('dead')
      expect(others).toEqual([])
      expect(String(letter?.key)).toBe('b')
      expect(String(letter?.value)).toBe(String(record.value))
      const headers = new Map(letter?.headers.map(({ key, value }) => [key, String(value)]))
      expect(headers.get('__streams.errors.topic')).toBe('in')
      expect(headers.get('__streams.errors.partition')).toBe('0')
      expect(headers.get('__streams.errors.offset')).toBe('1')
      expect(headers.get('__streams.errors.message')).toBeTruthy()
      for (const { key, value } of record.headers ?? NO_HEADERS) {
        expect(headers.get(key)).toBe(String(value))
      }
    },
  )
})

describe('a dead letter', () => {
  test('leaves in the transaction of the offset, and once though the app dies', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'b', value: '13' }])
    const options = {
      failures: { processing: 'dead-letter' },
      deadLetterTopic: 'dead',
      limits: { commitIntervalMs: 1000 },
    } as const
    const life = await bench.start(numbers(), options)
    await bench.pass(500)
    expect(bench.texts('dead')).toEqual([])
    life.kill()
    const next = await bench.start(numbers(), options)
    await next.caughtUp()
    expect(bench.texts('dead')).toEqual(['b=13'])
    await next.close()
  })

  test('has room for the largest record of the sources', async () => {
    const bench = await MemoryBench.with(['out'])
    await bench.createTopics(['in'], 1, { 'max.message.bytes': '5000000' })
    const large = `"${'x'.repeat(4_000_000)}`
    await bench.produce('in', [{ key: 'b', value: large }])
    const life = await bench.start(numbers(), {
      failures: { deserialization: 'dead-letter' },
      deadLetterTopic: 'dead',
    })
    await life.caughtUp()
    expect(bench.records('dead')[0]?.value?.length).toBe(large.length)
    await life.close()
  })

  test('of a record that failed behind an asynchronous step is not made, for its bytes are gone by', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const service = new HandService()
    await bench.produce('in', [{ key: 'a', value: 'v' }])
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text })
          .enrich('ask', service.enricher)
          .mapValues((): string => {
            throw new Error('no')
          })
          .to('out', { value: text })
      }),
      { failures: { processing: 'dead-letter' }, deadLetterTopic: 'dead' },
    )
    await bench.pass(150)
    service.answerAll()
    expect(await life.failure()).toMatchObject({ code: 'MILLRACE_PROCESSING_FAILED' })
    expect(bench.texts('dead')).toEqual([])
  })
})

describe('a record that cannot be written', () => {
  const badSink = () =>
    topology('app', ({ stream }) => {
      stream('in', { key: text, value: text })
        .mapValues((value) => value as unknown as number)
        .to('out', { value: float64 })
    })

  test('because the serde refuses it is a failure of processing, by its policy', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value: 'no number' }])
    const stopped = await bench.start(badSink())
    const error = await stopped.failure()
    expect(error).toMatchObject({ code: 'MILLRACE_PROCESSING_FAILED' })
    expect(error.message).toContain('in[0]@0')
    const skipping = await bench.start(badSink(), { failures: { processing: 'skip' } })
    await skipping.caughtUp()
    expect(skipping.count('dropped-records')).toBe(1)
    await skipping.close()
  })

  test.each<Guarantee>(['exactly-once', 'at-least-once'])(
    'because it is larger than its topic takes stops the app, naming topic and limit: %s',
    async (guarantee) => {
      const bench = await MemoryBench.with(['in'])
      await bench.createTopics(['out'], 1, { 'max.message.bytes': '1000' })
      await bench.produce('in', [{ key: 'a', value: 'x'.repeat(2000) }])
      const life = await bench.start(
        topology('app', ({ stream }) => {
          stream('in', { key: text, value: text }).to('out')
        }),
        { guarantee, limits: { commitIntervalMs: 100 } },
      )
      const error = await life.failure()
      expect(error).toMatchObject({ code: 'MILLRACE_RECORD_TOO_LARGE' })
      expect(error.message).toContain('out')
      expect(error.message).toContain('1000')
      expect(life.events.filter(({ kind }) => kind !== 'state' && kind !== 'unit-started')).toEqual(
        [],
      )
      expect(await bench.committed('app', 'in')).toBe(0)
    },
  )
})

describe('an Avro record', () => {
  const schema = { type: 'record', name: 'R', fields: [{ name: 'n', type: 'long' }] } as const
  const copy = () =>
    topology('app', ({ stream }) => {
      stream('in', { key: text, value: avro(schema) }).to('out')
    })
  const bytes = (...parts: readonly number[]): Buffer => Buffer.from(parts)

  test.each([
    ['of an unknown schema', bytes(0, 0, 0, 0, 99, 2)],
    ['that is cut off', bytes(0, 0, 0, 0, 1)],
    ['without the magic byte', bytes(7, 7, 7)],
  ])('%s is unreadable: it stops the app, or is left out', async (_name, value) => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value }])
    const stopped = await bench.start(copy())
    const error = await stopped.failure()
    expect(error).toMatchObject({ code: 'MILLRACE_RECORD_UNREADABLE' })
    expect(error.message).toContain('in[0]@0')
    await bench.produce('in', [{ key: 'b', value: bytes(0, 0, 0, 0, 1, 84) }])
    const skipping = await bench.start(copy(), { failures: { deserialization: 'skip' } })
    await skipping.caughtUp()
    expect(bench.records('out').map(({ value: out }) => out?.at(-1))).toEqual([84])
    expect(await bench.committed('app', 'in')).toBe(2)
    await skipping.close()
  })
})
