/** Ways through a graph. */
import type { GraphNode, SourceNode } from './graph.ts'

/** The sources whose records reach `node` without a topic between, in the order they were declared. */
export function sourcesOf(node: GraphNode, nodes: readonly GraphNode[]): readonly SourceNode[] {
  return sourcesBehind(node, nodes, parentsOf)
}

/** Those sources, and those of the tables in which the nodes on the way look rows up: all have to be partitioned alike. */
export function copartitionedSources(
  node: GraphNode,
  nodes: readonly GraphNode[],
): readonly SourceNode[] {
  return sourcesBehind(node, nodes, (at) => [
    ...parentsOf(at),
    ...(at.kind === 'processor' ? at.lookups : []),
  ])
}

function sourcesBehind(
  node: GraphNode,
  nodes: readonly GraphNode[],
  next: (at: GraphNode) => readonly string[],
): readonly SourceNode[] {
  const byName = new Map(nodes.map((each) => [each.name, each]))
  const seen = new Set<GraphNode>([node])
  for (const at of seen) {
    // A set hands out what is added while it is walked.
    for (const parent of next(at)) {
      const found = byName.get(parent)
      if (found !== undefined) seen.add(found)
    }
  }
  return nodes.filter((each) => each.kind === 'source').filter((source) => seen.has(source))
}

/** The names of the nodes that hand records to `node`. */
export function parentsOf(node: GraphNode): readonly string[] {
  return node.kind === 'source' ? [] : node.parents
}

/** The names of the nodes that `node` hands records to. */
export function childrenOf(node: GraphNode): readonly string[] {
  return node.kind === 'sink' ? [] : node.children
}
