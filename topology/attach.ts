/** The ends of a topology that are topics: what a source begins with, and what a sink ends. */
import type { AnySerde, PartitionBy, TimestampExtractor } from './graph.ts'
import type { Draft, SourceDraft } from './draft.ts'
import { PREFIX } from './naming.ts'
import { keySerde, valueSerde } from './requirements.ts'
import type { StreamState } from './stream-state.ts'

/** Adds a source; the state of the stream that begins there. */
export function attachSource(draft: Draft, source: SourceDraft): StreamState {
  draft.addSource(source)
  return {
    draft,
    node: source.name,
    key: source.key,
    value: source.value,
    keyChangedBy: undefined,
    unchangedFrom: { source: source.name, partitionBy: source.partitionBy },
    topic: source.topics[0] ?? '',
    payload: undefined,
  }
}

/** What an author said about a sink, whatever the types. */
export interface SinkWish {
  readonly name?: string
  readonly key?: AnySerde
  readonly value?: AnySerde
  readonly partitionBy?: PartitionBy
}

/** Adds a sink; the serdes it writes with. */
export function attachSink(
  state: StreamState,
  topic: string,
  { name: given, key, value, partitionBy }: SinkWish,
): { readonly key: AnySerde; readonly value: AnySerde } {
  const { draft, node, unchangedFrom: origin } = state
  const name = draft.naming.step(PREFIX.sink, given)
  const serdes = {
    key: keySerde(state, name, key),
    value: valueSerde(state, name, { given: value, option: 'value' }),
  }
  draft.addSink({
    name,
    topic,
    parents: [node],
    ...serdes,
    ...(partitionBy === undefined ? {} : { partitionBy }),
    ...(origin === undefined ? {} : { keyUnchangedFrom: origin.source }),
    ...(origin?.partitionBy === undefined ? {} : { inheritedPartitionBy: origin.partitionBy }),
  })
  return serdes
}

/** Adds a sink and a source of its topic; the state of the stream that begins there. */
export function attachThrough(
  state: StreamState,
  topic: string,
  wish: SinkWish & { readonly timestamp?: TimestampExtractor },
): StreamState {
  const serdes = attachSink(state, topic, wish)
  const { timestamp, partitionBy = state.unchangedFrom?.partitionBy } = wish
  return attachSource(state.draft, {
    name: state.draft.naming.step(PREFIX.source),
    topics: [topic],
    ...serdes,
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(partitionBy === undefined ? {} : { partitionBy }),
  })
}
