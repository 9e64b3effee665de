/** A topology as one application runs it. */
import { asTopic, type Topic } from '../model/position.ts'
import type { GraphNode, Topology } from './graph.ts'

/** `<application>-<topic>`, whether a topic may be named so or not; `topic` is the repartition topic as the topology names it. */
export function repartitionName(application: string, topic: Topic): string {
  return `${application}-${topic}`
}

/**
 * The same topology with the application's name before each repartition topic, as
 * `<application>-<name>-repartition`: two applications of one topology do not share them. Throws
 * TypeError where that is no legal topic name.
 */
export function forApplication(topology: Topology, application: string): Topology {
  const { nodes, subtopologies, repartitions } = topology
  if (repartitions.length === 0) return topology
  const names = new Map(
    repartitions.map(({ topic }) => [topic, asTopic(repartitionName(application, topic))]),
  )
  const nameOf = (topic: Topic): Topic => names.get(topic) ?? topic
  const named = new Map(nodes.map((node) => [node, Object.freeze(withTopics(node, nameOf))]))
  return Object.freeze({
    ...topology,
    nodes: Object.freeze([...named.values()]),
    subtopologies: Object.freeze(
      subtopologies.map((part) =>
        Object.freeze({
          ...part,
          nodes: Object.freeze(part.nodes.map((node) => named.get(node) ?? node)),
          sourceTopics: Object.freeze(part.sourceTopics.map(nameOf)),
        }),
      ),
    ),
    repartitions: Object.freeze(
      repartitions.map((each) => Object.freeze({ ...each, topic: nameOf(each.topic) })),
    ),
  })
}

function withTopics(node: GraphNode, nameOf: (topic: Topic) => Topic): GraphNode {
  switch (node.kind) {
    case 'source':
      return { ...node, topics: Object.freeze(node.topics.map(nameOf)) }
    case 'sink':
      return { ...node, topic: nameOf(node.topic) }
    case 'processor':
      return node
    default:
      return node satisfies never
  }
}
