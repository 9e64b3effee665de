/** A stream whose records are taken together by their key and by windows of time. */
import type { Aggregation } from '../processors/aggregate.ts'
import type { TimeWindows } from '../processors/time-windows.ts'
import {
  windowAggregate,
  windowCount,
  windowReduce,
  type WindowAggregate,
} from '../processors/window-aggregate.ts'
import { int64 } from '../serdes/primitives.ts'
import { timeWindowed, type Windowed } from '../serdes/windowed.ts'
import type { WindowStoreSpec } from '../state/store.ts'
import { attachAggregate, skipDescribedCount, type AggregateStep } from './attach-aggregate.ts'
import type { Keyed, StreamFacts, ValueSerde } from './facts.ts'
import type { AnyProcessorSpec } from './graph.ts'
import { PREFIX } from './naming.ts'
import type {
  WindowedAggregateOptions,
  WindowedCountOptions,
  WindowedReduceOptions,
  WindowStoreStep,
} from './options.ts'
import { checkRetention, valueSerde } from './requirements.ts'
import { windowStoreOf } from './store-step.ts'
import { keyInWindow, type GroupState } from './stream-state.ts'
import { keptWindows } from './table-rows.ts'
import { KTable, type MakeStream } from './table.ts'

/**
 * What `windowedBy` answers: each of its steps is a table with a row for each key and window, updated
 * at every record. A record without key is dropped; one without value counts like any other.
 */
export class TimeWindowedKStream<K, V, F extends StreamFacts = StreamFacts> {
  /** Never set: carries V and F for inference. */
  readonly value?: V
  readonly facts?: F
  readonly #state: GroupState
  readonly #windows: TimeWindows
  readonly #streamOf: MakeStream

  /** Made by `windowedBy`, never by an author. */
  constructor(state: GroupState, windows: TimeWindows, streamOf: MakeStream) {
    this.#state = state
    this.#windows = windows
    this.#streamOf = streamOf
  }

  /** How many records each key has had in each window. */
  count(options: WindowedCountOptions = {}): KTable<Windowed<K>, bigint, Keyed, never> {
    skipDescribedCount(this.#state, options)
    return this.#keep<bigint, never>({
      prefix: PREFIX.aggregate,
      options,
      value: () => int64,
      specOf: (step) => windowCount<K, V>(step),
    })
  }

  /** What `reducer` makes of the records of each key and window: of the value so far and the next. The first value stands for itself; null removes the row. */
  reduce(
    this: ValueSerde<F>,
    reducer: (aggregate: V, value: V, key: K) => V | null,
    options?: WindowedReduceOptions<V>,
  ): KTable<Windowed<K>, V, Keyed>
  reduce(
    reducer: (aggregate: V, value: V, key: K) => V | null,
    options: WindowedReduceOptions<V> & Required<Pick<WindowedReduceOptions<V>, 'value'>>,
  ): KTable<Windowed<K>, V, Keyed>
  reduce(
    reducer: (aggregate: V, value: V, key: K) => V | null,
    options: WindowedReduceOptions<V> = {},
  ): KTable<Windowed<K>, V, Keyed> {
    return this.#keep<V, null>({
      prefix: PREFIX.reduce,
      options,
      value: (node) => valueSerde(this.#state, node, { given: options.value, option: 'value' }),
      specOf: (step) => windowReduce<K, V>(step, reducer),
    })
  }

  /** What `add` makes of the records of each key and window, beginning with `initial`. Null removes the row. */
  aggregate<A>(
    aggregation: Aggregation<K, V, A>,
    options: WindowedAggregateOptions<A>,
  ): KTable<Windowed<K>, A, Keyed> {
    return this.#keep<A, null>({
      prefix: PREFIX.aggregate,
      options,
      value: () => options.value,
      specOf: (step) => windowAggregate(step, aggregation),
    })
  }

  #keep<A, Gone extends null>(
    step: Pick<AggregateStep<WindowStoreSpec<K, A>>, 'prefix' | 'value'> & {
      readonly options: WindowStoreStep
      readonly specOf: (step: WindowAggregate<K, A>) => AnyProcessorSpec
    },
  ): KTable<Windowed<K>, A, Keyed, Gone> {
    const windows = this.#windows
    const { sizeMs } = windows
    const leastMs = sizeMs + windows.graceMs
    const { options, specOf } = step
    const { state, rows } = attachAggregate<WindowStoreSpec<K, A>>(this.#state, {
      ...step,
      rowsOf: (store, serdes) =>
        windowStoreOf<K, A>(store, { options, ...serdes }, { sizeMs, leastMs }),
      specOf: (name, store) => {
        checkRetention(this.#state, store, { leastMs, what: 'windows' })
        return specOf({ name, windows, rows: store })
      },
    })
    const out = keyInWindow(state, timeWindowed<K>(state.key, sizeMs))
    return new KTable({ ...out, rows: keptWindows(rows) }, this.#streamOf)
  }
}
