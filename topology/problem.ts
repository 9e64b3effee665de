/** What is wrong with a topology. All mistakes are found, and told together, before anything starts. */
import { MillraceError } from '../model/errors.ts'

/** The codes of mistakes; each has a heading in docs/errors.md. */
export type ProblemCode =
  | 'MILLRACE_TOPOLOGY_EMPTY'
  | 'MILLRACE_TOPOLOGY_UNUSED_SOURCE'
  | 'MILLRACE_TOPOLOGY_DUPLICATE_NAME'
  | 'MILLRACE_TOPOLOGY_DUPLICATE_STORE'
  | 'MILLRACE_TOPOLOGY_DUPLICATE_SOURCE'
  | 'MILLRACE_TOPOLOGY_ILLEGAL_NAME'
  | 'MILLRACE_TOPOLOGY_ILLEGAL_TOPIC'
  | 'MILLRACE_TOPOLOGY_ILLEGAL_PARTITIONS'
  | 'MILLRACE_TOPOLOGY_ILLEGAL_RETENTION'
  | 'MILLRACE_TOPOLOGY_SERDE_MISSING'
  | 'MILLRACE_TOPOLOGY_NOT_COPARTITIONED'
  | 'MILLRACE_TOPOLOGY_SELF_JOIN'
  | 'MILLRACE_TOPOLOGY_LOOP'
  | 'MILLRACE_TOPOLOGY_FOREIGN_STREAM'
  | 'MILLRACE_TOPOLOGY_NOT_A_SOURCE'
  | 'MILLRACE_TOPOLOGY_NOT_A_REFERENCE'
  | 'MILLRACE_TOPOLOGY_TOPIC_MISSING'
  | 'MILLRACE_TOPOLOGY_PARTITIONS_DIFFER'

/** One mistake. */
export interface TopologyProblem {
  readonly code: ProblemCode
  /** The step, store or topic it is about. */
  readonly place: string
  /** What is wrong and what to do next. */
  readonly message: string
}

/** A topology that cannot run (MILLRACE_TOPOLOGY_INVALID). `problems` has every mistake that was found. */
export class TopologyError extends MillraceError {
  override readonly name = 'TopologyError'
  readonly problems: readonly TopologyProblem[]

  constructor(topology: string, problems: readonly TopologyProblem[]) {
    super('MILLRACE_TOPOLOGY_INVALID', messageOf(topology, problems), { place: topology })
    this.problems = problems
  }
}

function messageOf(topology: string, problems: readonly TopologyProblem[]): string {
  const lines = problems.map(({ code, place, message }) => `${place}: ${message} (${code})`)
  const [only] = lines
  if (only !== undefined && lines.length === 1)
    return `the topology '${topology}' cannot run. ${only}`
  return [`the topology '${topology}' cannot run, for ${lines.length} reasons:`]
    .concat(lines.map((line) => `  - ${line}`))
    .join('\n')
}
