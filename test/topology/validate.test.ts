import { describe, expect, test } from 'vitest'
import type { FunctionEnricher } from '../../processors/enricher.ts'
import type { Reference } from '../../processors/payloads.ts'
import { referenceSerde } from '../../processors/reference-serde.ts'
import { sessions } from '../../processors/session-windows.ts'
import { tumbling } from '../../processors/time-windows.ts'
import { json } from '../../serdes/json.ts'
import { text } from '../../serdes/primitives.ts'
import type { KeyValueStoreSpec, WindowStoreSpec } from '../../state/store.ts'
import { topology, type TopologyBuilder } from '../../topology/builder.ts'
import { checkPartitions } from '../../topology/partitions.ts'
import { TopologyError, type TopologyProblem } from '../../topology/problem.ts'
import type { KStream } from '../../topology/stream.ts'

const SERDES = { key: text, value: text }
const STORE: KeyValueStoreSpec<string, string> = {
  kind: 'key-value',
  name: 'store',
  ...SERDES,
  persistent: true,
  logged: true,
}
const WINDOWS: WindowStoreSpec<string, string> = {
  ...STORE,
  kind: 'window',
  name: 'windows',
  sizeMs: 10,
  retentionMs: 10,
}
const enricher: FunctionEnricher<string, string, string> = {
  kind: 'function',
  call: ({ value }) => Promise.resolve(value),
}

type Declare = (builder: TopologyBuilder) => void

/** A stream of which the compiler knows nothing, so that validation is asked. */
function untyped(stream: KStream<string, string>): KStream<string, string> {
  return stream
}

function problemsOf(declare: Declare, name = 't'): readonly TopologyProblem[] {
  try {
    topology(name, declare)
    return []
  } catch (error) {
    if (error instanceof TopologyError) return error.problems
    throw error
  }
}

const first = (left: string): string => left
const keepsStore = { stores: [STORE], create: () => () => {} }

/** What is wrong, the code, the step it names, and a piece of the remedy; then what is right. */
const table: readonly (readonly [
  title: string,
  code: string,
  place: string,
  remedy: string,
  wrong: Declare,
  right: Declare,
])[] = [
  [
    'a topology that reads nothing',
    'EMPTY',
    't',
    'stream(topic)',
    () => {},
    ({ stream }) => stream('a', SERDES).to('b'),
  ],
  [
    'a source that no step uses',
    'UNUSED_SOURCE',
    'KSTREAM-SOURCE-0000000000',
    'leave it out',
    ({ stream }) => void stream('a', SERDES),
    ({ table: tableOf }) => void tableOf('a', { ...SERDES, store: 'rows' }),
  ],
  [
    'two steps of one name',
    'DUPLICATE_NAME',
    'f',
    'another { name }',
    ({ stream }) =>
      stream('a', SERDES)
        .filter(() => true, { name: 'f' })
        .filter(() => true, { name: 'f' })
        .to('b'),
    ({ stream }) =>
      stream('a', SERDES)
        .filter(() => true, { name: 'f' })
        .filter(() => true, { name: 'g' })
        .to('b'),
  ],
  [
    'windows that take records for longer than they are kept',
    'ILLEGAL_RETENTION',
    'kept',
    'at least that, or none',
    ({ stream }) => {
      const windows = tumbling(10, { graceMs: 5 })
      stream('a', SERDES).groupByKey().windowedBy(windows).count({ store: 'kept', retentionMs: 14 })
    },
    ({ stream }) => {
      const windows = tumbling(10, { graceMs: 5 })
      stream('a', SERDES).groupByKey().windowedBy(windows).count({ store: 'kept', retentionMs: 15 })
    },
  ],
  [
    'sessions that take records for longer than they are kept',
    'ILLEGAL_RETENTION',
    'kept',
    'at least that, or none',
    ({ stream }) => {
      const windows = sessions(10, { graceMs: 5 })
      stream('a', SERDES).groupByKey().windowedBy(windows).count({ store: 'kept', retentionMs: 14 })
    },
    ({ stream }) => {
      const windows = sessions(10, { graceMs: 5 })
      stream('a', SERDES).groupByKey().windowedBy(windows).count({ store: 'kept', retentionMs: 15 })
    },
  ],
  [
    "an author's store that keeps windows for less than they last",
    'ILLEGAL_RETENTION',
    'windows',
    'as long as a window lasts',
    ({ stream }) => {
      const stores = [{ ...WINDOWS, retentionMs: 9 }]
      stream('a', SERDES).process({ stores, create: () => () => {} })
    },
    ({ stream }) => {
      stream('a', SERDES).process({ stores: [WINDOWS], create: () => () => {} })
    },
  ],
  [
    'two stores of one name',
    'DUPLICATE_STORE',
    'store',
    'the same store object',
    ({ stream }) => {
      const a = stream('a', SERDES)
      a.process(keepsStore)
      a.process({ ...keepsStore, stores: [{ ...STORE }] })
    },
    ({ stream }) => {
      const a = stream('a', SERDES)
      a.process(keepsStore)
      a.process(keepsStore)
    },
  ],
  [
    'a topic that is read twice',
    'DUPLICATE_SOURCE',
    'KSTREAM-SOURCE-0000000002',
    'Declare it once',
    ({ stream }) => {
      stream('a', SERDES).to('b')
      stream(['c', 'a'], SERDES).to('d')
    },
    ({ stream }) => {
      const a = stream('a', SERDES)
      a.to('b')
      a.to('d')
    },
  ],
  [
    'a step with an illegal name',
    'ILLEGAL_NAME',
    'my filter',
    'letters a-z',
    ({ stream }) =>
      stream('a', SERDES)
        .filter(() => true, { name: 'my filter' })
        .to('b'),
    ({ stream }) =>
      stream('a', SERDES)
        .filter(() => true, { name: 'my-filter' })
        .to('b'),
  ],
  [
    'a source topic with an illegal name',
    'ILLEGAL_TOPIC',
    'KSTREAM-SOURCE-0000000000',
    '1 to 249',
    ({ stream }) => stream(['a', 'a b'], SERDES).to('b'),
    ({ stream }) => stream(['a', 'a.b'], SERDES).to('b'),
  ],
  [
    'a source of no topics',
    'ILLEGAL_TOPIC',
    'KSTREAM-SOURCE-0000000000',
    'at least one',
    ({ stream }) => stream([], SERDES).to('b'),
    ({ stream }) => stream(['a'], SERDES).to('b'),
  ],
  [
    'a sink topic with an illegal name',
    'ILLEGAL_TOPIC',
    'KSTREAM-SINK-0000000001',
    '1 to 249',
    ({ stream }) => stream('a', SERDES).to('..'),
    ({ stream }) => stream('a', SERDES).to('.x'),
  ],
  [
    'a repartition topic of no partitions',
    'ILLEGAL_PARTITIONS',
    'r-repartition',
    'whole number from 1',
    ({ stream }) => stream('a', SERDES).repartition({ name: 'r', partitions: 0 }).to('b'),
    ({ stream }) => stream('a', SERDES).repartition({ name: 'r', partitions: 1 }).to('b'),
  ],
  [
    'a repartition topic that is made twice',
    'DUPLICATE_NAME',
    'g',
    'another { name }',
    ({ stream }) => {
      const a = stream('a', SERDES)
      for (const store of ['x', 'y']) {
        a.groupBy(({ value }) => value, { key: text, name: 'g' }).count({ store })
      }
    },
    ({ stream }) => {
      const grouped = stream('a', SERDES).groupBy(({ value }) => value, { key: text, name: 'g' })
      for (const store of ['x', 'y']) grouped.count({ store })
    },
  ],
  [
    'a count by a changed key whose value has no serde',
    'SERDE_MISSING',
    'c',
    'or this one { value: serde }',
    ({ stream }) => {
      const a = stream('a', SERDES).map(({ key, value }) => [value, key.length], { key: text })
      const loose: KStream<string, number> = a
      loose.groupByKey().count({ name: 'c' })
    },
    ({ stream }) => {
      const a = stream('a', SERDES).map(({ key, value }) => [value, key.length], { key: text })
      a.groupByKey({ value: json<number>() }).count({ name: 'c' })
    },
  ],
  [
    'a sink without the value’s serde',
    'SERDE_MISSING',
    'KSTREAM-SINK-0000000002',
    'or this one { value: serde }',
    ({ stream }) => untyped(stream('a', SERDES).mapValues((value) => value)).to('b'),
    ({ stream }) =>
      stream('a', SERDES)
        .mapValues((value) => value, { value: text })
        .to('b'),
  ],
  [
    'a count without the key’s serde',
    'SERDE_MISSING',
    'KSTREAM-AGGREGATE-0000000004',
    '{ key: serde }',
    ({ stream }) => {
      const [a, b] = [stream('a', SERDES), stream('b', { key: json<string>(), value: text })]
      a.merge(b).groupByKey().count()
    },
    ({ stream }) => {
      const [a, b] = [stream('a', SERDES), stream('b', { key: json<string>(), value: text })]
      a.merge(b).groupByKey({ key: text }).count()
    },
  ],
  [
    'a join of topics that are partitioned by different functions',
    'NOT_COPARTITIONED',
    'j',
    'the very same partitionBy',
    ({ stream }) => {
      const a = stream('a', { ...SERDES, partitionBy: (key) => key })
      const b = stream('b', { ...SERDES, partitionBy: (key) => key })
      a.joinOnce('j', b, first, { expireAfter: 1 })
    },
    ({ stream }) => {
      const partitionBy = (key: string): string => key
      const a = stream('a', { ...SERDES, partitionBy })
      const b = stream('b', { ...SERDES, partitionBy })
      a.joinOnce('j', b, first, { expireAfter: 1 })
    },
  ],
  [
    'a join with a table that is partitioned by another function',
    'NOT_COPARTITIONED',
    'j',
    'repartition({ partitionBy })',
    ({ stream, table: tableOf }) => {
      const t = tableOf('t', { ...SERDES, partitionBy: (key) => key })
      stream('a', SERDES).join(t, first, { name: 'j' })
    },
    ({ stream, table: tableOf }) => {
      const t = tableOf('t', { ...SERDES, partitionBy: (key) => key })
      const byValue = stream('a', SERDES).selectKey(({ value }) => value, { key: text })
      byValue.join(t, first, { name: 'j' })
    },
  ],
  [
    'a join of a stream with itself',
    'SELF_JOIN',
    'j',
    'mapValues',
    ({ stream }) => {
      const a = stream('a', SERDES)
      a.joinOnce('j', a, first, { expireAfter: 1 })
    },
    ({ stream }) => {
      const a = stream('a', SERDES)
      a.joinOnce(
        'j',
        a.filter(() => true),
        first,
        { expireAfter: 1 },
      )
    },
  ],
  [
    'a sink to the topic its records came from',
    'LOOP',
    'KSTREAM-SINK-0000000001',
    'another topic',
    ({ stream }) => stream('a', SERDES).to('a'),
    ({ stream }) => {
      stream('a', SERDES).to('b')
      stream('b', SERDES).to('c')
    },
  ],
  [
    'a loop by way of another topic',
    'LOOP',
    'KSTREAM-SINK-0000000003',
    'for ever',
    ({ stream }) => stream('a', SERDES).through('b').to('a'),
    ({ stream }) => stream('a', SERDES).through('b').to('c'),
  ],
  [
    'a stream of another topology',
    'FOREIGN_STREAM',
    'KSTREAM-MERGE-0000000001',
    'in one topology',
    ({ stream }) => {
      const a = stream('a', SERDES)
      problemsOf((other) => a.merge(other.stream('b', SERDES)).to('c'))
    },
    ({ stream }) => stream('a', SERDES).merge(stream('b', SERDES)).to('c', SERDES),
  ],
  [
    'a reference to what is not in the log',
    'NOT_A_SOURCE',
    'BYREFERENCE-0000000000',
    'directly on stream(topic)',
    ({ stream }) =>
      untyped(stream('a', SERDES).filter(() => true))
        .byReference()
        .to('b'),
    ({ stream }) => stream('a', SERDES).byReference().to('b'),
  ],
  [
    'references whose topic was forgotten',
    'NOT_A_REFERENCE',
    'DEREFERENCE-0000000001',
    'with { from }',
    ({ stream }) => {
      const references = stream('a', SERDES).byReference()
      references
        .mapValues((value) => value, { value: json<Reference<string>>() })
        .dereference()
        .to('b', { value: text })
    },
    ({ stream }) => {
      const references = stream('a', SERDES).byReference()
      references
        .mapValues((value) => value, { value: json<Reference<string>>() })
        .dereference({
          from: references,
          select: (value) => value,
          replace: (_, payload) => payload,
        })
        .to('b', { value: text })
    },
  ],
  [
    'an enrich step on references whose topic was forgotten',
    'NOT_A_REFERENCE',
    'e',
    'dereference these',
    ({ stream }) =>
      void stream('a', SERDES)
        .byReference()
        .mapValues((reference) => reference, { value: referenceSerde<string>() })
        .enrich('e', enricher),
    ({ stream }) =>
      void stream('a', SERDES)
        .byReference()
        .filter(({ value }) => value.sizeBytes > 0)
        .enrich('e', enricher),
  ],
]

describe('a topology', () => {
  test.each(table)('refuses %s (%s)', (_title, code, place, remedy, wrong) => {
    expect(problemsOf(wrong)).toEqual([
      { code: `MILLRACE_TOPOLOGY_${code}`, place, message: expect.stringContaining(remedy) },
    ])
  })

  test.each(table)('takes the remedy for %s', (_title, _code, _place, _remedy, _wrong, right) => {
    expect(problemsOf(right)).toEqual([])
  })

  test('tells every mistake at once, each with its place and code', () => {
    const declare: Declare = ({ stream }) => {
      const a = untyped(stream('a', SERDES).mapValues((value) => value))
      a.to('b c')
      a.to('a', { value: text })
    }
    expect(() => topology('two words', declare)).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_TOPOLOGY_INVALID',
        problems: [
          expect.objectContaining({ code: 'MILLRACE_TOPOLOGY_SERDE_MISSING' }),
          expect.objectContaining({ code: 'MILLRACE_TOPOLOGY_ILLEGAL_TOPIC' }),
          expect.objectContaining({ code: 'MILLRACE_TOPOLOGY_ILLEGAL_NAME', place: 'two words' }),
          expect.objectContaining({ code: 'MILLRACE_TOPOLOGY_LOOP' }),
        ],
      }),
    )
    expect(() => topology('two words', declare)).toThrow(/for 4 reasons:\n {2}- KSTREAM-SINK/)
  })

  test('takes no step after it is finished', () => {
    let kept: KStream<string, string> | undefined
    topology('t', ({ stream }) => {
      kept = stream('a', SERDES)
      kept.to('b')
    })
    expect(() => kept?.filter(() => true)).toThrow(/finished/)
  })
})

describe('the partitions of a topology', () => {
  const joined = topology('t', ({ stream }) => {
    stream('a', SERDES)
      .joinOnce('j', stream('b', SERDES), first, { expireAfter: 1, value: text })
      .to('c')
  })

  test('are fine where every topic exists and joined topics have as many', () => {
    const counts = new Map([
      ['a', 2],
      ['b', 2],
      ['c', 7],
    ])
    expect(checkPartitions(joined, counts)).toEqual([])
  })

  test('are a problem where a join’s topics have different numbers, which are named', () => {
    const counts = new Map([
      ['a', 2],
      ['b', 3],
      ['c', 7],
    ])
    expect(checkPartitions(joined, counts)).toEqual([
      {
        code: 'MILLRACE_TOPOLOGY_PARTITIONS_DIFFER',
        place: 'j',
        message: expect.stringContaining('a (2), b (3)'),
      },
    ])
  })

  test('are a problem where a stream and the table it joins have different numbers', () => {
    const value = topology('t', ({ stream, table: tableOf }) => {
      stream('a', SERDES).join(tableOf('t', SERDES), first, { name: 'j', value: text }).to('c')
    })
    const counts = new Map([
      ['a', 2],
      ['t', 3],
      ['c', 1],
    ])
    expect(checkPartitions(value, counts)).toEqual([
      {
        code: 'MILLRACE_TOPOLOGY_PARTITIONS_DIFFER',
        place: 'j',
        message: expect.stringContaining('a (2), t (3)'),
      },
    ])
  })

  test('are a problem for each topic that does not exist', () => {
    expect(checkPartitions(joined, new Map([['a', 2]]))).toEqual([
      expect.objectContaining({ code: 'MILLRACE_TOPOLOGY_TOPIC_MISSING', place: 'b' }),
      expect.objectContaining({ code: 'MILLRACE_TOPOLOGY_TOPIC_MISSING', place: 'c' }),
    ])
  })
})
