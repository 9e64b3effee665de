/**
 * A table while a topology is being declared: the latest value of each key. Like a stream it is a
 * value. Its steps see rows, never a removal; `toStream` shows removals as null.
 */
import { tableFilter } from '../processors/table-filter.ts'
import { tableMapValues } from '../processors/table-map-values.ts'
import { toStream } from '../processors/to-stream.ts'
import type { Passed, StreamFacts, ValueChanged } from './facts.ts'
import type { AnyProcessorSpec } from './graph.ts'
import { PREFIX } from './naming.ts'
import type { Named, ValueStep } from './options.ts'
import type { KStream } from './stream.ts'
import { passed, valueChanged, type StreamState } from './stream-state.ts'

/** Makes a stream of a state. Handed in, because streams make tables and would have to be known here. */
export type MakeStream = <K, V, F extends StreamFacts>(state: StreamState) => KStream<K, V, F>

/** Rows with keys K and values V. Gone is null where rows can be removed, never where they cannot; F as for KStream. */
export class KTable<K, V, F extends StreamFacts = StreamFacts, Gone extends null = null> {
  readonly #state: StreamState
  readonly #streamOf: MakeStream

  /** Made by the builder and by steps, never by an author. */
  constructor(state: StreamState, streamOf: MakeStream) {
    this.#state = state
    this.#streamOf = streamOf
  }

  /** The rows for which `keep` answers true. An update to any other is a removal. */
  filter(keep: (value: V, key: K) => boolean, { name }: Named = {}): KTable<K, V, Passed<F>, null> {
    const node = this.#add(tableFilter(this.#name(PREFIX.tableFilter, name), keep))
    return new KTable(passed(this.#state, node), this.#streamOf)
  }

  /** Each row with the value that `mapper` answers. */
  mapValues<W, O extends ValueStep<W> = Named>(
    mapper: (value: V, key: K) => W,
    options?: O & ValueStep<W>,
  ): KTable<K, W, ValueChanged<F, O>, Gone> {
    const node = this.#add(tableMapValues(this.#name(PREFIX.tableMapValues, options?.name), mapper))
    return new KTable(valueChanged(this.#state, node, options?.value), this.#streamOf)
  }

  /** Every update of a row as a record; null where the row was removed. */
  toStream({ name }: Named = {}): KStream<K, V | Gone, Passed<F>> {
    const node = this.#add(toStream(this.#name(PREFIX.toStream, name)))
    return this.#streamOf(passed(this.#state, node))
  }

  #name(prefix: string, given?: string): string {
    return this.#state.draft.naming.step(prefix, given)
  }

  #add(spec: AnyProcessorSpec): string {
    this.#state.draft.addProcessor({ spec, parents: [this.#state.node] })
    return spec.name
  }
}
