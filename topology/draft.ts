/**
 * A topology while its author declares it: nodes, and the problems seen so far. A step with a problem
 * is added as well as can be, so that one mistake hides no other; a draft with any problem never
 * becomes a topology. What the author holds (streams, tables) are small values that point in here.
 */
import { asTopic, isTopicName, type Topic } from '../model/position.ts'
import type {
  AnyProcessorSpec,
  GraphNode,
  ProcessorNode,
  RepartitionTopic,
  SinkNode,
  SourceNode,
  Topology,
  TopologyStore,
} from './graph.ts'
import { Naming } from './naming.ts'
import { TopologyError, type TopologyProblem } from './problem.ts'
import { subtopologiesOf } from './subtopology.ts'
import { validate } from './validate.ts'

/** A source, before its topics were looked at. */
export type SourceDraft = Omit<SourceNode, 'kind' | 'topics' | 'children'> & {
  readonly topics: readonly string[]
}

/** An operator, before anybody was attached to it. */
export interface ProcessorDraft {
  readonly spec: AnyProcessorSpec
  readonly parents: readonly string[]
  readonly hidden?: boolean
  readonly keyed?: boolean
  /** The tables, by node, whose rows the operator looks up. */
  readonly lookups?: readonly string[]
  /** The source topic that the operator's stores mirror. */
  readonly mirrors?: string
}

/** A sink, before its topic was looked at. */
export type SinkDraft = Omit<SinkNode, 'kind' | 'topic'> & { readonly topic: string }

/** Stands where a sink has no legal topic, in a draft that can never become a topology. */
const NO_TOPIC = asTopic('_')

/** Collects the nodes of one topology. */
export class Draft {
  readonly naming = new Naming()
  /** The source of the last repartition topic that a join made behind a node: the next unnamed join there uses it too. */
  readonly joinSources = new Map<string, string>()
  readonly #name: string
  readonly #nodes: GraphNode[] = []
  readonly #problems: TopologyProblem[] = []
  readonly #mirrored = new Map<string, Topic>()
  readonly #repartitions: RepartitionTopic[] = []
  #finished = false

  constructor(name: string) {
    this.#name = name
  }

  /** Notes a mistake and goes on. */
  report(problem: TopologyProblem): void {
    this.#problems.push(problem)
  }

  addSource({ topics, ...source }: SourceDraft): void {
    if (topics.length === 0) this.#reportTopic(source.name, 'it reads no topic: name at least one')
    const legal = topics.filter((topic) => this.#isLegal(source.name, topic))
    this.#add({ kind: 'source', ...source, topics: legal, children: [] })
  }

  addProcessor(processor: ProcessorDraft): void {
    const { spec, parents, hidden = false, keyed = false, lookups = [], mirrors } = processor
    if (mirrors !== undefined) this.#mirror(spec, mirrors)
    const { name } = spec
    this.#add({ kind: 'processor', name, spec, parents, hidden, keyed, lookups, children: [] })
  }

  /** Gives an operator that is there other logic: a later step asks for more than it did. Its stores mirror `mirrors`, if given. */
  replaceProcessor(spec: AnyProcessorSpec, mirrors?: string): void {
    this.#refuseFinished(spec.name)
    const at = this.#nodes.findIndex(({ name }) => name === spec.name)
    const node = this.#nodes[at]
    if (node?.kind !== 'processor') throw new TypeError(`there is no operator ${spec.name}`)
    if (mirrors !== undefined) this.#mirror(spec, mirrors)
    this.#nodes[at] = { ...node, spec }
  }

  /** Declares a topic of the application's own. */
  addRepartition(repartition: RepartitionTopic): void {
    this.#repartitions.push(repartition)
  }

  /** The nodes that were declared, in their order. */
  get nodes(): readonly GraphNode[] {
    return this.#nodes
  }

  get repartitions(): readonly RepartitionTopic[] {
    return this.#repartitions
  }

  addSink({ topic, ...sink }: SinkDraft): void {
    const legal = this.#isLegal(sink.name, topic) ? topic : NO_TOPIC
    this.#add({ kind: 'sink', ...sink, topic: legal })
  }

  /** The finished value. Throws TopologyError with every problem where there is one. */
  finish(): Topology {
    this.#finished = true
    const nodes = withChildren(this.#nodes)
    const problems = [...this.#problems, ...validate(this.#name, nodes)]
    if (problems.length > 0) throw new TopologyError(this.#name, problems)
    const stores = this.#stores(nodes)
    return Object.freeze({
      name: this.#name,
      nodes,
      stores,
      subtopologies: Object.freeze(subtopologiesOf(nodes, stores)),
      repartitions: Object.freeze(this.#repartitions.map((each) => Object.freeze(each))),
    })
  }

  #add(node: GraphNode): void {
    this.#refuseFinished(node.name)
    this.#nodes.push(node)
  }

  #refuseFinished(step: string): void {
    if (!this.#finished) return
    throw new TypeError(`${step}: the topology ${this.#name} is finished and takes no step`)
  }

  #mirror({ stores = [] }: AnyProcessorSpec, topic: string): void {
    if (!isTopicName(topic)) return
    for (const store of stores) this.#mirrored.set(store.name, topic)
  }

  #isLegal(place: string, topic: string): topic is Topic {
    if (isTopicName(topic)) return true
    this.#reportTopic(
      place,
      `${JSON.stringify(topic)} is no name for a topic: use 1 to 249 of the letters a-z and A-Z, digits, '.', '_' and '-'`,
    )
    return false
  }

  #reportTopic(place: string, message: string): void {
    this.report({ code: 'MILLRACE_TOPOLOGY_ILLEGAL_TOPIC', place, message })
  }

  #stores(nodes: readonly GraphNode[]): readonly TopologyStore[] {
    const users = new Map<string, string[]>()
    const stores: TopologyStore[] = []
    for (const node of nodes) {
      if (node.kind !== 'processor') continue
      for (const spec of node.spec.stores ?? []) {
        const processors = users.get(spec.name)
        if (processors !== undefined) {
          processors.push(node.name)
          continue
        }
        const first = [node.name]
        users.set(spec.name, first)
        const sourceTopic = this.#mirrored.get(spec.name)
        const changelog = sourceTopic === undefined ? 'own' : Object.freeze({ sourceTopic })
        stores.push({ spec, processors: first, changelog })
      }
    }
    for (const store of stores) Object.freeze(Object.freeze(store).processors)
    return Object.freeze(stores)
  }
}

function withChildren(nodes: readonly GraphNode[]): readonly GraphNode[] {
  const children = new Map<string, string[]>(nodes.map((node) => [node.name, []]))
  for (const node of nodes) {
    if (node.kind !== 'source')
      for (const parent of node.parents) children.get(parent)?.push(node.name)
  }
  return Object.freeze(nodes.map((node) => frozen(node, children.get(node.name) ?? [])))
}

function frozen(node: GraphNode, children: readonly string[]): GraphNode {
  switch (node.kind) {
    case 'source': {
      const topics = Object.freeze([...node.topics])
      return Object.freeze<SourceNode>({ ...node, topics, children: Object.freeze(children) })
    }
    case 'processor': {
      const parents = Object.freeze([...node.parents])
      const lookups = Object.freeze([...node.lookups])
      const links = { parents, lookups, children: Object.freeze(children) }
      return Object.freeze<ProcessorNode>({ ...node, ...links })
    }
    case 'sink':
      return Object.freeze<SinkNode>({ ...node, parents: Object.freeze([...node.parents]) })
    default:
      return node satisfies never
  }
}
