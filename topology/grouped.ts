/** A stream whose records are taken together by their key. */
import { aggregate, reduce, type Aggregation } from '../processors/aggregate.ts'
import { count } from '../processors/count.ts'
import { int64 } from '../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'
import type { Keyed, StreamFacts, ValueSerde } from './facts.ts'
import type { AnyProcessorSpec, AnySerde } from './graph.ts'
import { PREFIX } from './naming.ts'
import type { AggregateOptions, CountOptions, ReduceOptions } from './options.ts'
import { byKey, sourceBehind } from './repartition.ts'
import { keySerde, valueSerde } from './requirements.ts'
import { storeOf } from './store-step.ts'
import { valueChanged, type GroupState, type StreamState } from './stream-state.ts'
import { keptRows } from './table-rows.ts'
import { KTable, type MakeStream } from './table.ts'

/** What `groupByKey` and `groupBy` answer. Its V is what the records carry. */
export class KGroupedStream<K, V, F extends StreamFacts = StreamFacts> {
  /** Never set: carries V and F for inference. */
  readonly value?: V
  readonly facts?: F
  readonly #state: GroupState
  readonly #streamOf: MakeStream

  /** Made by `groupByKey` and `groupBy`, never by an author. */
  constructor(state: GroupState, streamOf: MakeStream) {
    this.#state = state
    this.#streamOf = streamOf
  }

  /** How many records each key has had. Records without key or value do not count. */
  count(options: CountOptions = {}): KTable<K, bigint, Keyed, never> {
    // Kafka Streams takes an index for a store that was described but not named, then another for
    // the name it makes; an author's changelogs have to keep their names when a pipeline moves here.
    const isDescribed = options.persistent !== undefined || options.logged !== undefined
    if (options.store === undefined && isDescribed) this.#state.draft.naming.skip()
    return this.#keep<bigint, never>(PREFIX.aggregate, {
      options,
      value: () => int64,
      specOf: (node, rows) => count<K, V>(node, rows),
    })
  }

  /** What `reducer` makes of all records of each key: of the value so far and the next. The first value stands for itself; null removes the row. */
  reduce(
    this: ValueSerde<F>,
    reducer: (aggregate: V, value: V, key: K) => V | null,
    options?: ReduceOptions<V>,
  ): KTable<K, V, Keyed>
  reduce(
    reducer: (aggregate: V, value: V, key: K) => V | null,
    options: ReduceOptions<V> & Required<Pick<ReduceOptions<V>, 'value'>>,
  ): KTable<K, V, Keyed>
  reduce(
    reducer: (aggregate: V, value: V, key: K) => V | null,
    options: ReduceOptions<V> = {},
  ): KTable<K, V, Keyed> {
    return this.#keep<V, null>(PREFIX.reduce, {
      options,
      value: (node) => valueSerde(this.#state, node, { given: options.value, option: 'value' }),
      specOf: (node, rows) => reduce(node, rows, reducer),
    })
  }

  /** What `add` makes of all records of each key, beginning with `initial`. Null removes the row. */
  aggregate<A>(
    aggregation: Aggregation<K, V, A>,
    options: AggregateOptions<A>,
  ): KTable<K, A, Keyed> {
    return this.#keep<A, null>(PREFIX.aggregate, {
      options,
      value: () => options.value,
      specOf: (node, rows) => aggregate(node, rows, aggregation),
    })
  }

  #keep<A, Gone extends null>(
    prefix: string,
    step: {
      readonly options: CountOptions
      readonly value: (node: string) => AnySerde
      readonly specOf: (node: string, rows: KeyValueStoreSpec<K, A>) => AnyProcessorSpec
    },
  ): KTable<K, A, Keyed, Gone> {
    const { naming } = this.#state.draft
    const { options } = step
    const store = naming.store(prefix, options.store)
    const node = naming.step(prefix, options.name)
    const key = keySerde(this.#state, node)
    const value = step.value(node)
    const rows = storeOf<K, A>(store, { options, key, value })
    const state = this.#byKey(store, node)
    state.draft.addProcessor({
      spec: step.specOf(node, rows),
      parents: [state.node],
      keyed: true,
    })
    return new KTable(
      { ...valueChanged(state, node, value), key, rows: keptRows(rows) },
      this.#streamOf,
    )
  }

  /** The stream in the partitions of its keys: by way of a topic named after the group, else after the store. */
  #byKey(store: string, node: string): StreamState {
    const { group } = this.#state
    return byKey(this.#state, () => ({
      prefix: group ?? store,
      key: keySerde(this.#state, node),
      value: valueSerde(this.#state, node, { option: 'value' }),
      reused: group === undefined ? undefined : sourceBehind(this.#state, group),
    }))
  }
}
