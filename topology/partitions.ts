/** What a topology asks of the partitions of its topics. The log answers it only when the app starts. */
import type { GraphNode, Topology } from './graph.ts'
import type { TopologyProblem } from './problem.ts'
import { keyedNodes } from './validate.ts'
import { copartitionedSources } from './walk.ts'

/**
 * The problems of a topology on a log whose topics have `counts` partitions (by topic; a topic that
 * is not in it does not exist): every topic it reads or writes has to be there, and where a step takes
 * records of one key from several topics, these need as many partitions.
 */
export function checkPartitions(
  topology: Topology,
  counts: ReadonlyMap<string, number>,
): readonly TopologyProblem[] {
  const problems: TopologyProblem[] = []
  for (const [topic, node] of topicsOf(topology.nodes)) {
    if (counts.has(topic)) continue
    const message = `the topic ${topic} does not exist. Create it, or correct its name in ${node}`
    problems.push({ code: 'MILLRACE_TOPOLOGY_TOPIC_MISSING', place: topic, message })
  }
  for (const node of keyedNodes(topology.nodes)) {
    const topics = copartitionedSources(node, topology.nodes)
      .flatMap((source) => source.topics)
      .filter((topic) => counts.has(topic))
    if (new Set(topics.map((topic) => counts.get(topic))).size <= 1) continue
    const list = topics.map((topic) => `${topic} (${counts.get(topic)})`).join(', ')
    const message =
      `it takes records of one key from topics with different numbers of partitions: ${list}. Create ` +
      'them with as many partitions, or bring one to the number of the other with repartition({ partitions })'
    problems.push({ code: 'MILLRACE_TOPOLOGY_PARTITIONS_DIFFER', place: node.name, message })
  }
  return problems
}

function topicsOf(nodes: readonly GraphNode[]): ReadonlyMap<string, string> {
  const topics = new Map<string, string>()
  for (const node of nodes) {
    if (node.kind === 'source') for (const topic of node.topics) topics.set(topic, node.name)
    if (node.kind === 'sink') topics.set(node.topic, node.name)
  }
  return topics
}
