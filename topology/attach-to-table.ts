/** A stream that becomes a table. */
import { tableSource } from '../processors/table-source.ts'
import { PREFIX } from './naming.ts'
import type { StoreStep } from './options.ts'
import type { AnySerde } from './graph.ts'
import { byKey } from './repartition.ts'
import { keySerde, valueSerde } from './requirements.ts'
import { storeOf } from './store-step.ts'
import { passed, type StreamState } from './stream-state.ts'
import { rowsOnDemand } from './table-rows.ts'
import type { TableState } from './table.ts'

/** Adds the table's step; its state. Its rows are kept where the author named a store, or once a later step needs them. */
export function attachToTable<K, V>(
  state: StreamState,
  step: StoreStep & { readonly key?: AnySerde; readonly value?: AnySerde },
): TableState<K, V> {
  const { draft } = state
  const node = draft.naming.step(PREFIX.toTable, step.name)
  const store = draft.naming.store(PREFIX.toTable, step.store)
  const key = keySerde(state, node, step.key)
  const value = valueSerde(state, node, { given: step.value, option: 'value' })
  const stream = byKey(state, () => ({ prefix: node, key, value }))
  const rows = storeOf<K, V>(store, { options: step, key, value })
  const isKept = step.store !== undefined
  const spec = tableSource(node, isKept ? rows : undefined)
  draft.addProcessor({ spec, parents: [stream.node], keyed: true })
  const keep = (): void => draft.replaceProcessor(tableSource(node, rows))
  return { ...passed(stream, node), key, value, rows: rowsOnDemand(rows, isKept, keep) }
}
