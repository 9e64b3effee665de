/** Two streams, joined within a window of time. */
import { joinWindows, retentionMs, widthMs, type JoinWindows } from '../processors/join-windows.ts'
import {
  streamJoin,
  type StreamJoinFunctions,
  type StreamJoinStores,
} from '../processors/stream-join.ts'
import { unjoinedKey, unjoinedValues } from '../processors/unjoined-serde.ts'
import type { Serde } from '../serdes/serde.ts'
import type { AnySerde } from './graph.ts'
import type { StoreStep } from './options.ts'
import { byKey, keepNullKeys } from './repartition.ts'
import { keySerde, parentsOf, valueSerde } from './requirements.ts'
import { storeOf } from './store-step.ts'
import { streamJoinNames, type JoinKind } from './stream-join-names.ts'
import { valueChanged, type StreamState } from './stream-state.ts'

/** What an author said about a join, whatever the types. */
export interface StreamJoinWish extends StoreStep {
  readonly windows?: JoinWindows
  readonly key?: AnySerde
  readonly left?: AnySerde
  readonly right?: AnySerde
  readonly value?: AnySerde
}

/** What an author asked for: how two values become one, and how one that met nobody does, where it is not left out. */
export type StreamJoinCall<K, L, R, Out> = StreamJoinFunctions<K, L, R, Out> & {
  readonly wish: StreamJoinWish
}

/** Adds the join; the state of the stream that comes out. Asserts that a window is given. */
export function attachStreamJoin<K, L, R, Out>(
  sides: readonly [StreamState, StreamState],
  step: StreamJoinCall<K, L, R, Out>,
): StreamState {
  const { wish, ...functions } = step
  if (wish.windows === undefined) {
    throw new TypeError('a join of two streams needs { windows: joinWindows(…) }')
  }
  // Once more, for a window that an author wrote by hand.
  const windows = joinWindows(0, wish.windows)
  const [here, there] = inPartitionsOfKeys(sides, wish)
  const { draft } = here
  const kind = kindOf(functions)
  const { steps: names, stores: storeNames } = streamJoinNames(draft.naming, kind, wish)
  const serdes = {
    key: keySerde(here, names.merge, wish.key),
    left: valueSerde(here, names.merge, { given: wish.left, option: 'left' }),
    right: valueSerde(there, names.merge, { given: wish.right, option: 'right' }),
  }
  const { key } = serdes
  const stores = storesOf<K, L, R>(storeNames, serdes, { kind, windows, options: wish })
  const steps = streamJoin<K, L, R, Out>({ ...functions, names, key, windows, stores })
  const [left = here.node, right = left] = parentsOf(here, there, names.merge)
  draft.addProcessor({ spec: steps.leftWindow, parents: [left] })
  draft.addProcessor({ spec: steps.rightWindow, parents: [right] })
  draft.addProcessor({ spec: steps.leftJoin, parents: [names.leftWindow] })
  draft.addProcessor({ spec: steps.rightJoin, parents: [names.rightWindow] })
  // Here both sides are upstream: that they are partitioned alike is looked at where they meet.
  const parents = [names.leftJoin, names.rightJoin]
  draft.addProcessor({ spec: steps.merge, parents, keyed: true })
  const out = { ...valueChanged(here, names.merge, wish.value), key }
  if (kind !== 'inner') keepNullKeys(out)
  return out
}

function kindOf<K, L, R, Out>(functions: StreamJoinFunctions<K, L, R, Out>): JoinKind {
  if (functions.leftAlone === undefined) return 'inner'
  return functions.rightAlone === undefined ? 'left' : 'outer'
}

/** Both sides where the records of their keys meet: one whose key was changed goes through a repartition topic. */
function inPartitionsOfKeys(
  [left, right]: readonly [StreamState, StreamState],
  wish: StreamJoinWish,
): readonly [StreamState, StreamState] {
  return [
    inPartitionOfKey(left, right, { wish, side: 'left' }),
    inPartitionOfKey(right, left, { wish, side: 'right' }),
  ]
}

function inPartitionOfKey(
  state: StreamState,
  other: StreamState,
  { wish, side }: { readonly wish: StreamJoinWish; readonly side: 'left' | 'right' },
): StreamState {
  const { draft, node } = state
  const prefix = wish.name === undefined ? node : `${wish.name}-${side}`
  const found = byKey(state, () => ({
    prefix,
    key: keySerde(state, prefix, wish.key),
    value: valueSerde(state, prefix, { given: wish[side], option: side }),
    partitionBy: other.unchangedFrom?.partitionBy,
    reused: wish.name === undefined ? draft.joinSources.get(node) : undefined,
  }))
  if (found !== state) draft.joinSources.set(node, found.node)
  return found
}

function storesOf<K, L, R>(
  names: { readonly left: string; readonly right: string; readonly unjoined: string },
  serdes: { readonly key: Serde<K>; readonly left: Serde<L>; readonly right: Serde<R> },
  {
    kind,
    windows,
    options,
  }: { readonly kind: JoinKind; readonly windows: JoinWindows; readonly options: StoreStep },
): StreamJoinStores<K, L, R> {
  const { key, left, right } = serdes
  const times = { retentionMs: retentionMs(windows), windowMs: widthMs(windows) }
  const kept = {
    left: {
      ...storeOf(names.left, { options, key, value: left }),
      ...times,
      kind: 'join-window' as const,
    },
    right: {
      ...storeOf(names.right, { options, key, value: right }),
      ...times,
      kind: 'join-window' as const,
    },
  }
  if (kind === 'inner') return kept
  const waiting = {
    options,
    key: unjoinedKey(key),
    value: unjoinedValues<L, R>({ left, right: kind === 'outer' ? right : undefined }),
  }
  return { ...kept, unjoined: storeOf(names.unjoined, waiting) }
}
