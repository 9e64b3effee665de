/**
 * The topologies whose outputs Kafka Streams 4.1.0 was asked for (kafka-outputs.txt), by name. Each
 * reads `in` and, for tables, `t`, and writes `out`.
 */
import { sessions } from '../../processors/session-windows.ts'
import { hopping, tumbling } from '../../processors/time-windows.ts'
import { text } from '../../serdes/primitives.ts'
import { describeWindowed, type Windowed } from '../../serdes/windowed.ts'
import { topology, type TopologyBuilder } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import type { KStream } from '../../topology/stream.ts'
import type { AnyTable } from '../../topology/table.ts'
import type { ProcessorContext } from '../../processors/processor.ts'
import { StreamRecord, NO_HEADERS } from '../../model/record.ts'

type In = ReturnType<typeof inputs>

const SERDES = { key: text, value: text }

/** The two topics. A null key or value is one that a topic may have, whatever the types say. */
function inputs({ stream, table }: TopologyBuilder) {
  return {
    stream: () => stream('in', SERDES),
    table: () => table('t', SERDES),
  }
}

/** A record's group: the first letter of its value, none where that is x. */
function groupOf(value: string | null): string {
  // No key, as a topic may have it.
  return (value === null || value.startsWith('x') ? null : value.slice(0, 1)) as string
}

const slash = (left: string, right: string | null): string => `${left}/${right}`

/** Both texts, or nothing where they are too long. */
function joined(a: string, b: string): string | null {
  const both = a + b
  return both.length > 6 ? null : both
}

function ticks(context: ProcessorContext<string, string>, everyMs: number, name: string): void {
  const { forward } = context
  let left = name === 'tick' ? 4 : Infinity
  const schedule = context.schedule(everyMs, 'stream-time', (time) => {
    forward(new StreamRecord(name, String(time), time, NO_HEADERS))
    left -= 1
    if (left === 0) schedule.cancel()
  })
}

/** A table of windows as a stream of texts. */
function inText<V>(table: AnyTable<Windowed<string>, V>): KStream<string, string> {
  return table
    .toStream()
    .selectKey(({ key }) => describeWindowed(key), { key: text })
    .mapValues((value) => (value === null ? value : String(value)) as string)
}

type Out = KStream<string, string> | AnyTable<string, bigint> | AnyTable<string, string>

const programs: Record<string, (from: In) => Out | readonly Out[]> = {
  join: ({ stream, table }) => stream().join(table(), slash),
  'left-join': ({ stream, table }) => stream().leftJoin(table(), slash),
  'join-by-value': ({ stream, table }) => byValue(stream()).join(table(), slash),
  'left-join-by-value': ({ stream, table }) => byValue(stream()).leftJoin(table(), slash),
  'join-filtered': ({ stream, table }) =>
    stream().leftJoin(
      table().filter((row) => !row.includes('1')),
      slash,
    ),
  'join-mapped': ({ stream, table }) => {
    const mapped = table().mapValues((row) => `${row}!`)
    return stream().leftJoin(
      mapped.filter((row) => !row.includes('2')),
      slash,
    )
  },
  repartition: ({ stream }) => byValue(stream()).repartition(),
  'repartition-left-join': ({ stream, table }) =>
    byValue(stream()).repartition().leftJoin(table(), slash),
  reduce: ({ stream }) => stream().groupByKey().reduce(joined),
  aggregate: ({ stream }) =>
    stream()
      .groupByKey()
      .aggregate(
        {
          initial: () => '<',
          add: (sum, value) => (value.startsWith('x') ? null : joined(sum, value)),
        },
        { value: text },
      ),
  'group-by-count': ({ stream }) =>
    stream()
      .groupBy(({ value }) => groupOf(value), { key: text })
      .count(),
  'to-table': ({ stream }) => stream().toTable(),
  'to-table-filter': ({ stream }) =>
    stream()
      .toTable()
      .filter((row) => !row.includes('1')),
  'to-table-kept-filter': ({ stream }) =>
    stream()
      .toTable({ store: 'kept' })
      .filter((row) => !row.includes('1')),
  'table-filter': ({ table }) => table().filter((row) => !row.includes('1')),
  'count-filter': ({ stream }) =>
    stream()
      .groupByKey()
      .count()
      .filter((count) => count % 2n === 0n),
  'count-map-filter': ({ stream }) =>
    stream()
      .groupByKey()
      .count()
      .mapValues((count) => count * 10n)
      .filter((count) => count % 20n === 0n),
  'table-group-count': ({ table }) =>
    table()
      .groupBy((row) => [groupOf(row), row], SERDES)
      .count(),
  'table-group-reduce': ({ table }) =>
    table()
      .groupBy((row) => [groupOf(row), row], SERDES)
      .reduce(joined, (sum, row) => (sum === row ? null : `${sum}-`)),
  'table-group-aggregate': ({ table }) =>
    table()
      .filter((row) => !row.includes('3'))
      .mapValues((row) => `${row}'`)
      .groupBy((row) => [groupOf(row), row], SERDES)
      .aggregate(
        {
          initial: () => '<',
          add: (sum, row) => `${sum}+${row}`,
          subtract: (sum, row) => `${sum}-${row}`,
        },
        { value: text },
      ),
  'reduce-group-count': ({ stream }) =>
    stream()
      .groupByKey()
      .reduce((_, value) => value)
      .groupBy((row) => [groupOf(row), row], SERDES)
      .count(),
  'count-group-count': ({ stream }) =>
    stream()
      .groupByKey()
      .count()
      .groupBy((count, key) => [String(count), key], SERDES)
      .count(),
  'window-count': ({ stream }) => inText(stream().groupByKey().windowedBy(tumbling(10)).count()),
  'window-count-grace': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(tumbling(10, { graceMs: 7 }))
        .count(),
    ),
  'window-aggregate': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(hopping(10, 4, { graceMs: 3 }))
        .aggregate(
          {
            initial: () => '<',
            add: (sum, value: string | null) => (sum.length > 6 ? null : sum + (value ?? '~')),
          },
          { value: text },
        ),
    ),
  'window-reduce': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(hopping(9, 3, { graceMs: 20 }))
        .reduce((sum, value: string | null) => (value === null ? null : joined(sum, value))),
    ),
  'window-by-value': ({ stream }) =>
    inText(
      stream()
        .groupBy(({ value }) => groupOf(value), { key: text })
        .windowedBy(tumbling(12, { graceMs: 1 }))
        .count(),
    ),
  'window-filter': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(tumbling(10, { graceMs: 5 }))
        .count()
        .filter((count) => count % 2n === 0n),
    ),
  'window-group-count': ({ stream }) =>
    stream()
      .groupByKey()
      .windowedBy(tumbling(10, { graceMs: 5 }))
      .count()
      .groupBy((count, window) => [String(count), describeWindowed(window)], SERDES)
      .count(),
  'window-kept-long': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(tumbling(10, { graceMs: 2 }))
        .count({ store: 'kept', retentionMs: 500 }),
    ),
  'session-count': ({ stream }) => inText(stream().groupByKey().windowedBy(sessions(4)).count()),
  'session-count-grace': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(sessions(5, { graceMs: 8 }))
        .count(),
    ),
  'session-aggregate': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(sessions(6, { graceMs: 12 }))
        .aggregate(
          {
            initial: () => '<',
            add: (sum, value: string | null) => (sum.length > 9 ? null : sum + (value ?? '~')),
            merge: slash,
          },
          { value: text },
        ),
    ),
  'session-reduce': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(sessions(4, { graceMs: 20 }))
        .reduce((sum, value: string | null) => (value === null ? null : joined(sum, value))),
    ),
  'session-filter': ({ stream }) =>
    inText(
      stream()
        .groupByKey()
        .windowedBy(sessions(5, { graceMs: 5 }))
        .count()
        .filter((count) => count % 2n === 0n),
    ),
  'session-group-count': ({ stream }) =>
    stream()
      .groupByKey()
      .windowedBy(sessions(5, { graceMs: 5 }))
      .count()
      .groupBy((count, session) => [String(count), describeWindowed(session)], SERDES)
      .count(),
  split: ({ stream }) => {
    const { one, other } = stream()
      .split({ name: 's-' })
      .branch('one', ({ value }) => holds(value, '1'))
      .branch('other', ({ value }) => value !== (null as unknown))
      .noDefaultBranch()
    return [marked(one, 'one'), marked(other, 'other')]
  },
  'split-default': ({ stream }) => {
    const { one, rest } = stream()
      .split({ name: 's-' })
      .branch('one', ({ value }) => holds(value, '1'))
      .defaultBranch('rest')
    return [marked(one, 'one'), marked(rest, 'rest')]
  },
  'stream-time': ({ stream }) =>
    stream().process<string, string>({
      create: (context) => {
        ticks(context, 73, 'every 73')
        ticks(context, 10, 'every 10')
        return context.forward
      },
    }),
  cancel: ({ stream }) =>
    stream().process<string, string>({
      create: (context) => {
        ticks(context, 5, 'tick')
        return () => {}
      },
    }),
}

/** The names of the topologies. */
export const names = Object.keys(programs)

/** The topology of that name. */
export function kafkaTopology(name: string): Topology {
  return topology('gold', (builder) => {
    const declare = programs[name]
    if (declare === undefined) throw new TypeError(`no program ${name}`)
    for (const out of [declare(inputs(builder))].flat()) streamOf(out).to('out', SERDES)
  })
}

function streamOf(out: Out): KStream<string, string | null> {
  if (!('toStream' in out)) return out.mapValues((value): string | null => value, { value: text })
  const rows = out.toStream() as KStream<string, string | bigint | null>
  return rows.mapValues((row) => (row === null ? null : String(row)), { value: text })
}

function byValue(stream: KStream<string, string>) {
  return stream.selectKey(({ value }) => groupOf(value), { key: text })
}

function marked(stream: KStream<string, string>, mark: string): KStream<string, string> {
  return stream.mapValues((value) => `${mark} ${value}`, { value: text })
}

function holds(value: string | null, digit: string): boolean {
  return value?.includes(digit) === true
}
