/**
 * Repartition topics: where a step changed the key, records of one key are in several partitions, and
 * the next step by key has them written to a topic of the application's own and read again, each from
 * the partition of its key. As in Kafka Streams this comes in only when a step asks for it, and a
 * stream that is grouped twice goes through two topics, unless its author named the one.
 */
import { isTopicName } from '../model/position.ts'
import { repartitionFilter } from '../processors/repartition-filter.ts'
import type { Draft } from './draft.ts'
import type { AnySerde, GraphNode, PartitionBy } from './graph.ts'
import { repartitionTopic, type RepartitionNames } from './naming.ts'
import type { StreamState } from './stream-state.ts'
import { parentsOf } from './walk.ts'

/** What goes through a repartition topic, and how. */
export interface RepartitionOptions {
  readonly key: AnySerde
  readonly value: AnySerde
  readonly partitions?: number | undefined
  readonly partitionBy?: PartitionBy | undefined
  /** The source of an older repartition topic behind the same step, to be used again. */
  readonly reused?: string | undefined
}

/** A repartition topic as a step asks for it: `<prefix>-repartition`. */
export interface RepartitionWish extends RepartitionOptions {
  readonly prefix: string
}

/** Sends the records through a repartition topic; the state of the stream that comes out. */
export function repartitioned(state: StreamState, wish: RepartitionWish): StreamState {
  return throughRepartition(state, state.draft.naming.repartition(wish.prefix), wish)
}

/** Sends the records through the repartition topic of these names. */
export function throughRepartition(
  state: StreamState,
  names: RepartitionNames,
  options: RepartitionOptions,
): StreamState {
  const { key, value, partitionBy } = options
  const source = options.reused ?? attach(state, names, options)
  return {
    ...state,
    node: source,
    key,
    value,
    keyChangedBy: undefined,
    unchangedFrom: { source, partitionBy },
    topic: undefined,
  }
}

/** The stream as a step by key needs it: through a repartition topic where a step changed the key. `wish` is asked only then. */
export function byKey(state: StreamState, wish: () => RepartitionWish): StreamState {
  return state.keyChangedBy === undefined ? state : repartitioned(state, wish())
}

/** The source of the repartition topic of that name, if it stands behind this very stream. */
export function sourceBehind({ draft, node }: StreamState, prefix: string): string | undefined {
  const { nodes } = draft
  const topic = repartitionTopic(prefix)
  const sink = nodes.find((each) => each.kind === 'sink' && each.topic === topic)
  if (sink === undefined) return undefined
  const above = nodesAbove(sink, draft).flatMap((each) => [each.name, ...parentsOf(each)])
  if (!above.includes(node)) return undefined
  return nodes.find((each) => each.kind === 'source' && each.topics.some((read) => read === topic))
    ?.name
}

/** Both sides of a join in partitions that are chosen alike: one whose key was changed goes through a topic named after the join. */
export function inEqualPartitions(
  [left, right]: readonly [StreamState, StreamState],
  join: string,
  serdes: { readonly key: AnySerde; readonly left: AnySerde; readonly right: AnySerde },
): readonly [StreamState, StreamState] {
  const { key } = serdes
  const here = byKey(left, () => ({
    prefix: `${join}-left`,
    key,
    value: serdes.left,
    partitionBy: right.unchangedFrom?.partitionBy,
  }))
  const there = byKey(right, () => ({
    prefix: `${join}-right`,
    key,
    value: serdes.right,
    partitionBy: left.unchangedFrom?.partitionBy,
  }))
  return [here, there]
}

/** Lets records without a key through the repartition topics above `node`: a left join that stands there emits them. */
export function keepNullKeys({ draft, node }: StreamState): void {
  const seen = new Set(draft.nodes.filter(({ name }) => name === node))
  for (const at of seen) {
    // A set hands out what is added while it is walked.
    for (const above of nodesAbove(at, draft)) seen.add(above)
    if (at.kind !== 'processor' || at.spec.kind !== 'repartitionFilter') continue
    draft.replaceProcessor(repartitionFilter(at.name, { keepsNullKeys: true }))
  }
}

/** Adds the topic and its nodes; the name of its source. */
function attach(
  { draft, node }: StreamState,
  names: RepartitionNames,
  options: RepartitionOptions,
): string {
  const { key, value, partitions, partitionBy } = options
  const { topic, filter, sink, source } = names
  checkPartitions(draft, names, partitions)
  const partitioning = partitionBy === undefined ? {} : { partitionBy }
  if (filter !== undefined) {
    const spec = repartitionFilter(filter, { keepsNullKeys: false })
    draft.addProcessor({ spec, parents: [node] })
  }
  draft.addSink({ name: sink, topic, parents: [filter ?? node], key, value, ...partitioning })
  draft.addSource({ name: source, topics: [topic], key, value, ...partitioning })
  if (isTopicName(topic)) {
    draft.addRepartition({ topic, ...(partitions === undefined ? {} : { partitions }) })
  }
  return source
}

function checkPartitions(draft: Draft, names: RepartitionNames, partitions = 1): void {
  if (Number.isSafeInteger(partitions) && partitions > 0) return
  draft.report({
    code: 'MILLRACE_TOPOLOGY_ILLEGAL_PARTITIONS',
    place: names.topic,
    message: `a topic cannot have ${partitions} partitions. Give a whole number from 1, or leave it out`,
  })
}

/** The nodes that a node's records come from, also by way of a repartition topic. */
function nodesAbove(node: GraphNode, { nodes, repartitions }: Draft): readonly GraphNode[] {
  if (node.kind !== 'source') {
    const parents = parentsOf(node)
    return nodes.filter(({ name }) => parents.includes(name))
  }
  const own = node.topics.filter((read) => repartitions.some(({ topic }) => topic === read))
  return nodes.filter((each) => each.kind === 'sink' && own.includes(each.topic))
}
