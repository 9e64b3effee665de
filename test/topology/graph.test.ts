import { describe, expect, test } from 'vitest'
import type { FunctionEnricher } from '../../processors/enricher.ts'
import type { ProcessorNode, SinkNode, Topology } from '../../topology/graph.ts'
import { tumbling } from '../../processors/time-windows.ts'
import { int64, text } from '../../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../../state/store.ts'
import { topology } from '../../topology/builder.ts'
import { topologyFingerprint } from '../../topology/fingerprint.ts'

const SERDES = { key: text, value: text }
const STORE: KeyValueStoreSpec<string, string> = {
  kind: 'key-value',
  name: 'store',
  ...SERDES,
  persistent: true,
  logged: true,
}
const enricher: FunctionEnricher<string, string, string> = {
  kind: 'function',
  call: ({ value }) => Promise.resolve(value),
  value: text,
}

function node(value: Topology, name: string): ProcessorNode {
  const found = value.nodes.find((each) => each.name === name)
  if (found?.kind !== 'processor') throw new TypeError(`no processor ${name}`)
  return found
}

function sink(value: Topology, topic: string): SinkNode {
  const found = value.nodes.find((each) => each.kind === 'sink' && each.topic === topic)
  if (found?.kind !== 'sink') throw new TypeError(`no sink to ${topic}`)
  return found
}

describe('a topology', () => {
  test('is frozen, nodes and lists included', () => {
    const value = topology('t', ({ stream }) => {
      stream('a', SERDES).groupByKey().count({ store: 'counts' }).toStream().to('b')
    })
    const parts: readonly object[] = [
      value,
      value.nodes,
      value.stores,
      value.subtopologies,
      ...value.nodes,
      ...value.stores,
      ...value.subtopologies,
      ...value.subtopologies.flatMap((part) => [part.nodes, part.stores, part.sourceTopics]),
    ]
    expect(parts.filter((part) => !Object.isFrozen(part))).toEqual([])
  })

  test('lists nodes parents first, and children in the order they were attached', () => {
    const value = topology('t', ({ stream }) => {
      const a = stream('a', SERDES)
      a.peek(() => {}, { name: 'first' }).to('b')
      a.peek(() => {}, { name: 'second' }).to('c')
    })
    expect(value.nodes[0]).toMatchObject({ kind: 'source', children: ['first', 'second'] })
    const seen = new Set<string>()
    for (const each of value.nodes) {
      if (each.kind !== 'source') expect(each.parents.every((name) => seen.has(name))).toBe(true)
      seen.add(each.name)
    }
  })

  test('keeps the sides of a join in order, also behind hidden steps', () => {
    const value = topology('t', ({ stream }) => {
      const raw = stream('a', SERDES).byReference()
      const done = raw.enrich('e', enricher)
      done.joinOnce('j', raw, (left) => left, { expireAfter: 1 })
    })
    expect(node(value, 'j').parents).toEqual(['e', 'BYREFERENCE-0000000000'])
    expect(node(value, 'BYREFERENCE-0000000000')).toMatchObject({
      hidden: true,
      parents: ['KSTREAM-SOURCE-0000000000'],
      children: ['e', 'j'],
    })
  })

  test('tells an enrich step on references how their values are read', () => {
    const value = topology('t', ({ stream }) => {
      stream(['a', 'b'], SERDES)
        .byReference()
        .filter(() => true)
        .enrich('e', enricher)
    })
    expect(node(value, 'e').spec.serdes?.['payload']).toEqual({
      serde: text,
      topic: 'a',
      role: 'value',
    })
  })

  test('marks the steps that need all records of one key in one task', () => {
    const value = topology('t', ({ stream }) => {
      const a = stream('a', SERDES)
      a.groupByKey().count({ name: 'count' })
      a.enrich('by-key', enricher)
      a.enrich('by-none', enricher, { orderBy: 'none' })
      a.filter(() => true, { name: 'filter' })
    })
    const keyed = value.nodes.filter((each) => each.kind === 'processor' && each.keyed)
    expect(keyed.map(({ name }) => name)).toEqual(['count', 'by-key'])
  })
})

describe('a sink', () => {
  const partitionBy = (key: string): string => key

  test('knows the source whose key its records still have, and how that is partitioned', () => {
    const value = topology('t', ({ stream }) => {
      const a = stream('a', { ...SERDES, partitionBy })
      a.mapValues((value_) => value_, { value: text })
        .enrich('e', enricher)
        .to('same')
      a.selectKey(({ value: key }) => key, { key: text }).to('other')
      a.to('said', { partitionBy: () => 'x' })
    })
    expect(sink(value, 'same')).toMatchObject({
      keyUnchangedFrom: 'KSTREAM-SOURCE-0000000000',
      inheritedPartitionBy: partitionBy,
    })
    expect(sink(value, 'same').partitionBy).toBeUndefined()
    expect(sink(value, 'other').keyUnchangedFrom).toBeUndefined()
    expect(sink(value, 'other').inheritedPartitionBy).toBeUndefined()
    expect(sink(value, 'said').partitionBy?.('y')).toBe('x')
  })

  test('behind a merge of two topics has records of no one source', () => {
    const value = topology('t', ({ stream }) => {
      const a = stream('a', SERDES)
      a.merge(stream('b', SERDES)).to('both')
      a.merge(a.filter(() => true)).to('one')
    })
    expect(sink(value, 'both').keyUnchangedFrom).toBeUndefined()
    expect(sink(value, 'one').keyUnchangedFrom).toBe('KSTREAM-SOURCE-0000000000')
  })

  test('takes the stream’s serdes, or its own', () => {
    const value = topology('t', ({ stream }) => {
      stream('a', SERDES).groupByKey().count().toStream().to('counts')
      stream('b', { key: text, value: int64 }).mapValues(String).to('texts', { value: text })
    })
    expect(sink(value, 'counts')).toMatchObject({ key: text, value: int64 })
    expect(sink(value, 'texts')).toMatchObject({ key: text, value: text })
  })

  test('of through hands its partitioner on to the source behind it', () => {
    const value = topology('t', ({ stream }) => {
      stream('a', SERDES).through('b', { partitionBy }).to('c')
    })
    expect(value.nodes.filter((each) => each.kind === 'source')[1]?.partitionBy).toBe(partitionBy)
    expect(sink(value, 'c').inheritedPartitionBy).toBe(partitionBy)
  })
})

describe('stores', () => {
  test('have a changelog of their own, but a table’s is the topic it is read from', () => {
    const value = topology('t', ({ stream, table }) => {
      table('items', { ...SERDES, store: 'items', persistent: false })
        .toStream()
        .to('copy')
      stream('a', SERDES).groupByKey().count({ store: 'counts', logged: false })
    })
    expect(value.stores).toMatchObject([
      {
        spec: { name: 'items', persistent: false },
        changelog: { sourceTopic: 'items' },
        processors: ['KTABLE-SOURCE-0000000001'],
      },
      { spec: { name: 'counts', logged: false, persistent: true }, changelog: 'own' },
    ])
  })

  test('used by two steps put both into one sub-topology', () => {
    const shares = { stores: [STORE], create: () => () => {} }
    const value = topology('t', ({ stream }) => {
      stream('a', SERDES).process(shares)
      stream('b', SERDES).to('c')
      stream('d', SERDES).process(shares)
    })
    expect(value.subtopologies.map(({ id, sourceTopics }) => [id, ...sourceTopics])).toEqual([
      [0, 'a', 'd'],
      [1, 'b'],
    ])
    expect(value.subtopologies[0]?.stores).toEqual(value.stores)
    expect(value.stores[0]?.processors).toHaveLength(2)
  })
})

describe('the fingerprint', () => {
  const plain = topology('t', ({ stream }) => {
    stream('a', SERDES).groupByKey().count({ store: 'counts' })
  })

  test('stays when steps without state come, go and are renamed', () => {
    const renamed = topology('other', ({ stream }) => {
      const a = stream('a', { ...SERDES, name: 'source' })
      a.peek(() => {}).to('b')
      a.filter(() => true)
        .groupByKey()
        .count({ store: 'counts', name: 'n' })
    })
    expect(topologyFingerprint(renamed)).toBe(topologyFingerprint(plain))
  })

  test('changes with the length of windows, also where they are kept as long', () => {
    const windowed = (sizeMs: number) =>
      topology('t', ({ stream }) => {
        const windows = stream('a', SERDES).groupByKey().windowedBy(tumbling(sizeMs))
        windows.count({ store: 'counts', retentionMs: 100 })
      })
    const fingerprint = topologyFingerprint(windowed(10))
    expect(topologyFingerprint(windowed(20))).not.toBe(fingerprint)
    expect(topologyFingerprint(windowed(10))).toBe(fingerprint)
  })

  test.each([
    ['a store’s name', { store: 'other' }, 'a'],
    ['a store’s place', { store: 'counts', persistent: false }, 'a'],
    ['a store’s changelog', { store: 'counts', logged: false }, 'a'],
    ['a topic', { store: 'counts' }, 'b'],
  ])('changes with %s', (_, options, topic) => {
    const value = topology('t', ({ stream }) => {
      stream(topic, SERDES).groupByKey().count(options)
    })
    expect(topologyFingerprint(value)).not.toBe(topologyFingerprint(plain))
  })

  test('is a text that a person can read', () => {
    expect(topologyFingerprint(plain)).toBe(
      'sub-topology 0 reads a\n' +
        'sub-topology 0 keeps counts: key-value text to int64, on disk, changelog of its own',
    )
  })
})
