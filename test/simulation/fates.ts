/**
 * What goes wrong in a simulated world, decision by decision. Each fault has a name that says where
 * it strikes ("app0.1 commit sim-0 #3"), and whether it happens is drawn from the seed and that name
 * alone. So a run can be repeated with some of its faults left out, and no other decision moves: that
 * is what shrinking needs (test/simulation/shrink.ts). One random stream for all decisions, which
 * every left-out fault would shift, was rejected for that reason.
 */
import { SeededRandom } from '../../testing/seeded-random.ts'

/** A fault that happened. */
export interface Fault {
  /** Names it in this world and in every world of the same seed. */
  readonly name: string
  /** What it did, as the rest of a sentence that begins with the name. */
  readonly what: string
}

/** The decisions of one seed. */
export class Fates {
  readonly #seed: number
  readonly #only: ReadonlySet<string> | undefined
  readonly #happened = new Map<string, Fault>()

  /** `only`: no fault but these may happen. Default: all may. */
  constructor(seed: number, only?: readonly string[]) {
    this.#seed = seed
    this.#only = only === undefined ? undefined : new Set(only)
  }

  /** Random numbers that belong to a name: the same whatever else happens. */
  of(name: string): SeededRandom {
    return new SeededRandom(hash(this.#seed, name))
  }

  /** Whether the fault of this name happens; it is then remembered. */
  strikes(name: string, probability: number, what: (random: SeededRandom) => string): boolean {
    if (probability <= 0) return false
    if (this.#only !== undefined && !this.#only.has(name)) return false
    const random = this.of(name)
    if (!random.chance(probability)) return false
    if (!this.#happened.has(name)) this.#happened.set(name, { name, what: what(random) })
    return true
  }

  /** The faults that happened, in the order of their first moment. */
  get happened(): readonly Fault[] {
    return [...this.#happened.values()]
  }
}

/** FNV-1a over the text, begun with the seed, and mixed once more: neighbouring names must not have similar numbers. */
function hash(seed: number, name: string): number {
  let value = (seed ^ 0x811c9dc5) >>> 0
  for (let i = 0; i < name.length; i += 1) {
    value = Math.imul(value ^ name.charCodeAt(i), 0x01000193)
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
