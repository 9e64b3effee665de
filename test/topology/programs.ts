/**
 * Topologies as lists of calls, so that the same one can be declared here and in Kafka Streams:
 * `call stream name …`, streams and tables by the number of the call that made them, `-` for a
 * name that was not given.
 */
import { text } from '../../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../../state/store.ts'
import { topology, type TopologyBuilder } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import type { Named } from '../../topology/options.ts'
import type { KStream } from '../../topology/stream.ts'
import type { KTable } from '../../topology/table.ts'

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
      if (next !== undefined) made.push(next)
    }
  })
}

interface Declared {
  readonly builder: TopologyBuilder
  readonly made: readonly (Stream | Table)[]
  readonly stores: Map<string, KeyValueStoreSpec<string, string>>
}

function call(words: readonly string[], declared: Declared): Stream | Table | void {
  const [verb = '', subject = '', given = '-', third = '-', fourth = '-'] = words
  const named: Named = given === '-' ? {} : { name: given }
  const { builder, made, stores } = declared
  const at = (index: string): Stream => made[Number(index)] as Stream
  const table = (): Table => made[Number(subject)] as Table
  switch (verb) {
    case 'stream':
      return builder.stream(subject.split(','), { ...SERDES, ...named }) as Stream
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
    default:
      return plainStep(at(subject), verb, named)
  }
}

function plainStep(stream: Stream, verb: string, named: Named): Stream {
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
