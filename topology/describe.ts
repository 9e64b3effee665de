/**
 * A topology as text. `describe` gives Kafka Streams' own text, byte for byte, order included: tools
 * that draw or compare it work on ours too. Hidden steps are left out and their neighbours shown
 * connected. Source of the format and the order: InternalTopologyBuilder of Kafka Streams 4.1.
 */
import type { GraphNode, Subtopology, Topology } from './graph.ts'
import { copiedHashOrder, hashOrder, TreeSet } from './java-order.ts'
import { visibleNodes } from './visible.ts'

/** The text that Kafka Streams' `TopologyDescription.toString()` has for the same topology. */
export function describe(topology: Topology): string {
  const parts = topology.subtopologies.map((part) => `  ${describePart(part)}`)
  // One space more before the first part only: that is how Kafka Streams prints it.
  return `Topologies:\n ${parts.join('')}`
}

/** A node on its way into the text. Its size counts the paths below it, and is complete only when all are linked. */
interface Described {
  readonly node: GraphNode
  readonly parents: TreeSet<Described>
  readonly children: TreeSet<Described>
  size: number
}

function describePart(part: Subtopology): string {
  const described = link(part)
  const sorted = new TreeSet<Described>(bySizeThenName)
  for (const each of described) sorted.add(each)
  return `Sub-topology: ${part.id}\n${[...sorted].map((each) => `    ${textOf(each)}\n`).join('')}\n`
}

/** Links the nodes in the order in which Java walks its map of them, which decides what the sizes are at each comparison. */
function link(part: Subtopology): readonly Described[] {
  const nodes = visibleNodes(part.nodes)
  const described = new Map<string, Described>()
  for (const { node } of nodes) {
    const parents = new TreeSet<Described>(bySizeThenName)
    const children = new TreeSet<Described>(bySizeThenName)
    described.set(node.name, { node, parents, children, size: 1 })
  }
  const parentsOf = new Map(nodes.map(({ node, parents }) => [node.name, parents]))
  // Java copies the names of a hash set into a hash map, then walks that.
  for (const name of hashOrder(hashOrder(described.keys()))) {
    const child = described.get(name)
    for (const parentName of parentsOf.get(name) ?? []) {
      const parent = described.get(parentName)
      if (child === undefined || parent === undefined) continue
      child.parents.add(parent)
      parent.children.add(child)
      grow(parent, child.size)
    }
  }
  return [...described.values()]
}

function grow(node: Described, by: number): void {
  node.size += by
  for (const parent of node.parents) grow(parent, by)
}

function bySizeThenName(a: Described, b: Described): number {
  if (a === b) return 0
  if (a.size !== b.size) return b.size - a.size
  return a.node.name < b.node.name ? -1 : 1
}

function textOf({ node, parents, children }: Described): string {
  const to = `      --> ${namesOf(children)}`
  const from = `      <-- ${namesOf(parents)}`
  switch (node.kind) {
    case 'source':
      return `Source: ${node.name} (topics: ${list(node.topics)})\n${to}`
    case 'processor': {
      const stores = (node.spec.stores ?? []).map(({ name }) => name)
      return `Processor: ${node.name} (stores: ${list(stores)})\n${to}\n${from}`
    }
    case 'sink':
      return `Sink: ${node.name} (topic: ${node.topic})\n${from}`
    default:
      return node satisfies never
  }
}

function list(names: readonly string[]): string {
  return `[${copiedHashOrder(names).join(', ')}]`
}

function namesOf(nodes: Iterable<Described>): string {
  const names = [...nodes].map(({ node }) => node.name)
  return names.length === 0 ? 'none' : names.join(', ')
}
