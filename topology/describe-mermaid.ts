/** A topology as a Mermaid flowchart: topics round, steps square, stores as cylinders, one frame a sub-topology. */
import type { Subtopology, Topology } from './graph.ts'
import { visibleNodes } from './visible.ts'

/** The text of a Mermaid flowchart. */
export function describeMermaid(topology: Topology): string {
  const chart = new Chart()
  const frames = topology.subtopologies.flatMap((part) => frame(part, chart))
  const topics = topology.subtopologies.flatMap((part) => topicArrows(part, chart))
  return ['flowchart TD', ...frames, ...topics, ''].join('\n')
}

function frame(part: Subtopology, chart: Chart): readonly string[] {
  const nodes = visibleNodes(part.nodes)
  const steps = nodes.map(({ node }) => `    ${chart.id(`node ${node.name}`)}["${node.name}"]`)
  const stores = part.stores.map(
    ({ spec }) => `    ${chart.id(`store ${spec.name}`)}[("${spec.name}")]`,
  )
  const arrows = nodes.flatMap(({ node, children }) =>
    children.map(
      (child) => `    ${chart.id(`node ${node.name}`)} --> ${chart.id(`node ${child}`)}`,
    ),
  )
  const uses = part.stores.flatMap(({ spec, processors }) =>
    nodes
      .filter(({ node }) => processors.includes(node.name))
      .map(
        ({ node }) => `    ${chart.id(`node ${node.name}`)} -.- ${chart.id(`store ${spec.name}`)}`,
      ),
  )
  const title = `  subgraph sub${part.id}["Sub-topology ${part.id}"]`
  return [title, ...steps, ...stores, ...arrows, ...uses, '  end']
}

function topicArrows(part: Subtopology, chart: Chart): readonly string[] {
  return part.nodes.flatMap((node) => {
    const id = chart.id(`node ${node.name}`)
    if (node.kind === 'source')
      return node.topics.map((topic) => `  ${topicOf(topic, chart)} --> ${id}`)
    return node.kind === 'sink' ? [`  ${id} --> ${topicOf(node.topic, chart)}`] : []
  })
}

function topicOf(topic: string, chart: Chart): string {
  return `${chart.id(`topic ${topic}`)}(["${topic}"])`
}

/** Short ids, for names may hold what Mermaid reads as its own. */
class Chart {
  readonly #ids = new Map<string, string>()

  id(what: string): string {
    const known = this.#ids.get(what)
    if (known !== undefined) return known
    const id = `n${this.#ids.size}`
    this.#ids.set(what, id)
    return id
  }
}
