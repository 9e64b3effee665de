/** A stream whose records are taken together by their key and by sessions. */
import {
  sessionAggregate,
  sessionCount,
  sessionReduce,
  type SessionAggregate,
  type SessionAggregation,
} from '../processors/session-aggregate.ts'
import type { SessionWindows } from '../processors/session-windows.ts'
import { int64 } from '../serdes/primitives.ts'
import { sessionWindowed, type Windowed } from '../serdes/windowed.ts'
import type { SessionStoreSpec } from '../state/store.ts'
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
import { sessionStoreOf } from './store-step.ts'
import { keyInWindow, type GroupState } from './stream-state.ts'
import { keptSessions } from './table-rows.ts'
import { KTable, type MakeStream } from './table.ts'

/**
 * What `windowedBy(sessions(…))` answers: each of its steps is a table with a row for each key and
 * session. A record that makes a session longer, or joins two, removes their rows and puts a new one.
 * A record without key is dropped; one without value counts like any other.
 */
export class SessionWindowedKStream<K, V, F extends StreamFacts = StreamFacts> {
  /** Never set: carries V and F for inference. */
  readonly value?: V
  readonly facts?: F
  readonly #state: GroupState
  readonly #windows: SessionWindows
  readonly #streamOf: MakeStream

  /** Made by `windowedBy`, never by an author. */
  constructor(state: GroupState, windows: SessionWindows, streamOf: MakeStream) {
    this.#state = state
    this.#windows = windows
    this.#streamOf = streamOf
  }

  /** How many records each session has had. */
  count(options: WindowedCountOptions = {}): KTable<Windowed<K>, bigint, Keyed> {
    skipDescribedCount(this.#state, options)
    return this.#keep<bigint>({
      prefix: PREFIX.aggregate,
      options,
      value: () => int64,
      specOf: (step) => sessionCount<K, V>(step),
    })
  }

  /** What `reducer` makes of the records of each session. The first value stands for itself; null removes the row. */
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
    return this.#keep<V>({
      prefix: PREFIX.reduce,
      options,
      value: (node) => valueSerde(this.#state, node, { given: options.value, option: 'value' }),
      specOf: (step) => sessionReduce<K, V>(step, reducer),
    })
  }

  /** What `add` makes of the records of each session, beginning with `initial` and with what `merge` makes of the sessions that a record joins. Null removes the row. */
  aggregate<A>(
    aggregation: SessionAggregation<K, V, A>,
    options: WindowedAggregateOptions<A>,
  ): KTable<Windowed<K>, A, Keyed> {
    return this.#keep<A>({
      prefix: PREFIX.aggregate,
      options,
      value: () => options.value,
      specOf: (step) => sessionAggregate(step, aggregation),
    })
  }

  #keep<A>(
    step: Pick<AggregateStep<SessionStoreSpec<K, A>>, 'prefix' | 'value'> & {
      readonly options: WindowStoreStep
      readonly specOf: (step: SessionAggregate<K, A>) => AnyProcessorSpec
    },
  ): KTable<Windowed<K>, A, Keyed> {
    const windows = this.#windows
    const leastMs = windows.gapMs + windows.graceMs
    const { options, specOf } = step
    const { state, rows } = attachAggregate<SessionStoreSpec<K, A>>(this.#state, {
      ...step,
      rowsOf: (store, serdes) => sessionStoreOf<K, A>(store, { options, ...serdes }, leastMs),
      specOf: (name, store) => {
        checkRetention(this.#state, store, { leastMs, what: 'sessions' })
        return specOf({ name, windows, rows: store })
      },
    })
    const out = keyInWindow(state, sessionWindowed<K>(state.key))
    return new KTable({ ...out, rows: keptSessions(rows) }, this.#streamOf)
  }
}
