/** The graph as it is shown: hidden steps left out, what stands before and behind them connected. */
import type { GraphNode } from './graph.ts'
import { childrenOf, parentsOf } from './walk.ts'

/** A node that is shown, with those of its parents and children that are. */
export interface VisibleNode {
  readonly node: GraphNode
  readonly parents: readonly string[]
  readonly children: readonly string[]
}

/** The nodes that are shown, in their order. */
export function visibleNodes(nodes: readonly GraphNode[]): readonly VisibleNode[] {
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const shown = (
    names: readonly string[],
    next: (node: GraphNode) => readonly string[],
  ): readonly string[] =>
    names.flatMap((name) => {
      const node = byName.get(name)
      return node !== undefined && isHidden(node) ? shown(next(node), next) : [name]
    })
  return nodes
    .filter((node) => !isHidden(node))
    .map((node) => ({
      node,
      parents: shown(parentsOf(node), parentsOf),
      children: shown(childrenOf(node), childrenOf),
    }))
}

function isHidden(node: GraphNode): boolean {
  return node.kind === 'processor' && node.hidden
}
