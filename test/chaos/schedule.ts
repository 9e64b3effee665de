/**
 * What goes wrong next, drawn from a seed. The order of the draws is the seed's; when they happen is
 * the machine's, so a seed repeats a run only roughly.
 */
import type { SeededRandom } from '../../testing/seeded-random.ts'
import { SESSION_MS, type LogKind } from './place.ts'

/** Something that is done to one process, or to the broker. */
export type Trouble =
  | { readonly kind: 'kill'; readonly awayMs: number }
  /** Of whoever holds the embedded log. */
  | { readonly kind: 'kill holder'; readonly awayMs: number }
  | { readonly kind: 'halt'; readonly haltMs: number }
  | { readonly kind: 'stop'; readonly awayMs: number }
  | { readonly kind: 'kill broker'; readonly awayMs: number }
  | { readonly kind: 'stop broker'; readonly awayMs: number }
  | { readonly kind: 'halt broker'; readonly haltMs: number }

/** The words for what may happen. */
export type TroubleKind = Trouble['kind']

/** Longest times of a process and of a broker that are away before they are started again. */
const AWAY_MS = 600
const BROKER_AWAY_MS = 2_000
const BROKER_HALT_MS = 4_000
/** Longest wait between two troubles. */
const PAUSE_MS = 2_500

type Weights = Readonly<Partial<Record<TroubleKind, number>>>

const WEIGHTS: Readonly<Record<LogKind, Weights>> = {
  embedded: { kill: 9, 'kill holder': 4, halt: 4, stop: 3 },
  kafka: { kill: 12, halt: 4, stop: 3 },
}
/** Beside those where the broker is ours. */
const BROKER_WEIGHTS: Weights = { 'kill broker': 1, 'stop broker': 1, 'halt broker': 1 }

/** An endless series of troubles. */
export class Schedule {
  readonly #random: SeededRandom
  readonly #bag: readonly TroubleKind[]

  constructor(
    random: SeededRandom,
    { log, hasBroker }: { readonly log: LogKind; readonly hasBroker: boolean },
  ) {
    const weights: Weights = { ...WEIGHTS[log], ...(hasBroker ? BROKER_WEIGHTS : {}) }
    this.#random = random
    this.#bag = Object.entries(weights).flatMap(([kind, weight]) =>
      Array<TroubleKind>(weight).fill(kind as TroubleKind),
    )
  }

  next(): Trouble {
    const random = this.#random
    const kind = random.pick(this.#bag)
    switch (kind) {
      case 'kill':
      case 'kill holder':
      case 'stop':
        return { kind, awayMs: random.below(AWAY_MS) }
      case 'halt':
        return { kind, haltMs: this.#haltMs() }
      case 'kill broker':
      case 'stop broker':
        return { kind, awayMs: random.below(BROKER_AWAY_MS) }
      case 'halt broker':
        return { kind, haltMs: random.below(BROKER_HALT_MS) }
      default:
        return kind satisfies never
    }
  }

  /** One of so many. */
  pick<T>(items: readonly T[]): T {
    return this.#random.pick(items)
  }

  /** How long nothing new goes wrong. */
  pauseMs(): number {
    return this.#random.below(PAUSE_MS)
  }

  /** Whether a process that came back gets the time to start its tasks before the next trouble. */
  letsRun(): boolean {
    return this.#random.chance(0.6)
  }

  /** Shorter than a session, or longer. */
  #haltMs(): number {
    const shortMs = this.#random.below(SESSION_MS / 2)
    return this.#random.chance(0.4) ? shortMs : SESSION_MS * 1.2 + shortMs * 3
  }
}
