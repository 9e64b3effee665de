/**
 * What a benchmark is. Each case is a file that exports one BenchCase: some variants of one question,
 * which run in turn, round after round, so that whatever else the machine does hits all of them
 * alike. Each run is a process of its own, so that a peak of memory is that run's; what it needs
 * beforehand is made by another process, for the same reason.
 */

/** What is asked of a whole run, by the command line. */
export interface BenchSettings {
  /** Bytes of media in the cases that move media. */
  readonly sizeBytes: number
  /** Records in the cases that move small records. */
  readonly records: number
}

/** What one run may use. */
export interface BenchPlace extends BenchSettings {
  /** A folder of this run's own; `prepare` and `run` of one variant share it, and it is removed afterwards. */
  readonly folder: string
}

/** What a variant did, besides its time and memory. */
export interface BenchWork {
  /** Bytes of media moved, or records processed: what the rate is of. */
  readonly amount: number
  /** Further figures in bytes, by name. */
  readonly bytes?: Readonly<Record<string, number>>
  /** Further figures in milliseconds, by name. */
  readonly times?: Readonly<Record<string, number>>
  /** What the programs cost that did the work, where it was others: instead of this process's own readings. */
  readonly seconds?: number
  readonly cpuSeconds?: number
  readonly peakBytes?: number
  /** Another program did the work: processor time and memory of this one say nothing. */
  readonly elsewhere?: boolean
  /** Why this variant cannot run on this machine: there are no figures then. */
  readonly absent?: string
}

/** A stretch of work that is measured: `work` runs between the two readings of the clocks. */
export type Measure = (work: () => Promise<BenchWork>) => Promise<void>

/** One way of doing what the case is about. */
export interface BenchVariant {
  readonly name: string
  /** Runs before, in a process of its own, unmeasured. */
  readonly prepare?: (place: BenchPlace) => Promise<void>
  /** Calls `measure` once, around what counts. */
  readonly run: (place: BenchPlace, measure: Measure) => Promise<void>
}

/** A benchmark. */
export interface BenchCase {
  readonly name: string
  readonly summary: string
  /** What `amount` counts. */
  readonly unit: 'bytes' | 'records'
  /** The first one is what the others are compared with, where `compares` is set. */
  readonly variants: readonly BenchVariant[]
  readonly compares: boolean
  /** What the first one is called in the heading of the comparison; default `copy`. Processor time is compared too, where this is set. */
  readonly comparedWith?: string
  /** Runs where it is named, and not with all others: it starts a Kafka broker. */
  readonly needsBroker?: boolean
  /** How long one of its processes may take; default two minutes. */
  readonly childDeadlineMs?: number
}
