/** References and what they stand for, in whole apps over the memory log. */
import { describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import type { TerminalPolicy } from '../../processors/enrich-options.ts'
import type { Reference } from '../../processors/payloads.ts'
import { SchemaPending, type OpenSerde, type Serde } from '../../serdes/serde.ts'
import { referenceSerde } from '../../processors/reference-serde.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { MemoryBench, type Life } from '../runtime/memory-bench.ts'
import { HandService } from './hand-services.ts'

/** Text that counts how often it is read. */
function counting(): Serde<string> & { reads: number } {
  const serde = {
    name: 'counting',
    reads: 0,
    open: async (context: Parameters<Serde<string>['open']>[0]): Promise<OpenSerde<string>> => {
      const open = await text.open(context)
      return {
        ...open,
        prefix: open.prefix,
        serialize: (value) => open.serialize(value),
        deserialize: (buffer, start, end) => {
          serde.reads += 1
          return open.deserialize(buffer, start, end)
        },
      }
    },
  }
  return serde
}

/** Text that cannot be read before its schema is there, which takes until the test ends. */
const unreadable: Serde<string> = {
  name: 'unreadable',
  open: async (context): Promise<OpenSerde<string>> => {
    const open = await text.open(context)
    return {
      prefix: open.prefix,
      serialize: (value) => open.serialize(value),
      deserialize: () => {
        throw new SchemaPending(1, async () => await new Promise<never>(() => {}))
      },
    }
  },
}

type Policy = TerminalPolicy<string, Reference<string>, string>

/** Values wait as references for the partner from the other side, then come back. */
const waiting = (onFailure: Policy = 'stop') =>
  topology('app', ({ stream }) => {
    const raw = stream('in', { key: text, value: text }).byReference()
    const other = stream('other', { key: text, value: text })
    raw
      .joinOnce('meet', other, (reference) => reference, {
        expireAfter: 1_000_000,
        value: referenceSerde<string>(),
      })
      .dereference({
        from: raw,
        select: (reference: Reference<string>) => reference,
        replace: (_reference: Reference<string>, value: string | null) => value ?? 'none',
        value: text,
        onFailure,
      })
      .to('out')
  })

/** What a life read again from the log. */
const rereads = (life: Life): number => life.count('accepted')

describe('a value by reference', () => {
  test('is not deserialized by the record loop', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const value = counting()
    const service = new HandService()
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value }).byReference().enrich('ask', service.enricher).to('out')
      }),
    )
    await bench.produce('in', [{ key: 'a', value: 'v' }])
    await bench.pass(150)
    expect(value.reads).toBe(1)
    service.answerAll()
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=V'])
    await life.close()
  })

  test('stands as a few bytes in the changelog', async () => {
    const bench = await MemoryBench.with(['in', 'other', 'out'])
    const life = await bench.start(waiting())
    await bench.produce('in', [{ key: 'a', value: 'x'.repeat(100_000) }])
    await life.caughtUp()
    const [change] = bench.records('app-meet-left-changelog')
    expect(change?.sizeBytes).toBeLessThan(80)
    await life.close()
  })

  test('that is null has nothing to refer to, and is dropped and counted', async () => {
    const bench = await MemoryBench.with(['in', 'other', 'out'])
    const life = await bench.start(waiting())
    await bench.produce('in', [{ key: 'a', value: null }])
    await life.caughtUp()
    expect(life.count('dropped-records')).toBe(1)
    await life.close()
  })
})

describe('dereference', () => {
  test('answers in the same step where the bytes are at hand', async () => {
    const bench = await MemoryBench.with(['in', 'other', 'out'])
    const life = await bench.start(waiting())
    await bench.produce('in', [{ key: 'a', value: 'v' }])
    await bench.produce('other', [{ key: 'a', value: '-' }])
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=v'])
    expect(rereads(life)).toBe(0)
    await life.close()
  })

  test('reads the log again after a restart, and where the cache was too small', async () => {
    const bench = await MemoryBench.with(['in', 'other', 'out'])
    const first = await bench.start(waiting(), { limits: { payloadBytes: 1 } })
    await bench.produce('in', [
      { key: 'a', value: 'vv' },
      { key: 'b', value: 'ww' },
    ])
    await bench.produce('other', [{ key: 'a', value: '-' }])
    await first.caughtUp()
    expect(rereads(first)).toBe(1)
    first.kill()
    const second = await bench.start(waiting())
    await bench.produce('other', [{ key: 'b', value: '-' }])
    await second.caughtUp()
    expect(rereads(second)).toBe(1)
    expect(bench.texts('out')).toEqual(['a=vv', 'b=ww'])
    await second.close()
  })

  test.each<[string, Policy, readonly string[]]>([
    ['stop', 'stop', []],
    ['skip', 'skip', []],
    ['a fallback', { fallback: () => 'gone' }, ['a=gone']],
  ])('of a value that retention took goes by the policy: %s', async (_name, policy, out) => {
    const bench = await MemoryBench.with(['in', 'other', 'out'])
    const first = await bench.start(waiting(policy))
    await bench.produce('in', [
      { key: 'a', value: 'v' },
      { key: 'b', value: 'w' },
    ])
    await first.caughtUp()
    await first.close()
    bench.log.purgeBefore({ topic: asTopic('in'), partition: asPartition(0), offset: asOffset(1) })
    const second = await bench.start(waiting(policy))
    await bench.produce('other', [{ key: 'a', value: '-' }])
    if (policy === 'stop') {
      const error = await second.failure()
      expect(error).toMatchObject({ code: 'MILLRACE_ENRICH_FAILED' })
      expect(error.cause).toMatchObject({ code: 'MILLRACE_REFERENCE_GONE' })
    } else {
      await second.caughtUp()
      await second.close()
    }
    expect(bench.texts('out')).toEqual(out)
  })

  test.each([
    [100, 1],
    [200, 2],
  ])(
    'that is read counts with its own bytes: with %i in flight, %i of 60',
    async (inFlightBytes, calls) => {
      const limits = { inFlightBytes, orderBy: 'none' } as const
      const bench = await MemoryBench.with(['in', 'out'])
      const life = await bench.start(
        topology('app', ({ stream }) => {
          const references = stream('in', { key: text, value: unreadable }).byReference()
          references.dereference(limits).to('out', { value: text })
        }),
      )
      const value = 'x'.repeat(60)
      await bench.produce('in', [
        { key: 'a', value },
        { key: 'b', value },
      ])
      await bench.until(() => life.count('accepted') === 2)
      await bench.pass(1)
      expect(life.count('calls')).toBe(calls)
      await life.close()
    },
  )

  test('of a topic that was deleted and created again does not answer with what is there now', async () => {
    const bench = await MemoryBench.with(['in', 'other', 'out'])
    const first = await bench.start(waiting())
    await bench.produce('in', [{ key: 'a', value: 'v', timestamp: 5 }])
    await first.caughtUp()
    await first.close()
    await bench.settle(bench.log.admin.deleteTopics([asTopic('in')]))
    await bench.createTopics(['in'])
    await bench.produce('in', [{ key: 'z', value: 'v', timestamp: 5 }])
    await bench.produce('other', [{ key: 'a', value: '-' }])
    const second = await bench.start(waiting())
    expect((await second.failure()).cause).toMatchObject({ code: 'MILLRACE_REFERENCE_GONE' })
    expect(bench.texts('out')).toEqual([])
  })
})
