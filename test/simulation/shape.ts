/** What kind of world a seed makes: drawn first, and the same whatever faults are left out. */
import type { ProducerRecord } from '../../transport/transport.ts'
import type { Badness } from './broker-faults.ts'
import type { Fates } from './fates.ts'
import type { Scenario } from './scenario.ts'
import { parts } from './scenarios/parts.ts'
import { schedules } from './scenarios/schedules.ts'
import { tables } from './scenarios/tables.ts'
import { words } from './scenarios/words.ts'

/** Every family of steps that is simulated. A new one is a file in scenarios/ and a word here. */
export const SCENARIOS: readonly Scenario[] = [words, parts, tables, schedules]

/** The units of one process. */
export type UnitShare = readonly number[]

/** The constants of one world. */
export interface WorldShape {
  readonly scenarios: readonly Scenario[]
  readonly input: readonly ProducerRecord[]
  /** Into how many units the application is split, and which process has which. */
  readonly of: number
  readonly shares: readonly UnitShare[]
  /** Planned stops of each share. */
  readonly stops: number
  readonly jumps: number
  readonly badness: Badness
}

/** One process for all, one for each unit, and what lies between. */
const SPLITS: readonly Pick<WorldShape, 'of' | 'shares'>[] = [
  { of: 3, shares: [[0, 1, 2]] },
  { of: 3, shares: [[0], [1, 2]] },
  { of: 3, shares: [[0], [1], [2]] },
  { of: 2, shares: [[0], [1]] },
  { of: 1, shares: [[0]] },
]

/** The world of a seed. */
export function shapeOf(fates: Fates, scenarios?: readonly Scenario[]): WorldShape {
  const random = fates.of('shape')
  const first = random.pick(SCENARIOS)
  const second = random.pick(SCENARIOS)
  const drawn = first === second ? [first] : [first, second]
  const chosen = scenarios ?? drawn
  return {
    scenarios: chosen,
    input: interleaved(chosen, fates),
    ...random.pick(SPLITS),
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
