/**
 * From declared processors to running ones: creates each for one task and links them, children
 * first, so that forwarding a record is a direct call of the child's function. Wired anew after
 * every rewind, for what a processor keeps in fields belongs to the transaction that was aborted.
 */
import { asError } from '../model/errors.ts'
import type { StreamRecord } from '../model/record.ts'
import type { Partition } from '../model/position.ts'
import type {
  ProcessorContext,
  ProcessRecord,
  Processor,
  ProcessorSpec,
} from '../processors/processor.ts'
import type { GraphNode, ProcessorNode, SinkNode, Subtopology } from '../topology/graph.ts'

/** A record of any types, on its way between two processors. */
export type AnyRecord = StreamRecord<unknown, unknown>
type Process = ProcessRecord<unknown, unknown>

/** Where a processor's records go. */
export interface Ways {
  /** To all children. */
  readonly forward: Process
  /** To one child. */
  readonly forwardTo: (child: string) => Process
}

/** What a task gives to its processors. */
export interface WiringParts {
  readonly subtopology: Subtopology
  readonly partition: Partition
  readonly context: (node: ProcessorNode, ways: Ways) => ProcessorContext<unknown, unknown>
  readonly sink: (node: SinkNode) => Process
  /** Told when a processor throws. Returns to leave the rest of the subtree out for this record; throws to fail the task. */
  readonly onThrown: (error: Error, processor: string, record: AnyRecord) => void
}

/** The running processors of one task. */
export interface Wiring {
  /** The first function behind each source, by node name. */
  readonly sources: ReadonlyMap<string, Process>
  /** In the order of the topology. */
  readonly processors: readonly Processor<unknown, unknown>[]
}

/** Creates and links the processors of a sub-topology. */
export function wire(parts: WiringParts): Wiring {
  const running = new Map<string, Processor<unknown, unknown>>()
  const sources = new Map<string, Process>()
  const entries = new Map<string, Process>()
  const byName = new Map(parts.subtopology.nodes.map((node) => [node.name, node]))
  const entryOf = (parent: string, childName: string): Process => {
    const child = byName.get(childName) as GraphNode
    const key = `${childName}<-${parent}`
    let entry = entries.get(key)
    if (entry === undefined) {
      entry = guard(functionFor(child, { parent, running, sink: parts.sink }), childName, parts)
      entries.set(key, entry)
    }
    return entry
  }
  // Nodes stand in index order, parents first; so children are created before their parents here.
  for (const node of parts.subtopology.nodes.toReversed()) {
    if (node.kind === 'sink') continue
    const forward = link(node.children.map((child) => entryOf(node.name, child)))
    if (node.kind === 'source') {
      sources.set(node.name, forward)
      continue
    }
    const forwardTo = (child: string): Process => {
      if (node.children.includes(child)) return entryOf(node.name, child)
      throw new TypeError(`${node.name} has no child ${child}`)
    }
    running.set(node.name, create(node, { forward, forwardTo }, parts))
  }
  return { sources, processors: [...running.values()].toReversed() }
}

function create(node: ProcessorNode, ways: Ways, parts: WiringParts): Processor<unknown, unknown> {
  const spec: ProcessorSpec<unknown, unknown, unknown, unknown> = node.spec
  const logic = spec.create(parts.context(node, ways))
  return typeof logic === 'function' ? { process: logic } : logic
}

function functionFor(
  child: GraphNode,
  {
    parent,
    running,
    sink,
  }: {
    readonly parent: string
    readonly running: ReadonlyMap<string, Processor<unknown, unknown>>
    readonly sink: WiringParts['sink']
  },
): Process {
  switch (child.kind) {
    case 'sink':
      return sink(child)
    case 'processor': {
      const processor = running.get(child.name)
      if (processor === undefined) throw new TypeError(`${child.name} comes before its parent`)
      return processor.inputs?.[child.parents.indexOf(parent)] ?? processor.process
    }
    case 'source':
      throw new TypeError(`the source ${child.name} has a parent`)
    default:
      return child satisfies never
  }
}

/** One function that calls all of `targets`; the target itself where there is one. */
function link(targets: readonly Process[]): Process {
  const [only] = targets
  if (only !== undefined && targets.length === 1) return only
  return (record) => {
    for (const target of targets) target(record)
  }
}

function guard(process: Process, name: string, { onThrown }: WiringParts): Process {
  return (record) => {
    try {
      process(record)
    } catch (error) {
      onThrown(asError(error), name, record)
    }
  }
}
