/**
 * A table while a topology is being declared: the latest value of each key. Like a stream it is a
 * value. Its steps see rows, never a removal; `toStream` shows removals as null.
 */
import { filteredRows, mappedRows } from '../processors/row-lookup.ts'
import { tableFilter } from '../processors/table-filter.ts'
import { tableMapValues } from '../processors/table-map-values.ts'
import { tableSelect } from '../processors/table-select.ts'
import { toStream } from '../processors/to-stream.ts'
import type { Passed, StreamFacts, ValueChanged } from './facts.ts'
import type { AnyProcessorSpec } from './graph.ts'
import { KGroupedTable } from './grouped-table.ts'
import { PREFIX } from './naming.ts'
import type { GroupTableOptions, Named, ValueStep } from './options.ts'
import type { KStream } from './stream.ts'
import { bothChanged, passed, valueChanged, type StreamState } from './stream-state.ts'
import { derivedRows, type TableRows } from './table-rows.ts'

/** Makes a stream of a state. Handed in, because streams make tables and would have to be known here. */
export type MakeStream = <K, V, F extends StreamFacts>(state: StreamState) => KStream<K, V, F>

/** What is known of a table while it is declared. */
export interface TableState<K, V> extends StreamState {
  readonly rows: TableRows<K, V>
}

/** Rows with keys K and values V. Gone is null where rows can be removed, never where they cannot; F as for KStream. */
export class KTable<K, V, F extends StreamFacts = StreamFacts, Gone extends null = null> {
  readonly #state: TableState<K, V>
  readonly #streamOf: MakeStream

  /** Made by the builder and by steps, never by an author. */
  constructor(state: TableState<K, V>, streamOf: MakeStream) {
    this.#state = state
    this.#streamOf = streamOf
  }

  /** The table as steps that join it are attached to it. For steps, never for an author. */
  get state(): TableState<K, V> {
    return this.#state
  }

  /** The rows for which `keep` answers true. An update to any other is a removal. */
  filter(keep: (value: V, key: K) => boolean, { name }: Named = {}): KTable<K, V, Passed<F>, null> {
    const { draft, rows: all } = this.#state
    const node = this.#name(PREFIX.tableFilter, name)
    // A table that knows what it replaces spares removals of what was never there; none is made to know for that.
    const hasOld = all.oldValues(false)
    const specOf = (withOld: boolean) => tableFilter(node, keep, { hasOld: withOld })
    this.#add(specOf(hasOld))
    const lookup = (rows: ReturnType<typeof all.lookup>) => filteredRows(rows, keep)
    const rows = derivedRows(all, { draft, lookup, specOf, hasOld })
    return new KTable({ ...passed(this.#state, node), rows }, this.#streamOf)
  }

  /** Each row with the value that `mapper` answers. */
  mapValues<W, O extends ValueStep<W> = Named>(
    mapper: (value: V, key: K) => W,
    options?: O & ValueStep<W>,
  ): KTable<K, W, ValueChanged<F, O>, Gone> {
    const { draft, rows: all } = this.#state
    const node = this.#name(PREFIX.tableMapValues, options?.name)
    const specOf = (hasOld: boolean) => tableMapValues(node, mapper, { hasOld })
    this.#add(specOf(false))
    const lookup = (rows: ReturnType<typeof all.lookup>) => mappedRows(rows, mapper)
    const rows = derivedRows(all, { draft, lookup, specOf, hasOld: false })
    return new KTable({ ...valueChanged(this.#state, node, options?.value), rows }, this.#streamOf)
  }

  /** The rows by another key and with the values that `select` answers, to be put together by it. A row with a null key or value is in no group. */
  groupBy<L, W>(
    select: (value: V, key: K) => readonly [L, W],
    options: GroupTableOptions<L, W>,
  ): KGroupedTable<L, W> {
    const { name, key, value } = options
    const node = this.#name(PREFIX.tableSelect, name)
    this.#add(tableSelect({ name: node, select, key }))
    this.#state.rows.oldValues(true)
    return new KGroupedTable(
      { ...bothChanged(this.#state, node, { key, value }), group: name },
      (state) => new KTable(state, this.#streamOf),
    )
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

/** A table whether or not its rows can be removed. */
export type AnyTable<K, V> = KTable<K, V, StreamFacts, null> | KTable<K, V, StreamFacts, never>
