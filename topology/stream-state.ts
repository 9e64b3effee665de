/** What is known of a stream or table while a topology is being declared, and what each kind of step does to it. */
import type { SerdeUse } from '../processors/processor.ts'
import type { Windowed } from '../serdes/windowed.ts'
import type { Draft } from './draft.ts'
import type { AnySerde, PartitionBy } from './graph.ts'

/** The end of a declared chain of steps: where the next one is attached. */
export interface StreamState {
  readonly draft: Draft
  /** The name of the node whose output this is. */
  readonly node: string
  readonly key: AnySerde | undefined
  readonly value: AnySerde | undefined
  /** The first step since the topic that changed the key. */
  readonly keyChangedBy: string | undefined
  /** The source whose key the records still have, partition included. */
  readonly unchangedFrom: Origin | undefined
  /** The topic, where records are as it has them: no step stands between. */
  readonly topic: string | undefined
  /** Where values are references: the serde and topic of what they stand for. */
  readonly payload: SerdeUse | undefined
}

/** A source, as far as a sink that keeps its keys has to know it. */
export interface Origin {
  readonly source: string
  readonly partitionBy: PartitionBy | undefined
}

/** Behind a step that hands on what it gets. */
export function passed(state: StreamState, node: string): StreamState {
  return { ...state, node, topic: undefined }
}

/** Behind a step that changes the value. */
export function valueChanged(
  state: StreamState,
  node: string,
  value: AnySerde | undefined,
): StreamState {
  return { ...passed(state, node), value, payload: undefined }
}

/** Behind a step that changes the key: its partition is then not where its key belongs. */
export function keyChanged(
  state: StreamState,
  node: string,
  key: AnySerde | undefined,
): StreamState {
  return {
    ...passed(state, node),
    key,
    keyChangedBy: state.keyChangedBy ?? node,
    unchangedFrom: undefined,
  }
}

/** Behind a step that puts keys into windows: each stays in its partition, and a sink that has to choose one goes by the key alone. */
export function keyInWindow(state: StreamState, key: AnySerde): StreamState {
  const origin = state.unchangedFrom
  const partitionBy = origin?.partitionBy
  if (origin === undefined || partitionBy === undefined) return { ...state, key }
  const ofKey: PartitionBy<Windowed<unknown>> = (windowed) => partitionBy(windowed.key)
  return { ...state, key, unchangedFrom: { ...origin, partitionBy: ofKey } }
}

/** Behind a step that changes both. */
export function bothChanged(
  state: StreamState,
  node: string,
  serdes: { readonly key?: AnySerde; readonly value?: AnySerde } = {},
): StreamState {
  return keyChanged(valueChanged(state, node, serdes.value), node, serdes.key)
}

/** A stream that is grouped; `group` names the repartition topic, if its author did. */
export interface GroupState extends StreamState {
  readonly group: string | undefined
}

/** A stream grouped with these options. */
export function grouped(
  state: StreamState,
  {
    name,
    key = state.key,
    value = state.value,
  }: {
    readonly name?: string
    readonly key?: AnySerde | undefined
    readonly value?: AnySerde | undefined
  },
): GroupState {
  return { ...state, key, value, group: name }
}

/** Behind a step that takes records of both: what they agree on. */
export function agreed(a: StreamState, b: StreamState, node: string): StreamState {
  return {
    draft: a.draft,
    node,
    key: same(a.key, b.key),
    value: same(a.value, b.value),
    keyChangedBy: a.keyChangedBy ?? b.keyChangedBy,
    unchangedFrom:
      a.unchangedFrom?.source === b.unchangedFrom?.source ? a.unchangedFrom : undefined,
    topic: undefined,
    payload:
      a.payload?.topic === b.payload?.topic && a.payload?.serde === b.payload?.serde
        ? a.payload
        : undefined,
  }
}

function same<T>(a: T, b: T): T | undefined {
  return a === b ? a : undefined
}
