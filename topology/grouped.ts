/** A stream whose records are taken together by their key. */
import { aggregate, reduce, type Aggregation } from '../processors/aggregate.ts'
import { count } from '../processors/count.ts'
import type { SessionWindows } from '../processors/session-windows.ts'
import type { TimeWindows } from '../processors/time-windows.ts'
import { int64 } from '../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'
import { attachAggregate, skipDescribedCount, type AggregateStep } from './attach-aggregate.ts'
import type { Keyed, StreamFacts, ValueSerde } from './facts.ts'
import { PREFIX } from './naming.ts'
import type { AggregateOptions, CountOptions, ReduceOptions } from './options.ts'
import { valueSerde } from './requirements.ts'
import { SessionWindowedKStream } from './session-windowed.ts'
import { storeOf } from './store-step.ts'
import type { GroupState } from './stream-state.ts'
import { keptRows } from './table-rows.ts'
import { KTable, type MakeStream } from './table.ts'
import { TimeWindowedKStream } from './windowed.ts'

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
    skipDescribedCount(this.#state, options)
    return this.#keep<bigint, never>({
      prefix: PREFIX.aggregate,
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
    return this.#keep<V, null>({
      prefix: PREFIX.reduce,
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
    return this.#keep<A, null>({
      prefix: PREFIX.aggregate,
      options,
      value: () => options.value,
      specOf: (node, rows) => aggregate(node, rows, aggregation),
    })
  }

  /** The records cut into windows by their timestamps, each window to be put together by itself. */
  windowedBy(windows: TimeWindows): TimeWindowedKStream<K, V, F>
  /** The records cut into sessions by their timestamps, each session to be put together by itself. */
  windowedBy(windows: SessionWindows): SessionWindowedKStream<K, V, F>
  windowedBy(
    windows: TimeWindows | SessionWindows,
  ): TimeWindowedKStream<K, V, F> | SessionWindowedKStream<K, V, F> {
    return 'gapMs' in windows
      ? new SessionWindowedKStream(this.#state, windows, this.#streamOf)
      : new TimeWindowedKStream(this.#state, windows, this.#streamOf)
  }

  #keep<A, Gone extends null>(
    step: Omit<AggregateStep<KeyValueStoreSpec<K, A>>, 'rowsOf'>,
  ): KTable<K, A, Keyed, Gone> {
    const { options } = step
    const { state, rows } = attachAggregate<KeyValueStoreSpec<K, A>>(this.#state, {
      ...step,
      rowsOf: (store, serdes) => storeOf<K, A>(store, { options, ...serdes }),
    })
    return new KTable({ ...state, rows: keptRows(rows) }, this.#streamOf)
  }
}
