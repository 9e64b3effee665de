/**
 * A table whose rows are taken together by another key. A row that changes is taken out of its group
 * as it was and put in as it is; both go through one repartition topic, so that the group's task sees
 * them in order.
 */
import { tableAggregate, type TableAggregation } from '../processors/table-aggregate.ts'
import { changeSerde } from '../processors/change-serde.ts'
import { int64 } from '../serdes/primitives.ts'
import type { Keyed, StreamFacts } from './facts.ts'
import type { AnySerde } from './graph.ts'
import { PREFIX } from './naming.ts'
import type { AggregateOptions, CountOptions, ReduceOptions, TableAggregator } from './options.ts'
import { keySerde, valueSerde } from './requirements.ts'
import { sourceBehind, throughRepartition } from './repartition.ts'
import { storeOf } from './store-step.ts'
import { valueChanged, type GroupState, type StreamState } from './stream-state.ts'
import { keptRows } from './table-rows.ts'
import type { KTable, TableState } from './table.ts'

/** Makes a table of a state. Handed in, because tables make grouped tables and would have to be known here. */
export type MakeTable = <K, V, F extends StreamFacts, Gone extends null>(
  state: TableState<K, V>,
) => KTable<K, V, F, Gone>

/** What `groupBy` of a table answers. Its V is what the selected rows carry. */
export class KGroupedTable<K, V> {
  /** Never set: carries V for inference. */
  readonly value?: V
  readonly #state: GroupState
  readonly #tableOf: MakeTable

  /** Made by `groupBy`, never by an author. */
  constructor(state: GroupState, tableOf: MakeTable) {
    this.#state = state
    this.#tableOf = tableOf
  }

  /** How many rows each group has. A group that lost its last row has 0. */
  count(options: CountOptions = {}): KTable<K, bigint, Keyed, never> {
    return this.#keep<bigint, never>(
      { prefix: PREFIX.tableAggregate, kind: 'count', options, value: int64 },
      { first: () => 1n, add: (rows) => rows + 1n, subtract: (rows) => rows - 1n },
    )
  }

  /** The rows of each group as one of their kind. The first row stands for itself; null removes the group. */
  reduce(
    add: (aggregate: V, value: V, key: K) => V | null,
    subtract: (aggregate: V, value: V, key: K) => V | null,
    options: ReduceOptions<V> = {},
  ): KTable<K, V, Keyed> {
    const value = valueSerde(this.#state, this.#state.node, {
      given: options.value,
      option: 'value',
    })
    return this.#keep<V, null>(
      { prefix: PREFIX.tableReduce, kind: 'reduce', options, value },
      { first: (row) => row, add, subtract },
    )
  }

  /** The rows of each group as one value, beginning with `initial`. Null removes the group. */
  aggregate<A>(
    { initial, add, subtract }: TableAggregator<K, V, A>,
    options: AggregateOptions<A>,
  ): KTable<K, A, Keyed> {
    return this.#keep<A, null>(
      { prefix: PREFIX.tableAggregate, kind: 'aggregate', options, value: options.value },
      { first: (value, key) => add(initial(), value, key), add, subtract },
    )
  }

  #keep<A, Gone extends null>(
    step: {
      readonly prefix: string
      readonly kind: string
      readonly options: CountOptions
      readonly value: AnySerde
    },
    aggregation: TableAggregation<K, V, A>,
  ): KTable<K, A, Keyed, Gone> {
    const { draft } = this.#state
    const { prefix, kind, options, value } = step
    // Kafka Streams names the stores of all three after the aggregate.
    const store = draft.naming.store(PREFIX.tableAggregate, options.store)
    const source = this.#repartitioned(store, options.name)
    const node = draft.naming.step(prefix, options.name)
    const key = keySerde(source, node)
    const rows = storeOf<K, A>(store, { options, key, value })
    draft.addProcessor({
      spec: tableAggregate({ kind, name: node, rows }, aggregation),
      parents: [source.node],
      keyed: true,
    })
    return this.#tableOf({ ...valueChanged(source, node, value), rows: keptRows(rows) })
  }

  #repartitioned(store: string, name: string | undefined): StreamState {
    const { group } = this.#state
    const names = this.#state.draft.naming.tableRepartition(group ?? store, name)
    return throughRepartition(this.#state, names, {
      key: keySerde(this.#state, names.source),
      value: changeSerde(valueSerde(this.#state, names.source)),
      reused: group === undefined ? undefined : sourceBehind(this.#state, group),
    })
  }
}
