/**
 * What is wrong with a graph as a whole. What one step asks of its streams was noted when it was
 * declared (topology/requirements.ts); these checks need all nodes. Each problem names the step and
 * what to do next.
 */
import { isTopicName } from '../model/position.ts'
import type { StoreSpec } from '../state/store.ts'
import type { GraphNode, ProcessorNode, SourceNode } from './graph.ts'
import type { ProblemCode, TopologyProblem } from './problem.ts'
import { copartitionedSources, sourcesOf } from './walk.ts'

/** Every problem of a graph. */
export function validate(name: string, nodes: readonly GraphNode[]): readonly TopologyProblem[] {
  return [
    ...illegalName(name, 'the topology'),
    ...nodeNames(nodes),
    ...storeNames(nodes),
    ...retentions(nodes),
    ...sources(name, nodes),
    ...coPartitioning(nodes),
    ...loops(nodes),
  ]
}

function nodeNames(nodes: readonly GraphNode[]): TopologyProblem[] {
  const problems: TopologyProblem[] = []
  const seen = new Set<string>()
  for (const { name, kind } of nodes) {
    problems.push(...illegalName(name, `the ${kind}`))
    if (seen.has(name)) {
      const message = 'two steps have this name. Give one of them another { name }'
      problems.push(problem('MILLRACE_TOPOLOGY_DUPLICATE_NAME', name, message))
    }
    seen.add(name)
  }
  return problems
}

function illegalName(name: string, what: string): TopologyProblem[] {
  if (isTopicName(name)) return []
  const message =
    `${JSON.stringify(name)} is no name for ${what}, for topics and metrics are named after it: use 1 ` +
    "to 249 of the letters a-z and A-Z, digits, '.', '_' and '-'"
  return [problem('MILLRACE_TOPOLOGY_ILLEGAL_NAME', name, message)]
}

function storeNames(nodes: readonly GraphNode[]): TopologyProblem[] {
  const problems: TopologyProblem[] = []
  const seen = new Map<string, { readonly store: StoreSpec; readonly step: string }>()
  for (const { name: step, spec } of nodes.filter((node) => node.kind === 'processor')) {
    for (const store of spec.stores ?? []) {
      const first = seen.get(store.name)
      if (first === undefined) {
        problems.push(...illegalName(store.name, 'a store'))
        seen.set(store.name, { store, step })
      } else if (first.store !== store) {
        const message =
          `${first.step} and ${step} both declare a store of this name. Give one of them another ` +
          'name; to share one store, pass both the same store object'
        problems.push(problem('MILLRACE_TOPOLOGY_DUPLICATE_STORE', store.name, message))
      }
    }
  }
  return problems
}

/** A store that an author declares keeps each entry at least as long as one read looks back. */
function retentions(nodes: readonly GraphNode[]): TopologyProblem[] {
  const stores = nodes.flatMap((node) =>
    node.kind === 'processor' ? (node.spec.stores ?? []) : [],
  )
  return [...new Set(stores)].flatMap((store) => {
    if (store.kind === 'key-value') return []
    const { name, retentionMs } = store
    const leastMs = store.kind === 'window' ? store.sizeMs : 1
    if (Number.isSafeInteger(retentionMs) && retentionMs >= leastMs) return []
    const message =
      `it keeps entries for ${retentionMs} ms. Give a whole number of milliseconds, at least 1 and at ` +
      'least as long as a window lasts'
    return [problem('MILLRACE_TOPOLOGY_ILLEGAL_RETENTION', name, message)]
  })
}

function sources(name: string, nodes: readonly GraphNode[]): TopologyProblem[] {
  const all = nodes.filter((node) => node.kind === 'source')
  const problems: TopologyProblem[] = []
  if (all.length === 0) {
    const message = 'it reads nothing. Begin with stream(topic) or table(topic)'
    problems.push(problem('MILLRACE_TOPOLOGY_EMPTY', name, message))
  }
  const readers = new Map<string, string>()
  for (const source of all) {
    if (source.children.length === 0) {
      const message = `no step uses what is read from ${source.topics.join(', ')}. Use the stream, or leave it out`
      problems.push(problem('MILLRACE_TOPOLOGY_UNUSED_SOURCE', source.name, message))
    }
    for (const topic of source.topics) {
      const reader = readers.get(topic)
      if (reader !== undefined) {
        const message = `${topic} is already read by ${reader}. Declare it once and use that stream as often as needed: a stream is a value`
        problems.push(problem('MILLRACE_TOPOLOGY_DUPLICATE_SOURCE', source.name, message))
      }
      readers.set(topic, source.name)
    }
  }
  return problems
}

/** Records of one key meet in one task only where every topic they come from chooses partitions alike. */
function coPartitioning(nodes: readonly GraphNode[]): TopologyProblem[] {
  return keyedNodes(nodes).flatMap((node) => {
    const [first, ...others] = copartitionedSources(node, nodes)
    const other = others.find((source) => source.partitionBy !== first?.partitionBy)
    if (first === undefined || other === undefined) return []
    const message =
      `it takes records of one key from ${topicsOf(first)} and ${topicsOf(other)}, which choose their ` +
      'partitions by different functions. Declare both with the very same partitionBy, or bring one to ' +
      'the other with repartition({ partitionBy }) first'
    return [problem('MILLRACE_TOPOLOGY_NOT_COPARTITIONED', node.name, message)]
  })
}

/** The operators that count on all records of one key being in one task. */
export function keyedNodes(nodes: readonly GraphNode[]): readonly ProcessorNode[] {
  return nodes.filter((node) => node.kind === 'processor').filter(({ keyed }) => keyed)
}

/**
 * A sink that writes what its own records came from would feed itself for ever. A loop goes back to
 * a source that was declared earlier at least once; it is told there, and only there.
 */
function loops(nodes: readonly GraphNode[]): TopologyProblem[] {
  const problems: TopologyProblem[] = []
  for (const [at, sink] of nodes.entries()) {
    if (sink.kind !== 'sink') continue
    const reader = upstreamOf(sink, nodes).find((source) => source.topics.includes(sink.topic))
    if (reader === undefined || nodes.indexOf(reader) > at) continue
    const message =
      `it writes to ${sink.topic}, from which ${reader.name} reads what leads here: every record would ` +
      'come round again for ever. Write to another topic'
    problems.push(problem('MILLRACE_TOPOLOGY_LOOP', sink.name, message))
  }
  return problems
}

/** The sources whose records can reach `node`, also by way of topics that are written and read here. */
function upstreamOf(node: GraphNode, nodes: readonly GraphNode[]): readonly SourceNode[] {
  const found = new Set<SourceNode>()
  const open: GraphNode[] = [node]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const source of sourcesOf(at, nodes)) {
      if (found.has(source)) continue
      found.add(source)
      open.push(...writersOf(source, nodes))
    }
  }
  return [...found]
}

function writersOf(source: SourceNode, nodes: readonly GraphNode[]): readonly GraphNode[] {
  return nodes.filter((node) => node.kind === 'sink' && source.topics.includes(node.topic))
}

function topicsOf({ topics }: SourceNode): string {
  return topics.join(', ')
}

function problem(code: ProblemCode, place: string, message: string): TopologyProblem {
  return { code, place, message }
}
