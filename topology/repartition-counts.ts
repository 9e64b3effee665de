/**
 * How many partitions repartition topics get. Source of the rules: RepartitionTopics and
 * CopartitionedTopicsEnforcer of Kafka Streams. A topic whose author gave a number has that many;
 * any other as many as the largest source of the sub-topology that writes it. Then those that a step
 * by key brings together are made equal: to the author's own topics among them, else to a number
 * that an author gave, else to the largest. What does not fit after that is found by checkPartitions.
 */
import type { Topic } from '../model/position.ts'
import { Groups } from './groups.ts'
import type { RepartitionTopic, Topology } from './graph.ts'
import { keyedNodes } from './validate.ts'
import { copartitionedSources } from './walk.ts'

/** The partitions of every repartition topic, by topic, on a log whose topics have `counts`. One whose sources do not exist is left out. */
export function repartitionCounts(
  topology: Topology,
  counts: ReadonlyMap<string, number>,
): ReadonlyMap<Topic, number> {
  const { repartitions } = topology
  const found = new Map<Topic, number>()
  for (const { topic, partitions } of repartitions) {
    if (partitions !== undefined) found.set(topic, partitions)
  }
  countBySources(topology, counts, found)
  for (const group of copartitioned(topology)) makeEqual(group, { repartitions, counts, found })
  return found
}

/** Fills in numbers until nothing is left or nothing more can be known. */
function countBySources(
  { repartitions, subtopologies }: Topology,
  counts: ReadonlyMap<string, number>,
  found: Map<Topic, number>,
): void {
  const countOf = (topic: Topic): number | undefined => found.get(topic) ?? counts.get(topic)
  // Topics whose sources are all known come first; in a circle the known ones have to do.
  for (const needsAll of [true, false]) {
    for (let before = -1; before < found.size;) {
      before = found.size
      for (const { topic } of repartitions.filter((each) => !found.has(each.topic))) {
        const writers = subtopologies.filter(({ nodes }) =>
          nodes.some((node) => node.kind === 'sink' && node.topic === topic),
        )
        const sources = writers.flatMap(({ sourceTopics }) => sourceTopics)
        const others = sources.filter((source) => source !== topic).map(countOf)
        const known = others.filter((count) => count !== undefined)
        if (known.length === 0 || (needsAll && known.length < others.length)) continue
        found.set(topic, Math.max(...known))
      }
    }
  }
}

/** The topics that have to have as many partitions, put together where they share one. */
function copartitioned(topology: Topology): readonly (readonly Topic[])[] {
  const groups = new Groups()
  const topics = new Set<Topic>()
  for (const node of keyedNodes(topology.nodes)) {
    const read = copartitionedSources(node, topology.nodes).flatMap((source) => source.topics)
    for (const topic of read) {
      topics.add(topic)
      groups.unite(topic, read[0] ?? topic)
    }
  }
  return [...Map.groupBy(topics, (topic) => groups.rootOf(topic)).values()]
}

function makeEqual(
  group: readonly Topic[],
  {
    repartitions,
    counts,
    found,
  }: {
    readonly repartitions: readonly RepartitionTopic[]
    readonly counts: ReadonlyMap<string, number>
    readonly found: Map<Topic, number>
  },
): void {
  const own = repartitions.filter(({ topic }) => group.includes(topic))
  const given = group.filter((topic) => own.every((each) => each.topic !== topic))
  const wanted =
    given.map((topic) => counts.get(topic)).find((count) => count !== undefined) ??
    own.map(({ partitions }) => partitions).find((count) => count !== undefined) ??
    Math.max(...own.map(({ topic }) => found.get(topic) ?? 0))
  for (const { topic, partitions } of own) {
    if (partitions === undefined && found.has(topic)) found.set(topic, wanted)
  }
}
