/** What the processes of the tests of recovery run, and what they are told. */
import { hours } from '../../model/duration.ts'
import { joinWindows } from '../../processors/join-windows.ts'
import { tumbling } from '../../processors/time-windows.ts'
import type { GroupAssignment, StaticAssignment } from '../../runtime/assignment.ts'
import type { Guarantee, StreamsLimits } from '../../runtime/config.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'

/** A join of two streams with a count of one of them in the same task, or a windowed count. */
export type PipelineName = 'pairs' | 'windows'

/** What a process is told: JSON in its one argument. */
export interface RecoveryPlace {
  readonly brokers: readonly string[]
  /** The application; its topics' names begin with it. */
  readonly application: string
  readonly pipeline: PipelineName
  /** The state folder. */
  readonly folder: string
  readonly assignment?: StaticAssignment | GroupAssignment
  readonly guarantee?: Guarantee
  readonly limits: Partial<StreamsLimits>
  /** Where the process ends itself as kill -9 does: after a step (the last of that name) of the first commit that reaches the offset in every input. */
  readonly killAt?: { readonly step: string; readonly offset: number }
}

/** Numbers of one key are further apart than this. */
const PAIR_MS = 20
const WINDOW_MS = hours(1)

const STRINGS = { key: text, value: text } as const

/** The topology of a name. */
export function recoveryPipeline({
  application,
  pipeline,
}: Pick<RecoveryPlace, 'application' | 'pipeline'>): Topology {
  const name = (what: string): string => `${application}-${what}`
  return topology(application, ({ stream }) => {
    if (pipeline === 'windows') {
      stream(name('numbers'), STRINGS)
        .groupByKey()
        .windowedBy(tumbling(WINDOW_MS, { graceMs: hours(24) }))
        .count({ store: 'windows' })
        .toStream()
        .mapValues((count) => String(count), { value: text })
        .to(name('windowed'))
      return
    }
    const left = stream(name('left'), STRINGS)
    const right = stream(name('right'), STRINGS)
    left
      .join(right, (l, r) => `${l}+${r}`, {
        windows: joinWindows(PAIR_MS, { graceMs: hours(24) }),
        value: text,
      })
      .to(name('paired'))
    left
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues((count) => String(count), { value: text })
      .to(name('counted'))
  })
}

/** The topics that tests write, and those that the processes write. */
export const TOPICS: Readonly<
  Record<PipelineName, { readonly inputs: readonly string[]; readonly outputs: readonly string[] }>
> = {
  pairs: { inputs: ['left', 'right'], outputs: ['paired', 'counted'] },
  windows: { inputs: ['numbers'], outputs: ['windowed'] },
}
