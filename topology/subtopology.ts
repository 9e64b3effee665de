/**
 * Which nodes run together. Records between two nodes, or a store that both use, put them into one
 * sub-topology; a topic between them does not. The ids go by each one's first declared node, as in
 * Kafka Streams.
 */
import type { Topic } from '../model/position.ts'
import { Groups } from './groups.ts'
import type { GraphNode, Subtopology, TopologyStore } from './graph.ts'

/** The connected parts of a graph, in the order of their ids. */
export function subtopologiesOf(
  nodes: readonly GraphNode[],
  stores: readonly TopologyStore[],
): readonly Subtopology[] {
  const groups = new Groups()
  for (const node of nodes) {
    if (node.kind !== 'source') for (const parent of node.parents) groups.unite(node.name, parent)
  }
  for (const { processors } of stores) {
    for (const processor of processors) groups.unite(processor, processors[0] ?? processor)
  }
  const members = Map.groupBy(nodes, (node) => groups.rootOf(node.name))
  return [...members.entries()].map(([root, group], id) =>
    Object.freeze({
      id,
      nodes: Object.freeze(group),
      sourceTopics: Object.freeze(group.flatMap((node) => topicsOf(node))),
      stores: Object.freeze(
        stores.filter(({ processors }) => groups.rootOf(processors[0] ?? '') === root),
      ),
    }),
  )
}

function topicsOf(node: GraphNode): readonly Topic[] {
  return node.kind === 'source' ? node.topics : []
}
