/** A stream's join with a table. */
import {
  streamTableJoin,
  streamTableLeftJoin,
  type StreamTableJoin,
} from '../processors/stream-table-join.ts'
import type { AnySerde } from './graph.ts'
import { PREFIX } from './naming.ts'
import { byKey, keepNullKeys } from './repartition.ts'
import { keySerde, parentsOf, valueSerde } from './requirements.ts'
import { valueChanged, type StreamState } from './stream-state.ts'
import type { TableState } from './table.ts'

/** What an author said about a join, whatever the types. */
export interface TableJoinWish {
  readonly name?: string
  readonly key?: AnySerde
  readonly left?: AnySerde
  readonly value?: AnySerde
}

/** Adds an inner join; the state of the stream that comes out. */
export function attachTableJoin<K, L, R, Out>(
  state: StreamState,
  table: TableState<K, R>,
  step: { readonly join: StreamTableJoin<K, L, R, Out>['join']; readonly wish: TableJoinWish },
): StreamState {
  const { join, wish } = step
  const { stream, name } = inPartitionsOf(table, state, { wish, prefix: PREFIX.join })
  const spec = streamTableJoin({ name, rows: table.rows.lookup(), join })
  state.draft.addProcessor({ spec, parents: [stream.node], keyed: true, lookups: [table.node] })
  return joined(stream, name, wish)
}

/** Adds a left join; the state of the stream that comes out. */
export function attachTableLeftJoin<K, L, R, Out>(
  state: StreamState,
  table: TableState<K, R>,
  step: {
    readonly join: StreamTableJoin<K, L, R | null, Out>['join']
    readonly wish: TableJoinWish
  },
): StreamState {
  const { join, wish } = step
  const { stream, name } = inPartitionsOf(table, state, { wish, prefix: PREFIX.leftJoin })
  const spec = streamTableLeftJoin({ name, rows: table.rows.lookup(), join })
  state.draft.addProcessor({ spec, parents: [stream.node], keyed: true, lookups: [table.node] })
  const out = joined(stream, name, wish)
  keepNullKeys(out)
  return out
}

/** The stream where the table's rows of its keys are, and the name of the join that stands there. */
function inPartitionsOf(
  table: StreamState,
  state: StreamState,
  { wish, prefix }: { readonly wish: TableJoinWish; readonly prefix: string },
): { readonly stream: StreamState; readonly name: string } {
  const { draft, node } = state
  const stream = byKey(state, () => ({
    prefix: wish.name ?? node,
    key: keySerde(state, wish.name ?? node, wish.key),
    value: valueSerde(state, wish.name ?? node, { given: wish.left, option: 'left' }),
    partitionBy: table.unchangedFrom?.partitionBy,
    reused: wish.name === undefined ? draft.joinSources.get(node) : undefined,
  }))
  if (stream !== state) draft.joinSources.set(node, stream.node)
  const name = draft.naming.step(prefix, wish.name)
  parentsOf(stream, table, name)
  return { stream, name }
}

function joined(stream: StreamState, name: string, { key, value }: TableJoinWish): StreamState {
  const state = valueChanged(stream, name, value)
  return key === undefined ? state : { ...state, key }
}
