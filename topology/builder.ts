/**
 * Where a pipeline begins: `topology(name, ({ stream, table }) => { … })`. The function is called
 * once; the order of its calls gives the steps their indices. What comes out is a frozen value that
 * has been found valid: nothing of it runs, and nothing of it can change any more.
 */
import { tableSource } from '../processors/table-source.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'
import { attachSource } from './attach.ts'
import { Draft } from './draft.ts'
import type { SourceFacts } from './facts.ts'
import type { Topology } from './graph.ts'
import { PREFIX } from './naming.ts'
import type { SourceOptions, TableOptions } from './options.ts'
import { KStream } from './stream.ts'
import { passed } from './stream-state.ts'
import { rowsOnDemand } from './table-rows.ts'
import { KTable } from './table.ts'

/** What a topology is declared with. */
export interface TopologyBuilder {
  /** The records of a topic, or of several that are written alike. */
  readonly stream: <K, V>(
    topics: string | readonly string[],
    options: SourceOptions<K, V>,
  ) => KStream<K, V, SourceFacts>
  /** A topic as a table: the latest value of each key, a null value removes it. */
  readonly table: <K, V>(topic: string, options: TableOptions<K, V>) => KTable<K, V, SourceFacts>
}

/**
 * Declares a pipeline. Throws TopologyError (MILLRACE_TOPOLOGY_INVALID) with every mistake it finds.
 *
 * ```ts
 * export default topology('words', ({ stream }) => {
 *   stream('words', { key: text, value: text })
 *     .filter(({ value }) => value !== '')
 *     .groupByKey()
 *     .count({ store: 'counts' })
 *     .toStream()
 *     .to('word-counts')
 * })
 * ```
 */
export function topology(name: string, declare: (builder: TopologyBuilder) => void): Topology {
  const draft = new Draft(name)
  declare({
    stream: (topics, options) => declareStream(draft, topics, options),
    table: (topic, options) => declareTable(draft, topic, options),
  })
  return draft.finish()
}

function declareStream<K, V>(
  draft: Draft,
  topics: string | readonly string[],
  { name, ...reading }: SourceOptions<K, V>,
): KStream<K, V, SourceFacts> {
  const node = draft.naming.step(PREFIX.source, name)
  const list = typeof topics === 'string' ? [topics] : topics
  return new KStream(attachSource(draft, { ...reading, name: node, topics: list }))
}

function declareTable<K, V>(
  draft: Draft,
  topic: string,
  options: TableOptions<K, V>,
): KTable<K, V, SourceFacts> {
  const { name, store, persistent = true, ...reading } = options
  const { key, value } = reading
  // An unnamed store takes its index also where nothing comes to be kept in it, as in Kafka Streams:
  // a store that no step reads would only cost.
  const rows: KeyValueStoreSpec<K, V> = {
    kind: 'key-value',
    name: draft.naming.store(`${topic}-`, store),
    key,
    value,
    persistent,
    logged: true,
  }
  const isKept = store !== undefined
  const [source, node] = draft.naming.table(name)
  const state = attachSource(draft, { ...reading, name: source, topics: [topic] })
  const spec = tableSource(node, isKept ? rows : undefined)
  draft.addProcessor({ spec, parents: [source], mirrors: topic })
  const keep = (): void => draft.replaceProcessor(tableSource(node, rows), topic)
  return new KTable(
    { ...passed(state, node), rows: rowsOnDemand(rows, isKept, keep) },
    (next) => new KStream(next),
  )
}
