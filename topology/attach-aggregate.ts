/** A step that makes one value of all records of a key, with windows or without. */
import type { StoreSpec } from '../state/store.ts'
import type { AnyProcessorSpec, AnySerde } from './graph.ts'
import type { StoreStep } from './options.ts'
import { byKey, sourceBehind } from './repartition.ts'
import { keySerde, valueSerde } from './requirements.ts'
import { valueChanged, type GroupState, type StreamState } from './stream-state.ts'

/** The step as its kind declares it. */
export interface AggregateStep<Rows extends StoreSpec> {
  /** Of the step's name and its store's. */
  readonly prefix: string
  readonly options: StoreStep
  /** The serde of the rows. `node` is the step, for what is missing. */
  readonly value: (node: string) => AnySerde
  readonly rowsOf: (store: string, serdes: { key: AnySerde; value: AnySerde }) => Rows
  readonly specOf: (node: string, rows: Rows) => AnyProcessorSpec
}

/** Adds the step; the state of what comes out, its key as it went in, and the store of its rows. */
export function attachAggregate<Rows extends StoreSpec>(
  group: GroupState,
  step: AggregateStep<Rows>,
): { readonly state: StreamState & { readonly key: AnySerde }; readonly rows: Rows } {
  const { naming } = group.draft
  const { prefix, options } = step
  const store = naming.store(prefix, options.store)
  const node = naming.step(prefix, options.name)
  const key = keySerde(group, node)
  const value = step.value(node)
  const rows = step.rowsOf(store, { key, value })
  const state = inPartitionsOfKeys(group, store, node)
  state.draft.addProcessor({
    spec: step.specOf(node, rows),
    parents: [state.node],
    keyed: true,
  })
  return { state: { ...valueChanged(state, node, value), key }, rows }
}

/** The records in the partitions of their keys: by way of a topic named after the group, else after the store. */
function inPartitionsOfKeys(state: GroupState, store: string, node: string): StreamState {
  const { group } = state
  return byKey(state, () => ({
    prefix: group ?? store,
    key: keySerde(state, node),
    value: valueSerde(state, node, { option: 'value' }),
    reused: group === undefined ? undefined : sourceBehind(state, group),
  }))
}

/**
 * Takes the index that Kafka Streams takes for a count's store that was described but not named,
 * before another for the name it makes: an author's changelogs have to keep their names when a
 * pipeline moves here.
 */
export function skipDescribedCount(group: GroupState, options: StoreStep): void {
  const { name: _, store, ...described } = options
  const isDescribed = Object.values<unknown>(described).some((wish) => wish !== undefined)
  if (store === undefined && isDescribed) group.draft.naming.skip()
}
