/** What an author says about an `enrich` step, with every limit's name and default. */
import type { StreamRecord } from '../model/record.ts'
import type { Serde } from '../serdes/serde.ts'

/** What happens to a record whose enrichment has failed for good. */
export type TerminalPolicy<K, V, R> =
  | 'stop'
  | 'skip'
  | 'dead-letter'
  | {
      /** Gives the result in the service's place. The value is null where its bytes could not be read. */
      readonly fallback: (record: StreamRecord<K, V | null>, error: Error) => R
    }

/** The limits of an enrich step. None of them holds back intake: what has to wait stands as a row in the store, and memory keeps only its place, at most some 470 bytes. */
export interface EnrichTuning {
  /** Calls in flight in this process. Default 16. */
  readonly calls?: number
  /** Sessions open in this process. Default 3. */
  readonly sessions?: number
  /** Bytes of records that were read for the service, in this process: of a call until its outcome is taken over, of a session until its transport has taken them. One record is always let through. Default 32 MiB. */
  readonly inFlightBytes?: number
  /** Tries for one record or session before the terminal policy. Default 10. */
  readonly attempts?: number
  /** Time for one call. For a session: time without any answer while records wait and all was taken. Default 5 minutes. */
  readonly attemptDeadlineMs?: number
  /** Time for a record from its first try to its last, waits included. Default 1 hour. */
  readonly totalDeadlineMs?: number
  /** First wait after a failure; it doubles, with full jitter. Default 200. */
  readonly backoffMs?: number
  /** Longest wait between two tries. Default 30,000. */
  readonly maxBackoffMs?: number
}

/** Options of `enrich`. V is what the enricher sees: the value, or what a reference stands for. */
export interface EnrichOptions<K, V, R> extends EnrichTuning {
  /**
   * Which records keep their order: those of one key (default), all of a partition, none, or those
   * for which the selector gives the same text. The selector's text is also the key of sessions.
   */
  readonly orderBy?: 'key' | 'partition' | 'none' | ((key: K) => string)
  /** When results of one ordering key leave: in the order of their inputs (default), or as they complete. */
  readonly release?: 'input-order' | 'completion'
  /** What happens to a record that failed for good. Default: stop the app. */
  readonly onFailure?: TerminalPolicy<K, V, R>
  /** How results are kept where they have to wait in a store. Default: the enricher's. */
  readonly value?: Serde<R>
}
