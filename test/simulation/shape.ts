/** What kind of world a seed makes: drawn first, and the same whatever faults are left out. */
import type { GroupAssignment, StaticAssignment } from '../../runtime/assignment.ts'
import type { ProducerRecord } from '../../transport/transport.ts'
import type { Badness } from './broker-faults.ts'
import type { Fates } from './fates.ts'
import { PARTITIONS, type Scenario } from './scenario.ts'
import { parts } from './scenarios/parts.ts'
import { schedules } from './scenarios/schedules.ts'
import { tables } from './scenarios/tables.ts'
import { windows } from './scenarios/windows.ts'
import { words } from './scenarios/words.ts'

/** Every family of steps that is simulated. A new one is a file in scenarios/ and a word here. */
export const SCENARIOS: readonly Scenario[] = [words, parts, tables, schedules, windows]

/** Whether processes are told what they run, or agree on it. */
export type Mode = 'static' | 'group'

/** The constants of one world. */
export interface WorldShape {
  readonly scenarios: readonly Scenario[]
  readonly input: readonly ProducerRecord[]
  /** Produced once the world is quiet. */
  readonly epilogue: readonly ProducerRecord[]
  /** What each process is told of its share. */
  readonly shares: readonly (StaticAssignment | GroupAssignment)[]
  readonly mode: Mode
  /** Planned stops of each share. */
  readonly stops: number
  readonly jumps: number
  readonly badness: Badness
}

/** One process for all, one for each unit, and what lies between. */
const SPLITS: readonly (readonly StaticAssignment[])[] = [
  [{ kind: 'static' }],
  [told(0), told(1, 2)],
  [told(0), told(1), told(2)],
  [
    { kind: 'static', units: [0], of: 2 },
    { kind: 'static', units: [1], of: 2 },
  ],
  [{ kind: 'static', of: 1 }],
]

/** The world of a seed. */
export function shapeOf(
  fates: Fates,
  {
    scenarios,
    mode: wanted,
  }: { readonly scenarios?: readonly Scenario[]; readonly mode?: Mode } = {},
): WorldShape {
  const random = fates.of('shape')
  const first = random.pick(SCENARIOS)
  const second = random.pick(SCENARIOS)
  const drawn = first === second ? [first] : [first, second]
  const chosen = scenarios ?? drawn
  const drawnMode = random.pick(['static', 'group'] as const)
  const mode = wanted ?? drawnMode
  const split = random.pick(SPLITS)
  const [members, standbys] = [1 + random.below(3), random.below(2)]
  return {
    scenarios: chosen,
    input: interleaved(chosen, fates),
    epilogue: chosen.flatMap(({ epilogue }) => epilogue?.() ?? []),
    mode,
    shares: mode === 'static' ? split : grouped({ members, standbys }, fates),
    stops: random.below(4),
    jumps: random.below(3),
    badness: {
      faults: random.pick([0, 0.02, 0.08]),
      slowPartitions: random.pick([0, 0, 0.1]),
      outages: random.below(2),
      markersMs: random.pick([20, 20, 600]),
    },
  }
}

/** The members of a group: some groups keep standbys, in some a member's name outlives its process. */
function grouped(
  { members, standbys }: { readonly members: number; readonly standbys: number },
  fates: Fates,
): readonly GroupAssignment[] {
  const areStatic = fates.of('static members').chance(0.3)
  return Array.from({ length: members }, (_, i) => {
    const name = areStatic ? { instanceId: `member-${i}` } : {}
    return { kind: 'group', standbys, ...name }
  })
}

function told(...units: readonly number[]): StaticAssignment {
  return { kind: 'static', units, of: PARTITIONS }
}

/** The scenarios' inputs, each in its own order, mixed. */
function interleaved(scenarios: readonly Scenario[], fates: Fates): readonly ProducerRecord[] {
  const left = scenarios.map(({ name, input }) => [...input(fates.of(`input of ${name}`))])
  const random = fates.of('interleaving')
  const mixed: ProducerRecord[] = []
  for (;;) {
    const next = left.filter((records) => records.length > 0)
    if (next.length === 0) return mixed
    mixed.push(random.pick(next).shift() as ProducerRecord)
  }
}
