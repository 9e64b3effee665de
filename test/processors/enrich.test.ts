/** Enriching by calls, in whole apps over the memory log; time passes only where a test lets it. */
import { describe, expect, test } from 'vitest'
import type { EnrichOptions } from '../../processors/enrich-options.ts'
import type { FailureClass, FunctionEnricher } from '../../processors/enricher.ts'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { pendingStore } from '../../processors/enrich-rows.ts'
import { avro, type AvroSerde } from '../../serdes/avro.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { TransportError } from '../../transport/errors.ts'
import { MemoryBench, type Given } from '../runtime/memory-bench.ts'
import { gated } from '../runtime/wrapped-transport.ts'
import { HandService } from './hand-services.ts'

const enriched = (
  enricher: FunctionEnricher<string, string, string>,
  options: EnrichOptions<string, string, string> = {},
) =>
  topology('app', ({ stream }) => {
    stream('in', { key: text, value: text }).enrich('ask', enricher, options).to('out')
  })

const records = (...pairs: readonly string[]): readonly Given[] =>
  pairs.map((pair) => ({ key: pair.split('=')[0] as string, value: pair.split('=')[1] as string }))

/** The id of the source topic. */
async function idOfIn(bench: MemoryBench): Promise<string> {
  const [described] = await bench.settle(bench.log.admin.describeTopics([asTopic('in')]))
  return described?.topicId ?? ''
}

/** Has the group begin at the first record of the source. */
async function beginAnew(bench: MemoryBench): Promise<void> {
  const first = { topic: asTopic('in'), partition: asPartition(0), offset: asOffset(0) }
  await bench.settle(bench.log.admin.commitOffsets('app', [{ ...first, metadata: '' }]))
}

/** Writes every row of the step's changelog again, with the schema that had no topic ids. */
async function writeWithoutTopicIds(bench: MemoryBench): Promise<void> {
  const topic = 'app-ask-pending-changelog'
  const { value } = pendingStore('ask')
  const context = { topic, role: 'value', registry: bench.registry } as const
  const before = avro(
    JSON.parse(JSON.stringify((value as AvroSerde<unknown>).schema), (_name, part: unknown) =>
      Array.isArray(part) ? part.filter(({ name }) => name !== 'topicId') : part,
    ),
  )
  const [reading, writing] = [await value.open(context), await before.open(context)]
  const rows = bench.records(topic).map(({ key, value: bytes }) => ({
    key: String(key),
    value: bytes === null ? null : writing.serialize(reading.deserialize(bytes, 0, bytes.length)),
  }))
  await bench.produce(topic, rows)
}

/** An app that enriches what was produced. */
async function running(
  options: EnrichOptions<string, string, string>,
  given: readonly Given[],
  service = new HandService(),
) {
  const bench = await MemoryBench.with(['in', 'out'])
  await bench.produce('in', given)
  const life = await bench.start(enriched(service.enricher, options), { deadLetterTopic: 'dead' })
  await bench.pass(150)
  return { bench, life, service }
}

describe('the order of an enrich step', () => {
  test('is that of each key, with other keys beside it', async () => {
    const { bench, service, life } = await running({}, records('a=a1', 'a=a2', 'b=b1', 'a=a3'))
    expect(service.waiting).toEqual(['a1', 'b1'])
    service.waitingFor('b1').answer()
    service.waitingFor('a1').answer()
    await bench.pass(150)
    expect(service.waiting).toEqual(['a2'])
    service.waitingFor('a2').answer()
    await bench.pass(1)
    service.waitingFor('a3').answer()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['b=B1', 'a=A1', 'a=A2', 'a=A3'])
    await life.close()
  })

  test.each([
    ['partition', { orderBy: 'partition' }, ['a1']],
    ['none', { orderBy: 'none' }, ['a1', 'a2', 'b1']],
    ['a selector', { orderBy: (key: string) => (key === 'c' ? 'other' : 'same') }, ['a1']],
  ] as const)('by %s lets calls run side by side accordingly', async (_name, options, waiting) => {
    const { service, life } = await running(options, records('a=a1', 'a=a2', 'b=b1'))
    expect(service.waiting).toEqual(waiting)
    await life.close()
  })

  test('keeps key, timestamp and headers of the input', async () => {
    const headers = [{ key: 'h', value: Buffer.from('x') }]
    const { bench, service, life } = await running({}, [
      { key: 'a', value: 'v', timestamp: 77, headers },
    ])
    service.answerAll()
    await life.caughtUp()
    const [record] = bench.records('out')
    expect(String(record?.key)).toBe('a')
    expect(record?.timestamp).toBe(77)
    expect(record?.headers).toEqual(headers)
    await life.close()
  })
})

describe('the limits of an enrich step', () => {
  test('are never exceeded, nor is a place lost over failures, retries and rewinds', async () => {
    const many = Array.from({ length: 40 }, (_, i) => `k${i}=v${i}`)
    const { bench, service, life } = await running(
      { calls: 3, attempts: 50, backoffMs: 1 },
      records(...many),
    )
    for (let round = 0; service.waiting.length > 0; round += 1) {
      expect(service.open.size).toBeLessThanOrEqual(3)
      const [call] = service.open
      if (round % 3 === 0) call?.fail(new Error('busy'))
      else call?.answer()
      await bench.pass(2)
    }
    await life.caughtUp()
    expect(bench.texts('out')).toHaveLength(40)
    await life.close()
  })

  test('give a record that is tried again its turn before records that came later', async () => {
    const { bench, service, life } = await running(
      { calls: 1, backoffMs: 10, maxBackoffMs: 10 },
      records('a=a', 'b=b', 'c=c', 'd=d', 'e=e'),
    )
    service.waitingFor('a').fail(new Error('busy'))
    await bench.pass(20)
    expect(service.waiting).toEqual(['b'])
    const order: string[] = []
    while (service.waiting.length > 0) {
      order.push(...service.waiting)
      service.answerAll()
      await bench.pass(1)
    }
    // The records that waited before it asked again come first, one place each.
    expect(order).toEqual(['b', 'c', 'a', 'd', 'e'])
    await life.close()
  })

  test('let one record through that is larger than all bytes, and hold back the next', async () => {
    const { bench, service, life } = await running(
      { inFlightBytes: 10 },
      records(`a=${'x'.repeat(50)}`, 'b=y'),
    )
    expect(service.open.size).toBe(1)
    service.answerAll()
    await bench.pass(5)
    expect(service.waiting).toEqual(['y'])
    await life.close()
  })

  test('do not hold back intake: offsets move on while a call hangs', async () => {
    const { bench, life } = await running({ calls: 1 }, records('a=1', 'b=2', 'c=3'))
    expect(await bench.committed('app', 'in')).toBe(3)
    expect(bench.texts('out')).toEqual([])
    await life.close()
  })
})

describe('a call that fails', () => {
  test('is tried again after a back-off, up to its attempts, and then the policy decides', async () => {
    const { bench, service, life } = await running(
      { attempts: 3, backoffMs: 100, onFailure: 'skip' },
      records('a=v'),
    )
    for (const attempt of [1, 2, 3]) {
      expect(service.calls.map((call) => call.attempt)).toEqual([1, 2, 3].slice(0, attempt))
      service.calls.at(-1)?.fail(new Error('busy'))
      await bench.pass(401)
    }
    await life.caughtUp()
    expect(service.calls).toHaveLength(3)
    expect(life.count('retries')).toBe(2)
    expect(bench.texts('out')).toEqual([])
    await life.close()
  })

  test('waits no longer than the back-off of its attempt, and not at all for others', async () => {
    const { bench, service, life } = await running(
      { backoffMs: 1000, maxBackoffMs: 1000, calls: 1 },
      records('a=a', 'b=b'),
    )
    service.waitingFor('a').fail(new Error('busy'))
    await bench.pass(0)
    expect(service.waiting).toEqual(['b'])
    service.answerAll()
    await bench.pass(1000)
    expect(service.waiting).toEqual(['a'])
    expect(service.calls.filter(({ value }) => value === 'a')).toHaveLength(2)
    await life.close()
  })

  test('is given up at its deadline even if it does not heed the signal', async () => {
    const { bench, service, life } = await running(
      { attemptDeadlineMs: 1000, attempts: 1, onFailure: 'skip' },
      records('a=v', 'a=w'),
    )
    const [hanging] = service.calls
    await bench.pass(1001)
    expect(hanging?.signal.aborted).toBe(true)
    expect(service.waiting).toEqual(['w'])
    hanging?.answer('too late')
    service.answerAll()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=W'])
    await life.close()
  })

  test('is not begun again after the total deadline', async () => {
    const { bench, service, life } = await running(
      {
        attemptDeadlineMs: 400,
        totalDeadlineMs: 1000,
        attempts: 1000,
        backoffMs: 1,
        onFailure: 'skip',
      },
      records('a=v'),
    )
    await bench.pass(5000)
    await life.caughtUp()
    expect(service.calls.length).toBeLessThanOrEqual(4)
    expect(life.count('failed')).toBe(1)
    await life.close()
  })

  test.each<[FailureClass, number]>([
    ['reject', 1],
    ['retry', 2],
  ])('and is classified as %s is called %i times of two', async (failure, calls) => {
    const service = new HandService(() => failure)
    const { bench, life } = await running(
      { attempts: 2, backoffMs: 1, onFailure: 'skip' },
      records('a=v'),
      service,
    )
    for (let i = 0; i < 2; i += 1) {
      service.calls.at(-1)?.fail(new Error('no'))
      await bench.pass(10)
    }
    await life.caughtUp()
    expect(service.calls).toHaveLength(calls)
    await life.close()
  })

  test('for good fails the app where the author says no more, naming the record', async () => {
    const { bench, life, service } = await running({ attempts: 1 }, records('a=v'))
    service.calls[0]?.fail(new Error('the service is on fire'))
    const error = await life.failure()
    expect(error).toMatchObject({ code: 'MILLRACE_ENRICH_FAILED' })
    expect(error.message).toContain('in[0]@0')
    expect(error.message).toContain('on fire')
    const again = new HandService()
    const next = await bench.start(enriched(again.enricher))
    again.answerAll()
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=V'])
    await next.close()
  })

  test('and can never succeed stops the app at once, without being called again', async () => {
    const service = new HandService(() => 'stop')
    const { life } = await running({ onFailure: 'skip' }, records('a=v', 'b=w'), service)
    for (const call of service.open) call.fail(new Error('bad credentials'))
    expect(await life.failure()).toMatchObject({ code: 'MILLRACE_ENRICH_FAILED' })
    expect(service.calls).toHaveLength(2)
  })

  test('with an error that comes at once and stops the app does not keep the loop from hearing it', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', records('a=v'))
    let calls = 0
    const failing: FunctionEnricher<string, string, string> = {
      kind: 'function',
      value: text,
      classify: () => 'stop',
      call: async () => {
        calls += 1
        if (calls > 100) return 'the loop never came to it'
        throw new Error('bad credentials')
      },
    }
    const life = await bench.start(enriched(failing))
    expect(await life.failure()).toMatchObject({ code: 'MILLRACE_ENRICH_FAILED' })
    expect(calls).toBe(1)
  })

  test('for good gets the fallback', async () => {
    const { bench, life, service } = await running(
      { attempts: 1, onFailure: { fallback: ({ value }, error) => `${value}: ${error.message}` } },
      records('a=v'),
    )
    service.calls[0]?.fail(new Error('no'))
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=v: no'])
    await life.close()
  })

  test('and whose fallback throws fails the app, naming the step', async () => {
    const fallback = (): string => {
      throw new Error('no way back')
    }
    const { life, service } = await running(
      { attempts: 1, onFailure: { fallback } },
      records('a=v'),
    )
    service.calls[0]?.fail(new Error('no'))
    const error = await life.failure()
    expect(error).toMatchObject({ code: 'MILLRACE_PROCESSING_FAILED' })
    expect(error.message).toContain('ask')
    expect(error.message).toContain('no way back')
  })

  test('for good goes to the dead-letter topic with its bytes and where it came from', async () => {
    const { bench, life, service } = await running(
      { attempts: 1, onFailure: 'dead-letter' },
      records('a=v'),
    )
    service.calls[0]?.fail(new Error('the service says no'))
    await life.caughtUp()
    expect(bench.texts('out')).toEqual([])
    const [letter] = bench.records('dead')
    expect(String(letter?.key)).toBe('a')
    expect(String(letter?.value)).toBe('v')
    const headers = new Map(letter?.headers.map(({ key, value }) => [key, String(value)]))
    expect(headers.get('__streams.errors.message')).toBe('the service says no')
    expect(headers.get('__streams.errors.topic')).toBe('in')
    expect(headers.get('__streams.errors.offset')).toBe('0')
    await life.close()
  })
})

describe('enrich over failures of its own app', () => {
  test('calls again, in order and under the same idempotency keys, and gives each result once', async () => {
    const { bench, service, life } = await running({}, records('a=a1', 'a=a2', 'b=b1'))
    service.waitingFor('a1').answer()
    await bench.pass(150)
    expect(service.waiting).toEqual(['b1', 'a2'])
    life.kill()
    const again = new HandService()
    const next = await bench.start(enriched(again.enricher))
    expect(again.waiting).toEqual(['a2', 'b1'])
    const keyOf = (of: HandService, value: string): string | undefined =>
      of.calls.find((call) => call.value === value)?.idempotencyKey
    expect(keyOf(again, 'a2')).toBe(keyOf(service, 'a2'))
    expect(keyOf(again, 'b1')).toBe(`app/in/${await idOfIn(bench)}/0/2/0`)
    again.answerAll()
    await next.caughtUp()
    expect(bench.texts('out')).toEqual(['a=A1', 'a=A2', 'b=B1'])
    await next.close()
  })

  test('takes in the records of a source that was deleted and made anew, from its first', async () => {
    const { bench, service, life } = await running({}, records('a=old', 'b=old', 'c=old'))
    service.answerAll()
    await life.caughtUp()
    await life.close()
    await bench.settle(bench.log.admin.deleteTopics([asTopic('in')]))
    await bench.createTopics(['in'])
    await bench.produce('in', records('d=new', 'e=new'))
    // What a start that finds state without offsets advises.
    await beginAnew(bench)
    const again = new HandService()
    const next = await bench.start(enriched(again.enricher))
    await bench.pass(150)
    again.answerAll()
    await next.caughtUp()
    expect(next.count('repeated')).toBe(0)
    expect(bench.texts('out').slice(3)).toEqual(['d=NEW', 'e=NEW'])
    // A service that knows the old records by their keys must not take the new ones for them.
    const keys = [...service.calls, ...again.calls].map(({ idempotencyKey }) => idempotencyKey)
    expect(new Set(keys).size).toBe(5)
    await next.close()
    // The rows of the new topic are its marks now: those of the old one are gone.
    await beginAnew(bench)
    const third = await bench.start(enriched(new HandService().enricher))
    await third.caughtUp()
    expect(third.count('repeated')).toBe(2)
    expect(third.count('accepted')).toBe(0)
    await third.close()
  })

  test('knows the records of rows that an earlier version wrote, which do not say of which topic', async () => {
    const { bench, service, life } = await running({}, records('a=a', 'b=b', 'c=c'))
    service.waitingFor('a').answer()
    service.waitingFor('c').answer()
    await bench.pass(150)
    await life.close()
    await writeWithoutTopicIds(bench)
    bench.disks.clear()
    await beginAnew(bench)
    const again = new HandService()
    const next = await bench.start(enriched(again.enricher))
    await bench.pass(150)
    expect(again.waiting).toEqual(['b'])
    const keyOf = ({ calls }: HandService): string | undefined =>
      calls.find(({ value }) => value === 'b')?.idempotencyKey
    expect(keyOf(again)).toBe(keyOf(service))
    again.answerAll()
    await next.caughtUp()
    expect(next.count('repeated')).toBe(3)
    expect(bench.texts('out')).toEqual(['a=A', 'c=C', 'b=B'])
    await next.close()
  })

  test('names the calls of a second step after the record that the first one was asked about', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    const twice = (first: HandService, second: HandService) =>
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: text })
          .enrich('first', first.enricher, { orderBy: 'none' })
          .flatMapValues((value) => [value, value], { value: text })
          .enrich('second', second.enricher, { orderBy: 'none' })
          .to('out')
      })
    for (const partition of [0, 1]) {
      await bench.produce('in', [
        { key: 'a', value: 'x', partition },
        { key: 'b', value: 'y', partition },
      ])
    }
    const [first, second] = [new HandService(), new HandService()]
    const life = await bench.start(twice(first, second))
    await bench.pass(150)
    first.waitingFor('y').answer()
    await bench.pass(0)
    first.waitingFor('y').answer()
    await bench.pass(150)
    const keys = second.calls.map(({ idempotencyKey }) => idempotencyKey).toSorted()
    const source = `app/in/${await idOfIn(bench)}`
    expect(keys).toEqual(['/0/1/0/0', '/0/1/0/1', '/1/1/0/0', '/1/1/0/1'].map((at) => source + at))
    life.kill()
    const again = [new HandService(), new HandService()] as const
    const next = await bench.start(twice(...again))
    expect(again[1].calls.map(({ idempotencyKey }) => idempotencyKey).toSorted()).toEqual(keys)
    again[0].answerAll()
    await bench.pass(10)
    again[1].answerAll()
    await next.caughtUp()
    expect(new Set(again[1].calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(8)
    await next.close()
  })

  test('does not replay a sibling branch', async () => {
    const bench = await MemoryBench.with(['in', 'out', 'beside'])
    await bench.produce('in', records('a=v'))
    const service = new HandService()
    const branches = (enricher: HandService['enricher']) =>
      topology('app', ({ stream }) => {
        const raw = stream('in', { key: text, value: text })
        raw.enrich('ask', enricher).to('out')
        raw.to('beside')
      })
    const life = await bench.start(branches(service.enricher))
    await bench.pass(150)
    expect(bench.texts('beside')).toEqual(['a=v'])
    life.kill()
    const again = new HandService()
    const next = await bench.start(branches(again.enricher))
    again.answerAll()
    await next.caughtUp()
    expect(bench.texts('beside')).toEqual(['a=v'])
    expect(bench.texts('out')).toEqual(['a=V'])
    await next.close()
  })

  test('drops an answer of the time before a rewind, and calls again under the same key', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', records('a=v'))
    const service = new HandService()
    let aborts = 1
    const life = await bench.start(enriched(service.enricher), {
      wrap: (transport) =>
        gated(transport, {
          beforeCommit: async () => {
            if (service.calls.length === 0 || aborts === 0) return
            aborts -= 1
            throw new TransportError('MILLRACE_TRANSACTION_TIMED_OUT', 'abortable', { message: '' })
          },
        }),
    })
    await bench.pass(150)
    expect(life.events.filter(({ kind }) => kind === 'rewound')).toHaveLength(1)
    const [early, again] = service.calls
    expect(early?.signal.aborted).toBe(true)
    expect(again?.idempotencyKey).toBe(early?.idempotencyKey)
    early?.answer('from before')
    await bench.pass(150)
    expect(bench.texts('out')).toEqual([])
    again?.answer()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=V'])
    await life.close()
  })

  test('drops null values, and counts them', async () => {
    const { life } = await running({}, [{ key: 'a', value: null }])
    await life.caughtUp()
    expect(life.count('dropped-records')).toBe(1)
    await life.close()
  })

  test('keeps of its rows only the newest of each partition when all are answered', async () => {
    const { bench, service, life } = await running({}, records('a=1', 'b=2', 'c=3'))
    service.answerAll()
    await life.caughtUp()
    await life.close()
    const changes = bench.records('app-ask-pending-changelog')
    const last = new Map(changes.map(({ key, value }) => [String(key?.toString('hex')), value]))
    expect([...last.values()].filter((value) => value !== null)).toHaveLength(1)
  })
})
