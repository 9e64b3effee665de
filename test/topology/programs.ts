/**
 * Topologies as lists of calls, so that the same one can be declared here and in Kafka Streams:
 * `call stream name …`, streams and tables by the number of the call that made them, `-` for a
 * name that was not given.
 */
import { sessions } from '../../processors/session-windows.ts'
import { hopping } from '../../processors/time-windows.ts'
import { joinWindows } from '../../processors/join-windows.ts'
import { text } from '../../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../../state/store.ts'
import { topology, type TopologyBuilder } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import type { KBranchedStream } from '../../topology/branched.ts'
import type { StreamFacts } from '../../topology/facts.ts'
import type { KGroupedTable } from '../../topology/grouped-table.ts'
import type { KGroupedStream } from '../../topology/grouped.ts'
import type { CountOptions, Named, StreamJoinStep } from '../../topology/options.ts'
import type { KStream } from '../../topology/stream.ts'
import type { KTable } from '../../topology/table.ts'
import type { SessionWindowedKStream } from '../../topology/session-windowed.ts'
import type { TimeWindowedKStream } from '../../topology/windowed.ts'

type Stream = KStream<string, string>
type Table = KTable<string, string>

const SERDES = { key: text, value: text }

/** Declares the topology of a program. */
export function declareProgram(lines: readonly string[]): Topology {
  return topology('program', (builder) => {
    const made: (Stream | Table)[] = []
    const stores = new Map<string, KeyValueStoreSpec<string, string>>()
    for (const line of lines) {
      const next = call(line.split(' '), { builder, made, stores })
      if (Array.isArray(next)) made.push(...(next as Stream[]))
      else if (next !== undefined) made.push(next as Stream | Table)
    }
  })
}

interface Declared {
  readonly builder: TopologyBuilder
  readonly made: readonly (Stream | Table)[]
  readonly stores: Map<string, KeyValueStoreSpec<string, string>>
}

function call(
  words: readonly string[],
  declared: Declared,
): Stream | Table | readonly (Stream | Table)[] | void {
  const [verb = '', subject = '', given = '-', third = '-', fourth = '-', ...more] = words
  const named: Named = given === '-' ? {} : { name: given }
  const { builder, made, stores } = declared
  const at = (index: string): Stream => made[Number(index)] as Stream
  const table = (): Table => made[Number(subject)] as Table
  switch (verb) {
    case 'stream':
      return builder.stream(subject.split(','), { ...SERDES, ...named })
    case 'table': {
      const store = third === '-' ? {} : { store: third }
      return builder.table(subject, { ...SERDES, ...named, ...store }) as Table
    }
    case 'tfilter':
      return table().filter(() => true, named)
    case 'tmapValues':
      return table().mapValues((value) => value, named) as Table
    case 'toStream':
      return table().toStream(named) as Stream
    case 'merge':
      return at(subject).merge(at(third), named)
    case 'foreach':
      return at(subject).foreach(() => {}, named)
    case 'to':
      return at(subject).to(third, { ...SERDES, ...named })
    case 'count': {
      const store = third === '-' ? {} : { store: third }
      const logged = fourth === 'u' ? { logged: false } : {}
      const counts = at(subject)
        .groupByKey({ key: text })
        .count({ ...named, ...store, ...logged })
      return counts as unknown as Table
    }
    case 'process': {
      const used = third === '-' ? [] : third.split(',').map((name) => storeNamed(name, stores))
      return at(subject).process<string, string>({ ...named, stores: used, create: () => () => {} })
    }
    case 'processValues': {
      const used = third === '-' ? [] : third.split(',').map((name) => storeNamed(name, stores))
      const step = { ...named, stores: used, create: () => () => {} }
      return at(subject).processValues<string>(step)
    }
    case 'split':
      return split(at(subject), { named, branches: third.split(','), rest: fourth })
    case 'join':
      return at(subject).join(made[Number(third)] as Table, first, { ...named, ...JOIN }) as Stream
    case 'leftJoin':
      return at(subject).leftJoin(made[Number(third)] as Table, first, {
        ...named,
        ...JOIN,
      }) as Stream
    case 'sjoin': {
      const step = { ...SIDES, ...named, ...storeStep(fourth), windows: WINDOWS }
      return joinStreams(at(subject), at(third), more[0] ?? '', step)
    }
    case 'tgroup': {
      const grouped = table().groupBy<string, string>((value, key) => [key, value], {
        ...SERDES,
        ...nameOf(fourth),
      })
      return aggregateTable(grouped, more[0] ?? '', { ...named, ...storeStep(third) })
    }
    case 'groupBy': {
      const grouped = at(subject).groupBy(({ key }) => key, { ...SERDES, ...nameOf(fourth) })
      const [kind = '', second] = more
      const one = aggregate(grouped, kind, { ...named, ...storeStep(third) })
      return second === undefined ? one : [one, aggregate(grouped, second, {})]
    }
    case 'sessions':
    case 'windowed':
      return windowed(
        at(subject),
        {
          ...named,
          ...storeStep(third),
          ...(fourth === '-' ? {} : { group: fourth }),
          isSession: verb === 'sessions',
        },
        more,
      )
    case 'countGrouped':
    case 'reduce':
    case 'aggregate': {
      const grouped = at(subject).groupByKey({ ...SERDES, ...nameOf(fourth) })
      const kind = verb === 'countGrouped' ? 'count' : verb
      return aggregate(grouped, kind, { ...named, ...storeStep(third) })
    }
    default:
      return plainStep(at(subject), verb, { ...named, ...storeStep(third) })
  }
}

const JOIN = { key: text, left: text } as const
const SIDES = { ...JOIN, right: text } as const
const WINDOWS = joinWindows(100, { graceMs: 10 })

function joinStreams(
  left: Stream,
  right: Stream,
  kind: string,
  step: StreamJoinStep<string, string, string, string> & typeof SIDES,
): Stream {
  if (kind === 'join') return left.join(right, first, step) as Stream
  if (kind === 'leftJoin') return left.leftJoin(right, first, step) as Stream
  return left.outerJoin(right, (value) => value ?? '', step) as Stream
}

const first = (value: string): string => value

function nameOf(name: string): Named {
  return name === '-' ? {} : { name }
}

/** `byKey` or `groupBy`, the kind of the step, `u` where its store is described, and the kind of a second step. */
function windowed(
  stream: Stream,
  {
    group,
    isSession,
    ...options
  }: CountOptions & { readonly group?: string; readonly isSession: boolean },
  [by, kind = '', logged, second]: readonly string[],
): Table | readonly Table[] {
  const named = { ...SERDES, ...(group === undefined ? {} : { name: group }) }
  const grouped =
    by === 'byKey' ? stream.groupByKey(named) : stream.groupBy(({ key }) => key, named)
  const windows = isSession
    ? grouped.windowedBy(sessions(10, { graceMs: 5 }))
    : grouped.windowedBy(hopping(10, 4, { graceMs: 5 }))
  const described = logged === 'u' ? { logged: false } : {}
  const one = aggregateWindows(windows, kind, { ...options, ...described })
  return second === undefined ? one : [one, aggregateWindows(windows, second, {})]
}

function aggregateWindows(
  windows: TimeWindowedKStream<string, string> | SessionWindowedKStream<string, string>,
  kind: string,
  options: CountOptions,
): Table {
  const initial = (): string => ''
  if (kind === 'count') return windows.count(options) as unknown as Table
  if (kind === 'reduce') return windows.reduce(first, options) as unknown as Table
  const step = { ...options, value: text }
  return windows.aggregate({ initial, add: first, merge: first }, step) as unknown as Table
}

function storeStep(name: string): { readonly store?: string } {
  return name === '-' ? {} : { store: name }
}

function aggregate(
  grouped: KGroupedStream<string, string>,
  kind: string,
  options: CountOptions,
): Table {
  const initial = (): string => ''
  if (kind === 'count') return grouped.count(options) as unknown as Table
  if (kind === 'reduce') return grouped.reduce(first, options)
  return grouped.aggregate({ initial, add: first }, { ...options, value: text })
}

function aggregateTable(
  grouped: KGroupedTable<string, string>,
  kind: string,
  options: CountOptions,
): Table {
  const initial = (): string => ''
  if (kind === 'count') return grouped.count(options) as unknown as Table
  if (kind === 'reduce') return grouped.reduce(first, first, options)
  return grouped.aggregate({ initial, add: first, subtract: first }, { ...options, value: text })
}

/** The branches in their order; one without a name is called by its number, as Kafka Streams does. */
function split(
  stream: Stream,
  {
    named,
    branches,
    rest,
  }: { readonly named: Named; readonly branches: readonly string[]; readonly rest: string },
): readonly Stream[] {
  let split: KBranchedStream<string, string, StreamFacts, string> = stream.split(named)
  const names = branches.map((name, at) => (name === '-' ? String(at + 1) : name))
  for (const name of names) split = split.branch(name, () => true)
  const streams = rest === '-' ? split.noDefaultBranch() : split.defaultBranch(rest)
  const all = rest === '-' ? names : [...names, rest]
  return all.map((name) => streams[name] as Stream)
}

function plainStep(stream: Stream, verb: string, named: Named): Stream | Table {
  switch (verb) {
    case 'filter':
      return stream.filter(() => true, named)
    case 'filterNot':
      return stream.filterNot(() => true, named)
    case 'peek':
      return stream.peek(() => {}, named)
    case 'map':
      return stream.map(({ key, value }) => [key, value], named) as Stream
    case 'mapValues':
      return stream.mapValues((value) => value, named) as Stream
    case 'flatMap':
      return stream.flatMap(({ key, value }) => [[key, value]], named) as Stream
    case 'flatMapValues':
      return stream.flatMapValues((value) => [value], named) as Stream
    case 'selectKey':
      return stream.selectKey(({ key }) => key, named) as Stream
    case 'repartition':
      return stream.repartition({ ...SERDES, ...named })
    case 'toTable':
      return stream.toTable({ ...SERDES, ...named })
    default:
      throw new TypeError(`no such call: ${verb}`)
  }
}

function storeNamed(name: string, stores: Declared['stores']): KeyValueStoreSpec<string, string> {
  const known = stores.get(name)
  if (known !== undefined) return known
  const store = { kind: 'key-value', name, ...SERDES, persistent: false, logged: true } as const
  stores.set(name, store)
  return store
}
