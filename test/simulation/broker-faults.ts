/**
 * What the log does to its clients: delays always, and by the seed refusals, lost and late answers,
 * new leaders, outages, partitions that are slow as long as the world lasts and give one batch at a
 * time. Each fault is one decision of test/simulation/fates.ts.
 */
import { describePartition } from '../../model/position.ts'
import type { Fate, Faults, Marker, Operation } from '../../transport/memory/faults.ts'
import type { Fates } from './fates.ts'
import type { SeededRandom } from '../../testing/seeded-random.ts'
import type { SimulatedProcess } from './process.ts'

/** The connection that produces the input: its troubles are not the subject, for it could not know what to send again. */
export const FEEDER = 'feeder'

/** How bad a world is. */
export interface Badness {
  /** Chance of a fault at each operation. */
  readonly faults: number
  /** Chance that a partition is slow. */
  readonly slowPartitions: number
  /** How many outages there may be, each with a chance of one half. */
  readonly outages: number
  /** The markers of a transaction are written within this. */
  readonly markersMs: number
}

interface Outage {
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
}

/** Within this long after the start outages begin. */
const OUTAGES_MS = 4_000
/** A slow partition adds at least this to each of its operations, and less than twice as much. */
const SLOW_MS = 60
/** A late answer is late by less than this: some are later than a transaction lives. */
const LATEST_MS = 4_000
/** In a calm world nothing keeps members out of their group for long, or it would never become quiet. */
const CALM_FAULTS = 0.005
const CALM_LATEST_MS = 200
const CALM_MARKERS_MS = 20

/** The faults of one world. */
export class BrokerFaults implements Faults {
  readonly #fates: Fates
  readonly #now: () => number
  readonly #processOf: (connection: string) => SimulatedProcess | undefined
  readonly #badness: Badness
  readonly #counts = new Map<string, number>()
  readonly #slow = new Map<string, boolean>()
  readonly #outages: readonly Outage[]
  readonly #isWindy: boolean
  #isCalm = false

  constructor(parts: {
    readonly fates: Fates
    readonly now: () => number
    readonly processOf: (connection: string) => SimulatedProcess | undefined
    readonly badness: Badness
  }) {
    this.#fates = parts.fates
    this.#now = parts.now
    this.#processOf = parts.processOf
    this.#badness = parts.badness
    this.#outages = Array.from({ length: parts.badness.outages }, (_, i) => {
      const name = `outage ${i}`
      const fromMs = parts.fates.of(`${name} at`).below(OUTAGES_MS)
      return { name, fromMs, toMs: fromMs + parts.fates.of(`${name} for`).below(800) }
    })
    this.#isWindy = parts.fates.strikes('delays', 1, () => 'answers take from 0 to 300 ms')
  }

  /** From now on faults are seldom, and the log is neither away nor slow. */
  calmDown(): void {
    this.#isCalm = true
  }

  decide(operation: Operation): Fate {
    const { kind, connection } = operation
    const process = this.#processOf(connection)
    // Whoever else asks looks at the world from outside.
    if (process === undefined && connection !== FEEDER) return {}
    const place = placeOf(operation)
    const name = this.#nameOf(`${connection} ${kind} ${place}`)
    // A process that is killed as it sends has sent, or has not.
    if (process?.touch() === false)
      return this.#fates.of(name).chance(0.5) ? {} : { outcome: 'refused' }
    const fate = { ...this.#delays(operation, name), ...this.#fault(operation, name) }
    const frozenMs = process?.frozenMs ?? 0
    return frozenMs > 0 ? { ...fate, requestDelayMs: (fate.requestDelayMs ?? 0) + frozenMs } : fate
  }

  markerDelayMs({ transactionalId, at }: Marker): number {
    if (!this.#isWindy) return 0
    const place = at === undefined ? 'offsets' : describePartition(at)
    return this.#fates
      .of(this.#nameOf(`marker ${transactionalId} ${place}`))
      .below(this.#isCalm ? CALM_MARKERS_MS : this.#badness.markersMs)
  }

  #nameOf(what: string): string {
    const count = (this.#counts.get(what) ?? 0) + 1
    this.#counts.set(what, count)
    return `${what} #${count}`
  }

  #delays({ kind, connection, at }: Operation, name: string): Fate {
    const random = this.#fates.of(`${name} delay`)
    const canBeSlow = connection !== FEEDER && at !== undefined && !this.#isCalm
    const isSlow = canBeSlow && this.#isSlow(describePartition(at))
    const slowMs = isSlow ? SLOW_MS + random.below(SLOW_MS) : 0
    if (!this.#isWindy) return { requestDelayMs: 1 + slowMs, responseDelayMs: 1 }
    const requestDelayMs = slowMs + (random.chance(0.05) ? random.below(300) : random.below(8))
    const responseDelayMs = random.below(8)
    const isSmall = kind === 'fetch' && (isSlow || random.chance(0.5))
    const size = isSmall ? { maxBytes: isSlow ? 1 : 1 + random.below(200) } : {}
    return { requestDelayMs, responseDelayMs, ...size }
  }

  #isSlow(place: string): boolean {
    const known = this.#slow.get(place)
    if (known !== undefined) return known
    const { slowPartitions } = this.#badness
    const isSlow = this.#fates.strikes(
      `slow ${place}`,
      slowPartitions,
      () => `every operation takes ${SLOW_MS} to ${2 * SLOW_MS} ms more`,
    )
    this.#slow.set(place, isSlow)
    return isSlow
  }

  #fault({ kind, connection, at }: Operation, name: string): Fate {
    if (connection === FEEDER) return {}
    const outage = this.#outageNow()
    if (outage !== undefined) return { outcome: 'refused' }
    const { faults } = this.#badness
    const chance = this.#isCalm ? Math.min(faults, CALM_FAULTS) : faults
    const latestMs = this.#isCalm ? CALM_LATEST_MS : LATEST_MS
    const how = () =>
      faultOf({ kind, hasPlace: at !== undefined, latestMs }, this.#fates.of(`${name} how`))
    return this.#fates.strikes(name, chance, () => how().what) ? how().fate : {}
  }

  #outageNow(): Outage | undefined {
    if (this.#isCalm || this.#outages.length === 0) return undefined
    const now = this.#now()
    return this.#outages.find(
      ({ name, fromMs, toMs }) =>
        now >= fromMs &&
        now < toMs &&
        this.#fates.strikes(name, 0.5, () => `all is refused from ${fromMs} to ${toMs} ms`),
    )
  }
}

function faultOf(
  {
    kind,
    hasPlace,
    latestMs,
  }: { readonly kind: string; readonly hasPlace: boolean; readonly latestMs: number },
  random: SeededRandom,
): { readonly fate: Fate; readonly what: string } {
  const draw = random.next()
  const canElect = hasPlace && (kind === 'fetch' || kind === 'produce' || kind === 'readAt')
  if (canElect && draw < 0.1) return { fate: { newLeader: true }, what: 'met a new leader' }
  if (draw < 0.2) {
    const lateMs = random.below(latestMs)
    return { fate: { responseDelayMs: lateMs }, what: `was answered ${lateMs} ms late` }
  }
  return draw < 0.6
    ? { fate: { outcome: 'refused' }, what: 'was refused' }
    : { fate: { outcome: 'lost' }, what: 'took effect, and its answer was lost' }
}

function placeOf({ at, transactionalId, groupId }: Operation): string {
  return at === undefined ? (transactionalId ?? groupId ?? 'log') : describePartition(at)
}
