/** State that holds values of a schema which has to be fetched first. */
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../model/errors.ts'
import { sleep } from '../../model/clock.ts'
import { StreamRecord } from '../../model/record.ts'
import type { Processor, ProcessorContext, ProcessRecord } from '../../processors/processor.ts'
import type { Guarantee } from '../../runtime/config.ts'
import { SchemaPending, type Serde } from '../../serdes/serde.ts'
import { text } from '../../serdes/primitives.ts'
import type { KeyValueStore, KeyValueStoreSpec } from '../../state/store.ts'
import { topology } from '../../topology/builder.ts'
import { HandService } from '../processors/hand-services.ts'
import { MemoryBench } from './memory-bench.ts'

/** Text that cannot be read before something was fetched. */
function fetchedText(
  bench: MemoryBench,
  load: () => Promise<void> = async () => await sleep(bench.clock, 30),
) {
  const counts = { loads: 0 }
  const serde: Serde<string> = {
    name: 'fetched text',
    open: async (context) => {
      const open = await text.open(context)
      let isHere = false
      return {
        prefix: open.prefix,
        serialize: (value) => open.serialize(value),
        deserialize: (buffer, start, end) => {
          if (isHere) return open.deserialize(buffer, start, end)
          throw new SchemaPending(7, async () => {
            counts.loads += 1
            await load()
            isHere = true
          })
        },
      }
    },
  }
  return { serde, counts }
}

const before = (value: Serde<string>): KeyValueStoreSpec<string, string> => ({
  kind: 'key-value',
  name: 'before',
  key: text,
  value,
  persistent: true,
  logged: true,
})

/** A step over the store. */
const overStore = (
  value: Serde<string>,
  create: (
    values: KeyValueStore<string, string>,
    context: ProcessorContext<string, string>,
  ) => ProcessRecord<string, string> | Processor<string, string>,
) =>
  topology('app', ({ stream }) => {
    const store = before(value)
    stream('in', { key: text, value: text })
      .process<string, string>({
        name: 'pair',
        stores: [store],
        key: text,
        value: text,
        create: (context) => create(context.store(store), context),
      })
      .to('out')
  })

/** Forwards each value after the one before of its key, which it keeps in the store. */
const pairs = (value: Serde<string>) =>
  overStore(value, (values, context) => (record) => {
    context.forward(record.withValue(`seen ${record.value}`))
    const last = values.get(record.key) ?? ''
    values.put(record.key, record.value, record.timestamp)
    context.forward(
      new StreamRecord(record.key, last + record.value, record.timestamp, record.headers),
    )
  })

/** Forwards each value after that of key a, which it reads once. */
const afterFirst = (value: Serde<string>) =>
  overStore(value, (values, context) => {
    let first: string | undefined
    return {
      open: async () => {
        first = values.get('a')
      },
      process: (record) => context.forward(record.withValue(`${first}${record.value}`)),
    }
  })

describe('a store that holds a value of a schema which is not here', () => {
  test.each<[Guarantee, string, readonly string[]]>([
    ['exactly-once', 'rewound', ['a=seen 2', 'a=12']],
    ['at-least-once', 'restarting', ['a=seen 2', 'a=seen 2', 'a=12']],
  ])('makes the unit fetch it and do the record again: %s', async (guarantee, kind, expected) => {
    const bench = await MemoryBench.with(['in', 'out'])
    const limits = { commitIntervalMs: 100 }
    const first = await bench.start(pairs(text), { guarantee, limits })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await first.caughtUp()
    await first.close()
    const { serde, counts } = fetchedText(bench)
    const second = await bench.start(pairs(serde), {
      guarantee,
      limits,
      // The policy for bad records has no say: the record is not to blame.
      failures: { processing: 'skip' },
    })
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await second.caughtUp()
    expect(bench.texts('out').slice(2)).toEqual(expected)
    expect(second.events.filter((event) => event.kind === kind)).toHaveLength(1)
    expect(counts.loads).toBe(1)
    await second.close()
  })

  test('fails the app where the schema cannot be had, and not by the policy for records', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const first = await bench.start(pairs(text))
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await first.caughtUp()
    await first.close()
    const { serde } = fetchedText(bench, async () => {
      throw new MillraceError('MILLRACE_UNKNOWN_SCHEMA', 'the registry has no schema 7')
    })
    const second = await bench.start(pairs(serde), { failures: { processing: 'skip' } })
    await bench.produce('in', [{ key: 'a', value: '2' }])
    expect(await second.failure()).toMatchObject({ code: 'MILLRACE_UNKNOWN_SCHEMA' })
  })

  test('starts the unit over where the registry does not answer, until it does', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const first = await bench.start(pairs(text))
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await first.caughtUp()
    await first.close()
    let refusals = 3
    const { serde } = fetchedText(bench, async () => {
      if ((refusals -= 1) >= 0) {
        throw new MillraceError('MILLRACE_X', 'the registry is away', { remedy: 'retry' })
      }
    })
    const second = await bench.start(pairs(serde))
    await bench.produce('in', [{ key: 'a', value: '2' }])
    await second.caughtUp()
    expect(bench.texts('out').at(-1)).toBe('a=12')
    expect(second.events.filter(({ kind }) => kind === 'restarting')).toHaveLength(3)
    await second.close()
  })

  test('of a source record fails the app where the registry refuses us, whatever the policy for records', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const { serde } = fetchedText(bench, async () => {
      throw new MillraceError('MILLRACE_REGISTRY_UNAUTHORIZED', 'the token has expired')
    })
    const passing = topology('app', ({ stream }) => {
      stream('in', { key: text, value: serde }).to('out', { value: text })
    })
    const app = await bench.start(passing, { failures: { deserialization: 'skip' } })
    await bench.produce('in', [{ key: 'a', value: '1' }])
    expect(await app.failure()).toMatchObject({ code: 'MILLRACE_REGISTRY_UNAUTHORIZED' })
  })

  test('is fetched for what an operator reads when it opens', async () => {
    const bench = await MemoryBench.with(['left', 'right', 'out'])
    const joined = (left: Serde<string>) =>
      topology('app', ({ stream }) => {
        stream('left', { key: text, value: text })
          .joinOnce('meet', stream('right', { key: text, value: text }), (l, r) => l + r, {
            expireAfter: 1_000_000,
            left,
            value: text,
          })
          .to('out')
      })
    const first = await bench.start(joined(text))
    await bench.produce('left', [{ key: 'a', value: 'L' }])
    await first.caughtUp()
    await first.close()
    const { serde, counts } = fetchedText(bench)
    const second = await bench.start(joined(serde))
    await bench.produce('right', [{ key: 'a', value: 'R' }])
    await second.caughtUp()
    expect(bench.texts('out')).toEqual(['a=LR'])
    expect(counts.loads).toBe(1)
    await second.close()
  })

  test.each<Guarantee>(['exactly-once', 'at-least-once'])(
    'is fetched for what the author reads when a step opens: %s',
    async (guarantee) => {
      const bench = await MemoryBench.with(['in', 'out'])
      const limits = { commitIntervalMs: 100 }
      const first = await bench.start(pairs(text), { guarantee, limits })
      await bench.produce('in', [{ key: 'a', value: '1' }])
      await first.caughtUp()
      await first.close()
      const { serde, counts } = fetchedText(bench)
      const second = await bench.start(afterFirst(serde), { guarantee, limits })
      await bench.produce('in', [{ key: 'b', value: '2' }])
      await second.caughtUp()
      expect(bench.texts('out').at(-1)).toBe('b=12')
      expect(counts.loads).toBe(1)
      await second.close()
    },
  )

  test('is fetched for the rows of an enrich step', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const enriched = (value: Serde<string>, service: HandService) =>
      topology('app', ({ stream }) => {
        stream('in', { key: text, value }).enrich('ask', service.enricher).to('out')
      })
    const first = await bench.start(enriched(text, new HandService()))
    await bench.produce('in', [{ key: 'a', value: 'v' }])
    await bench.pass(150)
    await first.close()
    const { serde, counts } = fetchedText(bench)
    const service = new HandService()
    const second = await bench.start(enriched(serde, service))
    await bench.pass(100)
    service.answerAll()
    await second.caughtUp()
    expect(bench.texts('out')).toEqual(['a=V'])
    expect(counts.loads).toBeGreaterThan(0)
    expect(service.calls).toHaveLength(1)
    await second.close()
  })
})

describe('a record whose schema is not here', () => {
  test('waits for it in front of the loop, and its partition with it', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const { serde, counts } = fetchedText(bench)
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: serde }).to('out')
      }),
    )
    await bench.produce('in', [
      { key: 'a', value: '1' },
      { key: 'b', value: '2' },
    ])
    await life.caughtUp()
    expect(bench.texts('out')).toEqual(['a=1', 'b=2'])
    expect(counts.loads).toBe(1)
    expect(life.events.some(({ kind }) => kind === 'rewound')).toBe(false)
    await life.close()
  })

  test('that cannot be had is unreadable, and its offset is committed where it is left out', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const { serde } = fetchedText(bench, async () => {
      await sleep(bench.clock, 500)
      throw new MillraceError('MILLRACE_UNKNOWN_SCHEMA', 'the registry has no schema 7')
    })
    const life = await bench.start(
      topology('app', ({ stream }) => {
        stream('in', { key: text, value: serde }).to('out')
      }),
      { failures: { deserialization: 'dead-letter' }, deadLetterTopic: 'dead' },
    )
    await bench.produce('in', [{ key: 'a', value: '1' }])
    await life.caughtUp()
    expect(bench.texts('dead')).toEqual(['a=1'])
    expect(await bench.committed('app', 'in')).toBe(1)
    await life.close()
  })
})
