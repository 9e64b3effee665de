import { readFileSync } from 'node:fs'
import { describe as suite, expect, test } from 'vitest'
import type { FunctionEnricher } from '../../processors/enricher.ts'
import type { Reference } from '../../processors/payloads.ts'
import { tumbling } from '../../processors/time-windows.ts'
import { json } from '../../serdes/json.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { describeJson } from '../../topology/describe-json.ts'
import { describeMermaid } from '../../topology/describe-mermaid.ts'
import { describe } from '../../topology/describe.ts'
import { copiedHashOrder, hashOrder, TreeSet } from '../../topology/java-order.ts'
import { declareProgram } from './programs.ts'

const SERDES = { key: text, value: json<number>() }
const enricher: FunctionEnricher<string, number, string> = {
  kind: 'function',
  call: ({ value }) => Promise.resolve(String(value)),
  value: text,
}

const flagship = topology('flagship', ({ stream }) => {
  const raw = stream('raw', SERDES).byReference()
  const shots = raw.enrich('annotate', enricher)
  shots.to('enriched')
  raw
    .joinOnce('annotated', shots, (chunk, annotation) => ({ chunk, annotation }), {
      expireAfter: 1000,
      value: json<{ chunk: Reference<number>; annotation: string }>(),
    })
    .dereference({
      from: raw,
      select: ({ chunk }) => chunk,
      replace: ({ annotation }, chunk) => ({ annotation, chunk }),
    })
    .to('joined', { value: json<{ annotation: string; chunk: number | null }>() })
})

suite('describe', () => {
  // Made by Kafka Streams 4.1.0 from the programs beside them.
  const cases = readFileSync(new URL('kafka-descriptions.txt', import.meta.url), 'utf8')
    .split('# program\n')
    .slice(1)
    .map((part) => part.split('# description\n') as [string, string])

  test.each(cases.map(([program, description], at) => ({ at, program, description })))(
    'gives the text of Kafka Streams, byte for byte (program $at)',
    ({ program, description }) => {
      expect(describe(declareProgram(program.trimEnd().split('\n')))).toBe(description)
    },
  )

  test('has programs to compare', () => {
    expect(cases.length).toBeGreaterThan(20)
  })

  test('leaves byReference and dereference out and shows their neighbours connected', () => {
    expect(describe(flagship)).toBe(`Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [raw])
      --> annotate, annotated
    Processor: annotate (stores: [annotate-pending])
      --> annotated, KSTREAM-SINK-0000000002
      <-- KSTREAM-SOURCE-0000000000
    Processor: annotated (stores: [annotated-left, annotated-right, annotated-times])
      --> KSTREAM-SINK-0000000004
      <-- KSTREAM-SOURCE-0000000000, annotate
    Sink: KSTREAM-SINK-0000000002 (topic: enriched)
      <-- annotate
    Sink: KSTREAM-SINK-0000000004 (topic: joined)
      <-- annotated

`)
  })

  test('shows through as a sink and a source in a sub-topology of its own', () => {
    const value = topology('t', ({ stream }) => {
      stream('a', SERDES)
        .selectKey(({ value: n }) => String(n), { key: text })
        .through('b')
        .groupByKey()
        .count({ store: 'counts' })
    })
    expect(describe(value)).toBe(`Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [a])
      --> KSTREAM-KEY-SELECT-0000000001
    Processor: KSTREAM-KEY-SELECT-0000000001 (stores: [])
      --> KSTREAM-SINK-0000000002
      <-- KSTREAM-SOURCE-0000000000
    Sink: KSTREAM-SINK-0000000002 (topic: b)
      <-- KSTREAM-KEY-SELECT-0000000001

  Sub-topology: 1
    Source: KSTREAM-SOURCE-0000000003 (topics: [b])
      --> KSTREAM-AGGREGATE-0000000004
    Processor: KSTREAM-AGGREGATE-0000000004 (stores: [counts])
      --> none
      <-- KSTREAM-SOURCE-0000000003

`)
  })
})

// The expected orders were printed by OpenJDK 17.
suite('the order of Java', () => {
  test('of a hash set goes by bucket, and grows at three quarters', () => {
    const names = ['Aa', 'BB', 'topic-1', 'topic-2', 'z', 'a']
    // 'Aa' and 'BB' have one hash: they keep the order in which they were added.
    expect(hashOrder(names)).toEqual(['Aa', 'BB', 'a', 'z', 'topic-1', 'topic-2'])
    expect(hashOrder(['BB', 'Aa'])).toEqual(['BB', 'Aa'])
  })

  test('of a copied hash set makes room for all before it adds', () => {
    const names = Array.from({ length: 12 }, (_, at) => `in${at}`)
    const added = 'in6 in5 in8 in7 in11 in9 in10 in0 in2 in1 in4 in3'
    const copied = 'in0 in2 in1 in4 in3 in6 in5 in8 in7 in11 in9 in10'
    expect(hashOrder(names)).toEqual(added.split(' '))
    expect(copiedHashOrder(names)).toEqual(copied.split(' '))
  })

  test('of a tree set is sorted while the order of its elements stays', () => {
    const tree = new TreeSet<number>((a, b) => a - b)
    for (let at = 0; at < 500; at += 1) tree.add((at * 7919) % 251)
    expect([...tree]).toEqual(Array.from({ length: 251 }, (_, at) => at))
  })
})

suite('the other descriptions', () => {
  test('describeJson says how long windows are, and how long they are kept', () => {
    const value = topology('t', ({ stream }) => {
      const windows = tumbling(10, { graceMs: 5 })
      stream('a', SERDES).groupByKey().windowedBy(windows).count({ store: 'counts' })
    })
    const parsed: unknown = JSON.parse(describeJson(value))
    const store = { name: 'counts', kind: 'window', sizeMs: 10, retentionMs: 15 }
    expect(parsed).toMatchObject({ subtopologies: [{ stores: [store] }] })
  })

  test('describeJson has everything that a program may ask for', () => {
    const parsed: unknown = JSON.parse(describeJson(flagship))
    expect(parsed).toMatchObject({
      name: 'flagship',
      subtopologies: [
        {
          id: 0,
          sourceTopics: ['raw'],
          nodes: [
            { name: 'KSTREAM-SOURCE-0000000000', kind: 'source', topics: ['raw'], key: 'text' },
            { name: 'annotate', operator: 'enrich', parents: ['KSTREAM-SOURCE-0000000000'] },
            { kind: 'sink', topic: 'enriched', value: 'text' },
            { name: 'annotated', parents: ['KSTREAM-SOURCE-0000000000', 'annotate'] },
            { kind: 'sink', topic: 'joined', parents: ['annotated'] },
          ],
        },
      ],
    })
  })

  test('describeMermaid draws topics, steps, stores and frames', () => {
    const value = topology('t', ({ stream }) => {
      stream('a', SERDES).groupByKey().count({ store: 'counts' }).toStream().to('b')
    })
    expect(describeMermaid(value)).toBe(`flowchart TD
  subgraph sub0["Sub-topology 0"]
    n0["KSTREAM-SOURCE-0000000000"]
    n1["KSTREAM-AGGREGATE-0000000001"]
    n2["KTABLE-TOSTREAM-0000000002"]
    n3["KSTREAM-SINK-0000000003"]
    n4[("counts")]
    n0 --> n1
    n1 --> n2
    n2 --> n3
    n1 -.- n4
  end
  n5(["a"]) --> n0
  n3 --> n6(["b"])
`)
  })
})
